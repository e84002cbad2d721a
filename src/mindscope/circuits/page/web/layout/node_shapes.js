/** The outlines of nodes around their spots, as SVG path data. */

/** @import { NodeKind } from "../model/graph.js" */

/**
 * A circle for a feature, a diamond for an error, a square for a token and a target.
 * @param {NodeKind} kind
 * @param {number} radius
 */
export function composeOutline(kind, radius) {
  const r = kind === "target" ? radius * 1.15 : radius;
  if (kind === "error") return `M0 ${-r * 1.15}L${r * 1.15} 0L0 ${r * 1.15}L${-r * 1.15} 0Z`;
  if (kind === "feature") return `M${-r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`;
  return `M${-r * 0.9} ${-r * 0.9}h${1.8 * r}v${1.8 * r}h${-1.8 * r}Z`;
}
