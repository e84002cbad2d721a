/** How strong a feature gets: a histogram of its activations, and where this prompt's is. */

import { formatCount, formatNumber, formatPercent } from "../../model/text.js";
import { makeElement, makeShape } from "../dom.js";

const [WIDTH, HEIGHT] = [320, 56];

/** Null for a feature without counts. They are on a logarithmic scale: most tokens are at the weak end. */
export function makeHistogram(details, activation) {
  const counts = details.histogram || [];
  if (!counts.some((count) => count > 0)) return null;
  const largest = details.act_max;
  const x = activation !== null && largest > 0 ? Math.min(1, activation / largest) * WIDTH : null;
  const figure = makeShape(
    "svg",
    {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      class: "histogram",
      role: "img",
      "aria-label": "Histogram of activations, counts on a logarithmic scale",
      preserveAspectRatio: "none",
    },
    ...makeBars(counts),
    x === null ? null : makeShape("path", { class: "here", d: `M${x.toFixed(1)} 0V${HEIGHT}` }),
  );
  const frequency = details.activation_frequency;
  const facts = [
    Number.isFinite(frequency) ? `active on ${formatPercent(frequency)} of tokens` : null,
    Number.isFinite(largest) ? `at most ${formatNumber(largest)}` : null,
    x === null ? null : `here ${formatNumber(activation)} (line)`,
  ];
  return makeElement("figure", {}, figure, makeElement("figcaption", {}, facts.filter(Boolean).join(", ")));
}

function makeBars(counts) {
  const most = Math.log1p(Math.max(...counts));
  const width = WIDTH / counts.length;
  return counts.map((count, i) => {
    const height = (HEIGHT * Math.log1p(count)) / most;
    const attributes = {
      x: (i * width).toFixed(2),
      y: (HEIGHT - height).toFixed(2),
      width: Math.max(width - 1, 0.5).toFixed(2),
      height: height.toFixed(2),
    };
    return makeShape("rect", attributes, makeShape("title", {}, formatCount(count, "token")));
  });
}
