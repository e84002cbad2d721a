/** The subgraph of pinned nodes: a box for every node or supernode, and the summed links between boxes. */

import { abbreviateLabel } from "./names.js";
import { composeSupernodeId, findMembers } from "./supernodes.js";
import { isLinkVisible } from "./visibility.js";

/** @import { Graph } from "./graph.js" */
/** @import { EditedLabels } from "./names.js" */
/** @import { Supernode } from "./supernodes.js" */

/**
 * @typedef {object} Box
 * @property {string} id the node's or the supernode's
 * @property {number | null} supernode its number; null for a single node
 * @property {number[]} members the numbers of its nodes
 */

/**
 * @typedef {object} BoxLink
 * @property {Box} from
 * @property {Box} to
 * @property {number} weight summed over the links between members
 * @property {number} share of all that goes into the members of `to`, in absolute values
 */

/**
 * Boxes in the order of the pins; a supernode's box comes where its first pinned member does.
 * @param {Graph} graph
 * @param {readonly string[]} pinnedIds
 * @param {readonly Supernode[]} supernodes
 * @returns {Box[]}
 */
export function findBoxes(graph, pinnedIds, supernodes) {
  const boxes = new Map();
  for (const pinnedId of pinnedIds) {
    const number = supernodes.findIndex((supernode) => supernode.includes(pinnedId, 1));
    const id = number < 0 ? pinnedId : composeSupernodeId(number);
    if (boxes.has(id)) continue;
    boxes.set(id, { id, supernode: number < 0 ? null : number, members: findMembers(graph, supernodes, id) });
  }
  return [...boxes.values()];
}

/**
 * @param {Graph} graph
 * @param {readonly boolean[]} visible
 * @param {readonly Box[]} boxes
 * @returns {BoxLink[]}
 */
export function sumBoxLinks(graph, visible, boxes) {
  const boxOfNode = new Map(boxes.flatMap((box) => box.members.map((member) => [member, box])));
  const sums = new Map();
  for (const to of boxes) {
    for (const link of to.members.flatMap((member) => graph.inputs[member])) {
      const from = boxOfNode.get(link.source);
      if (!from || from === to || !isLinkVisible(visible, link)) continue;
      const key = `${from.id} ${to.id}`;
      const sum = sums.get(key) ?? { from, to, weight: 0 };
      sum.weight += link.weight;
      sums.set(key, sum);
    }
  }
  // The share is of everything that goes into the box, also of what is not pinned or not visible.
  const sumInput = (/** @type {Box} */ box) =>
    box.members.reduce((sum, member) => sum + graph.absoluteInput[member], 0);
  return [...sums.values()].map((sum) => ({ ...sum, share: Math.abs(sum.weight) / (sumInput(sum.to) || 1) }));
}

/**
 * @param {Graph} graph
 * @param {EditedLabels} clerps
 * @param {readonly Supernode[]} supernodes
 * @param {Box} box
 */
export function nameBox(graph, clerps, supernodes, box) {
  if (box.supernode !== null) return supernodes[box.supernode][0];
  return abbreviateLabel(graph, clerps, graph.nodes[box.members[0]]);
}
