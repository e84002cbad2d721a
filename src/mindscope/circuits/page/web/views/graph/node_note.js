/** The note at the node under the pointer, or under the keyboard's focus. */

import { sumByNeighbour } from "../../model/focus.js";
import { describePlace } from "../../model/names.js";
import { formatSigned } from "../../model/text.js";
import { getById, makeElement, setStyle } from "../dom.js";
import { listNodeFacts, makeFactLine } from "../facts.js";

const DISTANCE = 10; // from the node, in pixels
const EDGE = 8; // of the window

export function mountNodeNote(store, graphView) {
  const note = getById("note");
  const write = () => {
    const { hovered } = store.state;
    const mark = graphView.nodeMarks.marks[hovered];
    note.hidden = hovered === null || !mark.matches(":hover, :focus-visible");
    if (note.hidden) return;
    const node = store.graph.nodes[hovered];
    const weight = sumToFocus(store, node);
    const facts = [...listNodeFacts(node), ["link", weight === undefined ? null : formatSigned(weight)]];
    note.replaceChildren(
      makeElement("b", {}, store.readLabel(node)),
      makeElement("span", {}, describePlace(store.graph, node)),
      makeFactLine(facts),
    );
    placeNote(note, mark.getBoundingClientRect());
  };
  store.subscribe(["hovered", "clickedId"], write);
}

/** The summed links between a node and the focus; undefined where there are none, and inside the focus. */
function sumToFocus(store, node) {
  const members = store.findFocus();
  return members.includes(node.index)
    ? undefined
    : sumByNeighbour(store.findLinks(members), members).get(node.index);
}

/** To the right of a mark and below it, where the window has room. */
function placeNote(note, mark) {
  const left = Math.min(mark.right + DISTANCE, innerWidth - note.offsetWidth - EDGE);
  const fitsBelow = mark.bottom + DISTANCE + note.offsetHeight < innerHeight;
  const top = fitsBelow ? mark.bottom + DISTANCE : mark.top - note.offsetHeight - DISTANCE;
  setStyle(note, { left: `${Math.max(EDGE, left)}px`, top: `${top}px` });
}
