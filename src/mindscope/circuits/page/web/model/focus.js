/** The links of the nodes in focus, and their sums by the node at the other end. */

import { compareStrength } from "./graph.js";
import { isLinkVisible } from "./visibility.js";

/** @import { Graph, Link } from "./graph.js" */

/** @typedef {"both" | "input" | "output"} LinkType */
/** @typedef {{ index: number, weight: number }} Neighbour a node and the summed weight of the links to it */

/**
 * The visible links at the members of the focus. Links between members are not shown.
 * @param {Graph} graph
 * @param {readonly boolean[]} visible
 * @param {readonly number[]} members
 * @param {LinkType} linkType
 * @returns {Link[]}
 */
export function findLinks(graph, visible, members, linkType) {
  const inside = new Set(members);
  const inputs = linkType === "output" ? [] : members.flatMap((member) => graph.inputs[member]);
  const outputs = linkType === "input" ? [] : members.flatMap((member) => graph.outputs[member]);
  return [...inputs, ...outputs].filter(
    (link) => isLinkVisible(visible, link) && !(inside.has(link.source) && inside.has(link.target)),
  );
}

/**
 * Summed weights of links at the focus, by the node at the other end.
 * @param {readonly Link[]} links as `findLinks` gives them
 * @param {readonly number[]} members
 * @returns {Map<number, number>}
 */
export function sumByNeighbour(links, members) {
  const inside = new Set(members);
  const sums = new Map();
  for (const { source, target, weight } of links) {
    const other = inside.has(source) ? target : source;
    sums.set(other, (sums.get(other) ?? 0) + weight);
  }
  return sums;
}

/**
 * The neighbours of the focus in one direction, the strongest first.
 * @param {Graph} graph
 * @param {readonly boolean[]} visible
 * @param {readonly number[]} members
 * @param {"input" | "output"} direction
 * @returns {Neighbour[]}
 */
export function rankNeighbours(graph, visible, members, direction) {
  const sums = sumByNeighbour(findLinks(graph, visible, members, direction), members);
  return [...sums].map(([index, weight]) => ({ index, weight })).sort(compareStrength);
}

/**
 * Sums of what raises and of what lowers.
 * @param {readonly { weight: number }[]} weighted
 */
export function sumBySign(weighted) {
  const sums = { positive: 0, negative: 0 };
  for (const { weight } of weighted) sums[weight > 0 ? "positive" : "negative"] += weight;
  return sums;
}
