/** Below the graph: why attention heads looked where they did, and what they carried. */

import { pickLoadings } from "../../model/head_loadings.js";
import { abbreviatePlace, describePlace } from "../../model/names.js";
import { formatCount, formatNumber, formatPercent, formatSigned, formatToken } from "../../model/text.js";
import { getById, makeButton, makeElement, refill } from "../dom.js";

const N_LISTED = 40; // links whose heads are listed at once

export function mountAttention(store, { scores = [], loadings = [] }) {
  const section = getById("attention");
  section.hidden = false;
  store.subscribe(["clickedId", "supernodes", "clerps"], () => {
    const tables = scores.map((score) => makeScoreTable(store, score));
    if (loadings.length) tables.push(makeLoadingTable(store, loadings));
    refill(section, makeElement("h2", {}, "Attention"), ...tables);
  });
}

function makeScoreTable(store, score) {
  const { tokens } = store.graph;
  const rows = score.pairs.map(({ query, key, value }) => [
    makeNodeLink(store, query),
    makeNodeLink(store, key),
    value,
  ]);
  const place = `from ${namePosition(tokens, score.query)} to ${namePosition(tokens, score.key)}`;
  const size = score.relative
    ? `${formatNumber(score.relative_score)} above the mean over keys`
    : formatNumber(score.score);
  const share = Number.isFinite(score.attention)
    ? `, ${formatPercent(score.attention)} of its attention`
    : "";
  const caption = `Why ${nameHead(score)} looked ${place}: score ${size}${share}; the largest pairs.`;
  return makeTable(["query side", "key side", "adds"], rows, caption);
}

function makeLoadingTable(store, loadings) {
  const { ofFocus, ranked } = pickLoadings(loadings, new Set(store.findMemberIds(store.state.clickedId)));
  const rows = ranked
    .slice(0, N_LISTED)
    .flatMap(({ source, target, heads }) =>
      heads.map((head, i) => [
        i ? "" : makeNodeLink(store, source),
        i ? "" : makeNodeLink(store, target),
        nameHead(head),
        head.value,
      ]),
    );
  const links = ofFocus ? "each link of the focus" : "each link";
  const total = formatCount(ranked.length, "link");
  const rest = ranked.length > N_LISTED ? ` (the strongest ${N_LISTED} of ${total})` : "";
  return makeTable(["from", "to", "head", "carries"], rows, `What heads carry of ${links}${rest}.`);
}

/** Numbers in a row are signed and coloured by their sign. */
function makeTable(columns, rows, caption) {
  const head = columns.map((column) => makeElement("th", { scope: "col" }, column));
  const makeCell = (value) =>
    typeof value === "number"
      ? makeElement("td", { class: value < 0 ? "down r" : "up r" }, formatSigned(value))
      : makeElement("td", {}, value);
  const body = rows.map((row) => makeElement("tr", {}, ...row.map(makeCell)));
  const table = makeElement(
    "table",
    {},
    makeElement("caption", {}, caption),
    makeElement("thead", {}, makeElement("tr", {}, ...head)),
    makeElement("tbody", {}, ...body),
  );
  return makeElement("div", { class: "wide" }, table);
}

/** A node by its id: what it is called, and a way to it. Other names, such as a bias, stay as they are. */
function makeNodeLink(store, id) {
  const { graph } = store;
  const index = graph.numbers.get(id);
  if (index === undefined) return String(id);
  const node = graph.nodes[index];
  return makeButton(
    { class: "entry", title: describePlace(graph, node), onclick: () => store.toggleFocus(id) },
    `${store.abbreviateLabel(node)} · ${abbreviatePlace(graph, node)}`,
  );
}

function nameHead({ layer, head }) {
  return `L${layer} head ${head}`;
}

function namePosition(tokens, position) {
  return typeof position === "number"
    ? `“${formatToken(tokens[position] ?? "")}” (${position})`
    : String(position);
}
