/** What keys do anywhere on the page. They are listed in its help. */

import { formatCount } from "../model/text.js";
import { moveSlider, showHelp } from "./controls.js";
import { announce, holdsCtrl } from "./events.js";

const PRUNING_STEPS = 10; // of the slider, to a press

export function listenToKeys(store, searchPanel) {
  const actions = {
    "/": () => searchPanel.field.focus(),
    "?": showHelp,
    p: () => store.state.clickedId && store.togglePins(store.findMemberIds(store.state.clickedId)),
    "[": () => moveSlider(-PRUNING_STEPS),
    "]": () => moveSlider(PRUNING_STEPS),
    Escape: () => (store.state.grouping ? store.dropGroup() : store.update({ clickedId: "" })),
  };
  addEventListener("keydown", (event) => {
    if (isWriting(event) || event.altKey || holdsCtrl(event)) return;
    if (event.key.toLowerCase() === "g") return store.startGroup();
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
  addEventListener("keyup", (event) => {
    if (event.key.toLowerCase() !== "g") return;
    const group = store.finishGroup();
    if (group) announce(`Grouped ${formatCount(group.nNodes, "node")} as ${group.label}`);
  });
  // A window that loses the keyboard does not hear that G is let go of.
  addEventListener("blur", () => store.state.grouping && store.dropGroup());
}

function isWriting(event) {
  return event.target.closest?.("input:not([type=range]), textarea, select, dialog");
}
