/** How nodes are called, and how their places are described. */

import { findDetails } from "./graph.js";
import { formatToken, shorten } from "./text.js";

/** @import { Graph, GraphNode } from "./graph.js" */

/** @typedef {ReadonlyMap<string, string>} EditedLabels labels that the reader wrote, by `labelKey` */

/**
 * The reader's label, else the one in the file, else what the node is.
 * @param {Graph} graph
 * @param {EditedLabels} clerps
 * @param {GraphNode} node
 */
export function readLabel(graph, clerps, node) {
  return clerps.get(node.labelKey) || node.givenLabel || composeName(graph, node);
}

/**
 * The labels after the reader has called `node` `text`; no text, or the file's own label, takes an edit back.
 * @param {EditedLabels} clerps
 * @param {GraphNode} node
 * @param {string} text
 */
export function editLabel(clerps, node, text) {
  const edited = new Map(clerps);
  const label = text.trim();
  if (label && label !== node.givenLabel) edited.set(node.labelKey, label);
  else edited.delete(node.labelKey);
  return edited;
}

/**
 * The name of a node without a label: a feature by what it makes the model say, where that is known.
 * @param {Graph} graph
 * @param {GraphNode} node
 */
export function composeName(graph, node) {
  if (node.kind === "feature") {
    const promoted = findDetails(graph, node)?.top_logits ?? [];
    if (promoted.length) return `says ${promoted.slice(0, 3).map(formatToken).join(", ")}`;
    return `L${node.layer} · ${node.latent}`;
  }
  if (node.kind === "error") return `error L${node.layer}`;
  return node.kind === "token" ? formatToken(graph.tokens[node.position]) : node.id;
}

/**
 * A target's label, short enough to stand slanted above it: `Output "Paris" (p=0.123)` becomes `Paris 0.12`.
 * @param {Graph} graph
 * @param {EditedLabels} clerps
 * @param {GraphNode} node
 */
export function abbreviateTarget(graph, clerps, node) {
  const label = readLabel(graph, clerps, node);
  const token = /^Output "(.*)" \(p=[\d.]+\)$/s.exec(label)?.[1];
  if (token === undefined) return shorten(formatToken(label), 22);
  return `${shorten(formatToken(token), 14)} ${node.probability?.toFixed(2) ?? ""}`.trim();
}

/**
 * The label where room is short: in lists and boxes.
 * @param {Graph} graph
 * @param {EditedLabels} clerps
 * @param {GraphNode} node
 */
export function abbreviateLabel(graph, clerps, node) {
  return node.kind === "target" ? abbreviateTarget(graph, clerps, node) : readLabel(graph, clerps, node);
}

/** @param {GraphNode} node */
export function describeFeature(node) {
  return `feature ${node.latent} of layer ${node.layer}`;
}

/**
 * What a node is and where it stands, in words.
 * @param {Graph} graph
 * @param {GraphNode} node
 */
export function describePlace(graph, node) {
  const token = `“${formatToken(graph.tokens[node.position])}” (${node.position})`;
  if (node.kind === "feature") return `${describeFeature(node)} at ${token}`;
  if (node.kind === "error") return `error of layer ${node.layer} at ${token}`;
  return node.kind === "token" ? `token ${node.position}` : `target at ${token}`;
}

/**
 * Layer and token alone, for lists.
 * @param {Graph} graph
 * @param {GraphNode} node
 */
export function abbreviatePlace(graph, node) {
  if (node.kind === "token") return `token ${node.position}`;
  const token = shorten(formatToken(graph.tokens[node.position]), 12);
  return node.kind === "target" ? token : `L${node.layer} ${token}`;
}
