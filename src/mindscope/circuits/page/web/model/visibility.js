/** Which nodes and links are shown: those within the reader's share of the influence, and what is pinned. */

/** @import { Graph, Link } from "./graph.js" */

const ROUNDING = 1e-9; // a threshold that a file or an address holds may have lost its last digits

/**
 * Of every node whether it is shown. Tokens and targets always are, as is a node without an influence.
 * @param {Graph} graph
 * @param {number} threshold the largest cumulative influence that is shown
 * @param {readonly string[]} pinnedIds shown wherever the threshold is
 * @returns {boolean[]}
 */
export function findVisible(graph, threshold, pinnedIds) {
  const pinned = new Set(pinnedIds);
  return graph.nodes.map(
    ({ id, kind, influence }) =>
      kind === "token" ||
      kind === "target" ||
      influence === null ||
      influence <= threshold + ROUNDING ||
      pinned.has(id),
  );
}

/**
 * @param {readonly boolean[]} visible
 * @param {Link} link
 */
export function isLinkVisible(visible, link) {
  return visible[link.source] && visible[link.target];
}

/**
 * The visible links with the largest shares, at most `limit` of them, the largest first.
 * @param {Graph} graph
 * @param {readonly boolean[]} visible
 * @param {number} limit
 * @returns {Link[]}
 */
export function pickLargestLinks(graph, visible, limit) {
  const picked = [];
  for (const link of graph.linksByShare) {
    if (picked.length === limit) break;
    if (isLinkVisible(visible, link)) picked.push(link);
  }
  return picked;
}
