/** A box of the subgraph: click to focus, drag to move, double click or F2 to rename. */

import { roundPlace } from "../../layout/box_layout.js";
import { abbreviatePlace } from "../../model/names.js";
import { formatCount } from "../../model/text.js";
import { makeButton, makeElement } from "../dom.js";
import { announce, chooseByClick, makeHoverListeners } from "../events.js";

const DRAG_DISTANCE = 4; // pixels; a hand is not steady enough for less

export function makeBox(store, panel, box) {
  const { x, y } = panel.spots.get(box.id);
  const { nodes } = store.graph;
  const { clickedId, grouping } = store.state;
  const isSupernode = box.supernode !== null;
  const node = nodes[box.members[0]];
  const isPicked = grouping && box.members.every((member) => grouping.includes(nodes[member].id));
  const hover = makeHoverListeners(store, node.index);
  const classes = ["box", isSupernode ? "supernode" : node.kind];
  if (box.id === clickedId) classes.push("clicked");
  if (isPicked) classes.push("picked");
  const element = makeElement("div", {
    class: classes.join(" "),
    "data-id": box.id,
    style: { left: `${x}px`, top: `${y}px` },
    ondblclick: () => rename(store, panel, box, element),
    onkeydown: (event) => event.key === "F2" && rename(store, panel, box, element),
    onpointerdown: (event) => startDrag(store, panel, box, element, event),
    onpointerenter: isSupernode ? null : hover.onpointerenter,
    onpointerleave: hover.onpointerleave,
  });
  const place = isSupernode ? formatCount(box.members.length, "node") : abbreviatePlace(store.graph, node);
  element.append(makeGrip(store, box, element, place));
  if (isSupernode) element.append(...makeGroupButtons(store, panel, box, element));
  return element;
}

function makeGrip(store, box, element, place) {
  const name = store.nameBox(box);
  // A click that ended a drag does not choose, and the second of a double click belongs to the new name.
  const onclick = (event) => {
    if (!element.dataset.dragged && event.detail < 2) chooseByClick(store, box.id, event);
  };
  return makeButton(
    { class: "grip", "data-key": box.id, title: `${name}\n${place}`, onclick },
    makeElement("span", { class: "name" }, name),
    makeElement("span", { class: "where" }, place),
  );
}

function makeGroupButtons(store, panel, box, element) {
  const name = store.nameBox(box);
  const ungroup = () => {
    store.ungroup(box.supernode);
    announce(`Ungrouped ${name}`);
  };
  const labelled = (verb) => ({
    class: `small ${verb.toLowerCase()}`,
    "aria-label": `${verb} ${name}`,
    title: verb,
  });
  return [
    makeButton({ ...labelled("Rename"), onclick: () => rename(store, panel, box, element) }, "✎"),
    makeButton({ ...labelled("Ungroup"), onclick: ungroup }, "×"),
  ];
}

/** Put a field in place of the name. Enter and leaving it take the new name, Escape does not. */
function rename(store, panel, box, element) {
  const input = makeElement("input", { class: "label", "aria-label": "Name", value: store.nameBox(box) });
  let isCancelled = false;
  const finish = () => {
    const text = isCancelled ? "" : input.value.trim();
    input.remove();
    if (text) store.renameBox(box, text);
    panel.write();
  };
  input.addEventListener("blur", finish, { once: true });
  input.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Escape") isCancelled = true;
    if (event.key === "Enter" || event.key === "Escape") input.blur();
  });
  element.querySelector(".grip").replaceWith(input);
  input.select();
  input.focus();
}

function startDrag(store, panel, box, element, event) {
  if (event.button !== 0 || event.target.closest(".small, input")) return;
  const start = panel.spots.get(box.id);
  const move = ({ clientX, clientY }) => {
    const [dx, dy] = [clientX - event.clientX, clientY - event.clientY];
    if (!element.dataset.dragged && Math.hypot(dx, dy) < DRAG_DISTANCE) return;
    element.dataset.dragged = "yes";
    panel.moveBox(box, element, { x: start.x + dx, y: start.y + dy });
  };
  const stop = () => {
    removeEventListener("pointermove", move);
    removeEventListener("pointerup", stop);
    removeEventListener("pointercancel", stop);
    if (!element.dataset.dragged) return;
    const place = roundPlace(panel.spots.get(box.id), panel.measure());
    // The click that ends the drag comes first, and must still meet the mark of the drag.
    setTimeout(() => store.moveBox(box.id, place));
  };
  addEventListener("pointermove", move);
  addEventListener("pointerup", stop);
  addEventListener("pointercancel", stop);
}
