/** What clicks and pins change of the reader's selection; every function gives the new values. */

import { regroup, removeMembers } from "./supernodes.js";

/** @import { Grouped, Supernode } from "./supernodes.js" */

/** @typedef {Grouped & { pinnedIds: readonly string[] }} Selection */

/**
 * A click on what is in focus takes the focus off.
 * @param {Selection} selection
 * @param {string} id
 */
export function toggleFocus(selection, id) {
  return { clickedId: selection.clickedId === id ? "" : id };
}

/**
 * Adds `ids`, or removes them where all of them are there.
 * @param {readonly string[]} list
 * @param {readonly string[]} ids
 */
export function toggleIds(list, ids) {
  const rest = list.filter((id) => !ids.includes(id));
  return ids.every((id) => list.includes(id)) ? rest : [...rest, ...ids];
}

/**
 * Pins nodes, or unpins them where all of them are pinned; what is unpinned leaves its supernode.
 * @param {Selection} selection
 * @param {readonly string[]} ids
 * @returns {Partial<Selection>}
 */
export function togglePins(selection, ids) {
  const pinnedIds = toggleIds(selection.pinnedIds, ids);
  if (ids.some((id) => pinnedIds.includes(id))) return { pinnedIds };
  return { ...regroup(selection, removeMembers(selection.supernodes, ids)), pinnedIds };
}

/**
 * The pins with `ids` among them, in the order in which they came.
 * @param {readonly string[]} pinnedIds
 * @param {readonly string[]} ids
 */
export function addPins(pinnedIds, ids) {
  return [...new Set([...pinnedIds, ...ids])];
}
