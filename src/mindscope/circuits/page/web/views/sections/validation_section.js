/** Below the graph: how well it predicted what interventions did. */

import { formatNumber, formatPercent, formatSigned } from "../../model/text.js";
import { getById, makeElement, makeShape } from "../dom.js";
import { makeFactLine } from "../facts.js";

const [SIZE, EDGE] = [320, 40];
const N_LARGE_DOTS = 300; // more pairs than this have smaller dots

export function writeValidation(store, validation) {
  const section = getById("validation");
  section.append(
    makeElement("h2", {}, "Checked by intervention"),
    makeElement(
      "p",
      { class: "quiet" },
      "Nodes of the graph were changed in the model itself. Each dot is what the graph predicted " +
        "of one change, and what happened; on the dashed line they agree.",
    ),
    makeFactLine(listFacts(validation)),
    makeScatter(store, validation),
  );
  section.hidden = false;
}

function listFacts(validation) {
  const { predicted, sign_agreement, slope, nmse, features, targets, logits, factor, mode } = validation;
  return [
    ["pairs", String(predicted.length)],
    ["correlation r", formatAgreement(validation) ?? "–"],
    ["same sign", Number.isFinite(sign_agreement) ? formatPercent(sign_agreement) : "–"],
    ["slope", Number.isFinite(slope) ? formatNumber(slope) : null],
    ["normalised error", Number.isFinite(nmse) ? formatNumber(nmse) : null],
    ["r of features", formatAgreement(features)],
    ["r of targets", formatAgreement(targets)],
    ["r of logits", formatAgreement(logits)],
    ["factor", Number.isFinite(factor) ? formatNumber(factor) : null],
    ["mode", mode],
  ];
}

/** A correlation and its interval; null where it is not known. */
function formatAgreement(agreement) {
  if (!Number.isFinite(agreement?.r)) return null;
  const { r, low, high } = agreement;
  const interval = Number.isFinite(low) ? ` (${formatNumber(low)} to ${formatNumber(high)})` : "";
  return `${formatNumber(r)}${interval}`;
}

/** Predicted against actual changes, on one scale for both, with the diagonal of a perfect prediction. */
function makeScatter(store, validation) {
  const pairs = validation.predicted
    .map((predicted, i) => ({ predicted, actual: validation.actual[i], i }))
    .filter(({ predicted, actual }) => Number.isFinite(predicted) && Number.isFinite(actual));
  const values = pairs.flatMap(({ predicted, actual }) => [predicted, actual]);
  const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
  const scale = (value) => EDGE + ((value - low) / (high - low || 1)) * (SIZE - 2 * EDGE);
  const radius = pairs.length > N_LARGE_DOTS ? 2 : 3.5;
  const dots = pairs.map((pair) => makeDot(store, validation, pair, scale, radius));
  const zero = scale(0);
  const axes = `M${EDGE} ${SIZE - zero}H${SIZE - EDGE}M${zero} ${EDGE}V${SIZE - EDGE}`;
  const diagonal = `M${scale(low)} ${SIZE - scale(low)}L${scale(high)} ${SIZE - scale(high)}`;
  const ticks = [low, high].flatMap((value) => {
    const [across, up] = [scale(value), SIZE - scale(value)];
    return [
      makeShape("text", { x: across, y: SIZE - EDGE + 16, "text-anchor": "middle" }, formatNumber(value)),
      makeShape("text", { x: EDGE - 6, y: up + 4, "text-anchor": "end" }, formatNumber(value)),
    ];
  });
  const upwards = `translate(10 ${SIZE / 2}) rotate(-90)`;
  const names = [
    makeShape("text", { x: SIZE / 2, y: SIZE - 2, "text-anchor": "middle" }, "predicted change"),
    makeShape("text", { transform: upwards, "text-anchor": "middle" }, "actual change"),
  ];
  const label = "Predicted against actual changes";
  return makeShape(
    "svg",
    { viewBox: `0 0 ${SIZE} ${SIZE}`, class: "scatter", role: "img", "aria-label": label },
    makeShape("path", { class: "zero", d: axes }),
    makeShape("path", { class: "diagonal", d: diagonal }),
    ...dots,
    ...ticks,
    ...names,
  );
}

function makeDot(store, { labels, nodes: ids }, { predicted, actual, i }, scale, radius) {
  const node = store.graph.nodes[store.graph.numbers.get(ids?.[i]) ?? -1];
  const name = labels?.[i] ?? (node ? store.readLabel(node) : "");
  const title = `${name} predicted ${formatSigned(predicted)}, actual ${formatSigned(actual)}`.trim();
  return makeShape(
    "circle",
    {
      cx: scale(predicted).toFixed(1),
      cy: (SIZE - scale(actual)).toFixed(1),
      r: radius,
      class: predicted * actual < 0 ? "dot wrong" : "dot",
      onclick: node ? () => store.update({ clickedId: node.id }) : null,
    },
    makeShape("title", {}, title),
  );
}
