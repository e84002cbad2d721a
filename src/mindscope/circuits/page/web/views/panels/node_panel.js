/** The panel of the focus: what it is, its label, and its signed inputs and outputs. */

import { rankNeighbours, sumBySign } from "../../model/focus.js";
import { abbreviatePlace, describePlace } from "../../model/names.js";
import { readSupernodeNumber } from "../../model/supernodes.js";
import { formatCount, formatNumber, formatSigned } from "../../model/text.js";
import { getById, makeButton, makeElement, refill } from "../dom.js";
import { chooseByClick, makeHoverListeners } from "../events.js";
import { listNodeFacts, makeFactLine } from "../facts.js";

const N_LISTED = 60; // links in a list at first
const N_MORE = 600; // links that come with every wish for more

export function mountNodePanel(store) {
  const panel = getById("node");
  let lengths = { input: N_LISTED, output: N_LISTED };
  const write = () => refill(panel, ...makePanel(store, lengths, extend));
  const extend = (direction) => {
    lengths = { ...lengths, [direction]: lengths[direction] + N_MORE };
    write();
  };
  store.subscribe(["clickedId"], () => {
    lengths = { input: N_LISTED, output: N_LISTED };
  });
  store.subscribe(["clickedId", "pinnedIds", "supernodes", "linkType", "pruningThreshold", "clerps"], write);
}

function makePanel(store, lengths, extend) {
  const members = store.findFocus();
  if (!members.length) {
    const hint = "Click a node to see what it depends on and what depends on it.";
    return [makeElement("p", { class: "quiet" }, hint)];
  }
  const head = members.length > 1 ? makeGroupHead(store, members) : makeNodeHead(store, members[0]);
  const { linkType } = store.state;
  const lists = [
    linkType === "output" ? null : makeLinkList(store, members, "input", lengths.input, extend),
    linkType === "input" ? null : makeLinkList(store, members, "output", lengths.output, extend),
  ].filter(Boolean);
  const none = makeElement("p", { class: "quiet" }, "No links of this kind are shown.");
  return [...head, makeElement("div", { class: "lists" }, ...(lists.length ? lists : [none]))];
}

function makeNodeHead(store, index) {
  const node = store.graph.nodes[index];
  const isNamed = node.kind === "feature" || node.kind === "error";
  return [
    isNamed ? makeLabelEditor(store, node) : makeElement("h2", {}, store.readLabel(node)),
    makePlaceLine(store, describePlace(store.graph, node), [node.id]),
    makeFactLine(listNodeFacts(node)),
  ];
}

function makeGroupHead(store, members) {
  const { clickedId, supernodes } = store.state;
  const [label, ...ids] = supernodes[readSupernodeNumber(clickedId)];
  const activation = members.reduce((sum, member) => sum + (store.graph.nodes[member].activation ?? 0), 0);
  return [
    makeElement("h2", {}, label),
    makePlaceLine(store, `supernode of ${formatCount(members.length, "node")}`, ids),
    makeFactLine([["summed activation", formatNumber(activation)]]),
  ];
}

function makePlaceLine(store, text, ids) {
  const isPinned = ids.every((id) => store.state.pinnedIds.includes(id));
  const attributes = { id: "pin", "data-key": "pin", onclick: () => store.togglePins(ids) };
  const button = makeButton(attributes, isPinned ? "Unpin" : "Pin");
  return makeElement("div", { class: "place" }, makeElement("p", { class: "quiet" }, text), button);
}

function makeLabelEditor(store, node) {
  const input = makeElement("input", {
    class: "label",
    "aria-label": "Label of the node",
    value: store.readLabel(node),
    title: "Edit the label",
  });
  input.addEventListener("change", () => store.editLabel(node, input.value));
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") input.value = store.readLabel(node);
    if (event.key === "Enter" || event.key === "Escape") input.blur();
  });
  return input;
}

function makeLinkList(store, members, direction, length, extend) {
  const neighbours = rankNeighbours(store.graph, store.state.visible, members, direction);
  if (!neighbours.length) return null;
  const name = direction === "input" ? "Inputs" : "Outputs";
  const { positive, negative } = sumBySign(neighbours);
  const largest = Math.abs(neighbours[0].weight);
  const nMore = neighbours.length - length;
  return makeElement(
    "section",
    { "aria-label": name },
    makeElement("h3", {}, `${name} `, makeElement("span", { class: "quiet" }, `${neighbours.length}`)),
    makeElement("p", { class: "sums" }, makeSum(positive, "up"), " ", makeSum(negative, "down")),
    makeElement("ol", {}, ...neighbours.slice(0, length).map((entry) => makeEntry(store, entry, largest))),
    nMore > 0 ? makeButton({ onclick: () => extend(direction) }, `${nMore.toLocaleString("en")} more`) : null,
  );
}

function makeSum(sum, sign) {
  return sum ? makeElement("span", { class: sign }, formatSigned(sum)) : null;
}

function makeEntry(store, { index, weight }, largest) {
  const node = store.graph.nodes[index];
  const pinned = store.state.pinnedIds.includes(node.id) ? " pinned" : "";
  const attributes = {
    class: `entry ${weight < 0 ? "down" : "up"}${pinned}`,
    style: { "--at": `${((100 * Math.abs(weight)) / largest).toFixed(1)}%` },
    title: describePlace(store.graph, node),
    "data-id": node.id,
    "data-key": node.id,
    onclick: (event) => chooseByClick(store, node.id, event),
    ...makeHoverListeners(store, index),
  };
  const button = makeButton(
    attributes,
    makeElement("span", { class: "name" }, store.abbreviateLabel(node)),
    makeElement("span", { class: "where" }, abbreviatePlace(store.graph, node)),
    makeElement("span", { class: "weight" }, formatSigned(weight)),
  );
  return makeElement("li", {}, button);
}
