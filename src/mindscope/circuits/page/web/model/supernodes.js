/**
 * Supernodes: groups of nodes as public graph files have them, `[label, id, id, ...]`.
 *
 * A supernode is called by its number in the list, which changes with the list. So whatever changes the list
 * goes through `regroup`, which moves along what was said of a supernode: its place, and the focus on it.
 */

/** @import { Graph } from "./graph.js" */

/** @typedef {readonly string[]} Supernode a label, and the ids of the members */

/**
 * @typedef {object} Grouped what depends on the numbers of supernodes
 * @property {readonly Supernode[]} supernodes
 * @property {ReadonlyMap<string, readonly number[]>} places of dragged boxes, by the ids of their boxes
 * @property {string} clickedId the focus: a node's id or a supernode's, or empty
 */

/** @param {number} number */
export function composeSupernodeId(number) {
  return `supernode-${number}`;
}

/**
 * The number of the supernode that an id stands for; null for a node's id.
 * @param {string} id
 */
export function readSupernodeNumber(id) {
  const digits = /^supernode-(\d+)$/.exec(id)?.[1];
  return digits === undefined ? null : Number(digits);
}

/**
 * The numbers of the nodes that an id stands for: one node's, or those of a supernode's members.
 * @param {Graph} graph
 * @param {readonly Supernode[]} supernodes
 * @param {string} id
 * @returns {number[]}
 */
export function findMembers(graph, supernodes, id) {
  const number = readSupernodeNumber(id);
  const ids = number === null ? [id] : (supernodes[number] ?? []).slice(1);
  return ids.flatMap((member) => graph.numbers.get(member) ?? []);
}

/**
 * The supernodes without some nodes. A supernode that has a single member left is dissolved.
 * @param {readonly Supernode[]} supernodes
 * @param {readonly string[]} ids
 */
export function removeMembers(supernodes, ids) {
  return supernodes.flatMap((supernode) => {
    const [label, ...members] = supernode;
    const kept = members.filter((id) => !ids.includes(id));
    if (kept.length === members.length) return [supernode];
    return kept.length > 1 ? [[label, ...kept]] : [];
  });
}

/**
 * What changes with a new list of supernodes.
 * @param {Grouped} grouped
 * @param {readonly Supernode[]} supernodes
 * @returns {Grouped}
 */
export function regroup(grouped, supernodes) {
  const moveId = (/** @type {string} */ id) => {
    const number = readSupernodeNumber(id);
    if (number === null) return id;
    const moved = supernodes.indexOf(grouped.supernodes[number]);
    return moved < 0 ? "" : composeSupernodeId(moved);
  };
  const places = new Map([...grouped.places].map(([id, place]) => [moveId(id), place]));
  places.delete("");
  return { supernodes, places, clickedId: moveId(grouped.clickedId) };
}

/**
 * A new supernode at the end of the list; its members leave the supernodes that they were in.
 * @param {Grouped} grouped
 * @param {string} label
 * @param {readonly string[]} ids
 */
export function addSupernode(grouped, label, ids) {
  return regroup(grouped, [...removeMembers(grouped.supernodes, ids), [label, ...ids]]);
}

/**
 * @param {Grouped} grouped
 * @param {number} number
 */
export function removeSupernode(grouped, number) {
  return regroup(grouped, grouped.supernodes.toSpliced(number, 1));
}

/**
 * @param {readonly Supernode[]} supernodes
 * @param {number} number
 * @param {string} label
 * @returns {readonly Supernode[]}
 */
export function renameSupernode(supernodes, number, label) {
  return supernodes.map((supernode, i) => (i === number ? [label, ...supernode.slice(1)] : supernode));
}
