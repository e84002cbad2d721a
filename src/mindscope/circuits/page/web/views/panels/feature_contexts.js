/** Where a feature is active: contexts by quantile, every token shaded by its activation. */

import { formatNumber } from "../../model/text.js";
import { makeButton, makeElement } from "../dom.js";

const AROUND = 24; // tokens on either side of the strongest one that are shown at first

export function makeContexts(details) {
  const quantiles = (details.examples_quantiles || []).filter(({ examples }) => examples?.length);
  const limit = details.act_max > 0 ? details.act_max : findLargest(quantiles);
  return quantiles.map(({ quantile_name, examples }, i) => {
    const amount = makeElement("span", { class: "quiet" }, `${examples.length}`);
    const summary = makeElement("summary", {}, `${quantile_name} `, amount);
    const contexts = examples.map((example) => makeContext(example, limit));
    return makeElement("details", { open: i === 0 }, summary, ...contexts);
  });
}

function findLargest(quantiles) {
  const activations = quantiles.flatMap(({ examples }) =>
    examples.flatMap((example) => example.tokens_acts_list),
  );
  return activations.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1e-30);
}

function makeContext(example, limit) {
  const peak = example.train_token_ind;
  const length = example.tokens.length;
  const [start, end] = [Math.max(0, peak - AROUND), Math.min(length, peak + AROUND + 1)];
  const line = makeElement("p", { class: "context" });
  const write = (from, to) => {
    const tokens = example.tokens.slice(from, to);
    const activations = example.tokens_acts_list.slice(from, to);
    line.replaceChildren(
      ...tokens.map((token, i) =>
        makeToken(token, activations[i] ?? 0, limit, { isPeak: from + i === peak }),
      ),
    );
  };
  write(start, end);
  if (end - start === length) return line;
  const extend = () => {
    write(0, length);
    button.remove();
  };
  const attributes = { class: "small", "aria-label": "Show the whole context", onclick: extend };
  const button = makeButton(attributes, "whole");
  return makeElement("div", {}, line, button);
}

function makeToken(token, activation, limit, { isPeak }) {
  const classes = [activation > 0 ? "heat up" : "", activation < 0 ? "heat down" : "", isPeak ? "peak" : ""];
  const share = Math.min(100, (100 * Math.abs(activation)) / limit);
  const attributes = {
    class: classes.filter(Boolean).join(" ") || null,
    style: activation ? { "--at": `${share.toFixed(0)}%` } : {},
    title: activation ? formatNumber(activation) : null,
  };
  return makeElement("span", attributes, token.replaceAll("\n", "⏎"));
}
