/** Search among the visible nodes, by label, token, place or id. */

import { composeName, describePlace, readLabel } from "./names.js";

/** @import { Graph, GraphNode } from "./graph.js" */
/** @import { EditedLabels } from "./names.js" */

/**
 * The visible nodes that have every word of the query, the most influential first; null for an empty query.
 * @param {Graph} graph
 * @param {readonly boolean[]} visible
 * @param {EditedLabels} clerps
 * @param {string} query
 * @returns {GraphNode[] | null}
 */
export function searchNodes(graph, visible, clerps, query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return null;
  const matches = graph.nodes.filter((node) => {
    if (!visible[node.index]) return false;
    const text = composeSearchText(graph, clerps, node);
    return words.every((word) => text.includes(word));
  });
  return matches.sort((a, b) => (a.influence ?? 0) - (b.influence ?? 0));
}

/**
 * @param {Graph} graph
 * @param {EditedLabels} clerps
 * @param {GraphNode} node
 */
function composeSearchText(graph, clerps, node) {
  const texts = [
    readLabel(graph, clerps, node),
    composeName(graph, node),
    describePlace(graph, node),
    node.id,
  ];
  return texts.join(" ").toLowerCase();
}
