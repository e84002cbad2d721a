/** Short facts in a line: a name and a value each. */

import { formatNumber } from "../model/text.js";
import { makeElement } from "./dom.js";

/** Facts are [name, value]; those without a value are left out. */
export function makeFactLine(facts) {
  const pairs = facts
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value]) => makeElement("span", {}, `${name} `, makeElement("b", {}, value)));
  return makeElement("p", { class: "facts" }, ...pairs);
}

/** What is known of a node in numbers. */
export function listNodeFacts(node) {
  const facts = [
    ["activation", node.activation],
    ["probability", node.probability],
    ["cumulative influence", node.influence],
  ];
  return facts.filter(([, value]) => value !== null).map(([name, value]) => [name, formatNumber(value)]);
}
