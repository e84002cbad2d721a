/** The panel of the feature in focus: what it makes the model say, how strong it gets, and where. */

import { findDetails } from "../../model/graph.js";
import { abbreviatePlace, describeFeature } from "../../model/names.js";
import { formatToken } from "../../model/text.js";
import { getById, makeButton, makeElement, refill } from "../dom.js";
import { chooseByClick } from "../events.js";
import { makeHistogram } from "./activation_histogram.js";
import { makeContexts } from "./feature_contexts.js";

const HINTS = {
  error: "What the features of this layer leave out of the MLP's output at this token.",
  token: "The embedding of a token of the prompt.",
  target: "What the graph explains.",
};

export function mountFeaturePanel(store) {
  const panel = getById("feature");
  store.subscribe(["clickedId", "supernodes"], () => refill(panel, ...makePanel(store)));
}

function makePanel(store) {
  const members = store.findFocus();
  if (!members.length) return [makeHint("Features show their contexts here.")];
  if (members.length > 1) return [makeMemberList(store, members)];
  const node = store.graph.nodes[members[0]];
  if (node.kind !== "feature") return [makeHint(HINTS[node.kind])];
  const details = findDetails(store.graph, node);
  if (!details) return [makeHint(`The page was made without contexts of ${describeFeature(node)}.`)];
  return [makeLogitLists(details), makeHistogram(details, node.activation), ...makeContexts(details)];
}

function makeHint(text) {
  return makeElement("p", { class: "quiet" }, text);
}

function makeMemberList(store, members) {
  const entries = members.map((member) => {
    const node = store.graph.nodes[member];
    const button = makeButton(
      { class: "entry", onclick: (event) => chooseByClick(store, node.id, event) },
      makeElement("span", { class: "name" }, store.readLabel(node)),
      makeElement("span", { class: "where" }, abbreviatePlace(store.graph, node)),
    );
    return makeElement("li", {}, button);
  });
  return makeElement(
    "section",
    { "aria-label": "Members" },
    makeElement("h3", {}, "Members"),
    makeElement("ol", {}, ...entries),
  );
}

function makeLogitLists({ top_logits = [], bottom_logits = [] }) {
  const lists = [makeLogitList("says", "up", top_logits), makeLogitList("not", "down", bottom_logits)];
  return lists.some(Boolean) ? makeElement("div", {}, ...lists) : null;
}

function makeLogitList(name, sign, words) {
  if (!words.length) return null;
  const chips = words.map((word) =>
    makeElement("span", { class: `chip ${sign}` }, formatToken(String(word))),
  );
  return makeElement("p", { class: "logits" }, makeElement("span", { class: "quiet" }, name), ...chips);
}
