/** What the views share about clicks, the pointer and what is read out. */

import { getById } from "./dom.js";

/** Choose what was clicked; with Ctrl or ⌘ it is pinned. */
export function chooseByClick(store, id, event) {
  store.choose(id, { pins: holdsCtrl(event) });
}

/** Whether Ctrl is held, or ⌘ where that is its key. */
export function holdsCtrl(event) {
  return event.ctrlKey || event.metaKey;
}

/** Listeners of an entry or a box that show its node in the graph while the pointer is on it. */
export function makeHoverListeners(store, index) {
  return {
    onpointerenter: () => store.update({ hovered: index }),
    onpointerleave: () => store.update({ hovered: null }),
  };
}

/** Have a screen reader say what happened. */
export function announce(text) {
  getById("status").textContent = text;
}
