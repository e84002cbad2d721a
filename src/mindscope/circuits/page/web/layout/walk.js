/** Where the arrow keys lead from a node: along its row, or to the nearest node of the next row. */

/** @import { Graph, GraphNode } from "../model/graph.js" */
/** @import { Spot } from "./curves.js" */

/** @typedef {"ArrowLeft" | "ArrowRight" | "ArrowUp" | "ArrowDown"} ArrowKey */

/**
 * @param {Graph} graph
 * @param {readonly (Spot | null)[]} spots null for nodes that are not shown
 * @param {GraphNode} from
 * @param {ArrowKey} key
 * @returns {GraphNode | undefined} undefined at the edge of the graph
 */
export function findNextNode(graph, spots, from, key) {
  const others = graph.nodes.filter((node) => spots[node.index] && node !== from);
  const sign = key === "ArrowRight" || key === "ArrowUp" ? 1 : -1;
  return key === "ArrowLeft" || key === "ArrowRight"
    ? walkAlong(others, spots, from, sign)
    : walkAcross(others, spots, from, sign);
}

/**
 * Within a row nodes may stand in several lines of a cell: the lowest line first, each from left to right.
 * @param {GraphNode[]} others
 * @param {readonly (Spot | null)[]} spots
 * @param {GraphNode} from
 * @param {number} sign
 */
function walkAlong(others, spots, from, sign) {
  const readOrder = (/** @type {GraphNode} */ node) => {
    const { x, y } = readSpot(spots, node);
    return [node.position, -y, x];
  };
  const compare = (/** @type {GraphNode} */ a, /** @type {GraphNode} */ b) => {
    const [left, right] = [readOrder(a), readOrder(b)];
    return left.map((value, i) => value - right[i]).find((difference) => Math.abs(difference) > 0.01) ?? 0;
  };
  const ahead = others.filter((node) => node.row === from.row && sign * compare(node, from) > 0);
  return ahead.sort((a, b) => sign * compare(a, b))[0];
}

/**
 * @param {GraphNode[]} others
 * @param {readonly (Spot | null)[]} spots
 * @param {GraphNode} from
 * @param {number} sign
 */
function walkAcross(others, spots, from, sign) {
  const ahead = others.filter((node) => sign * (node.row - from.row) > 0);
  const nextRow = sign * Math.min(...ahead.map((node) => sign * node.row));
  const { x } = readSpot(spots, from);
  const measure = (/** @type {GraphNode} */ node) => Math.abs(readSpot(spots, node).x - x);
  return ahead.filter((node) => node.row === nextRow).sort((a, b) => measure(a) - measure(b))[0];
}

/**
 * @param {readonly (Spot | null)[]} spots
 * @param {GraphNode} node one that is shown
 */
function readSpot(spots, node) {
  return /** @type {Spot} */ (spots[node.index]);
}
