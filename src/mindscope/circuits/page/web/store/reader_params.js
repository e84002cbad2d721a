/** The reader's work as public graph files have it (`qParams`): written from the state, and read back. */

import { formatPlaces, parsePlaces, placeBoxes } from "../layout/box_layout.js";
import { addPins } from "../model/selection.js";
import { findBoxes } from "../model/subgraph.js";
import { findMembers } from "../model/supernodes.js";

/** @import { Graph } from "../model/graph.js" */
/** @import { LinkType } from "../model/focus.js" */
/** @import { Size } from "../layout/box_layout.js" */
/** @import { PageState } from "./page_state.js" */

const LINK_TYPES = ["both", "input", "output"];

/** The focus of an address that says that nothing is in focus; without a word the first target is. */
export const NO_FOCUS = "none";

/**
 * @param {Graph} graph
 * @param {PageState} state
 * @param {Size} panel of the subgraph, in whose thousandths places are given
 */
export function writeParams(graph, state, panel) {
  const boxes = findBoxes(graph, state.pinnedIds, state.supernodes);
  const spots = placeBoxes(graph, boxes, panel, state.places);
  return {
    pinnedIds: state.pinnedIds,
    supernodes: state.supernodes,
    linkType: state.linkType,
    clickedId: state.clickedId,
    sg_pos: state.places.size ? formatPlaces(boxes, spots, panel) : "",
    pruningThreshold: state.pruningThreshold,
    clerps: [...state.clerps],
  };
}

/**
 * The state that a file or an address asks for. What it does not say is as it is at first; what does not fit
 * the graph is left out: the address of a page may come from anywhere.
 * @param {Graph} graph
 * @param {Record<string, any>} params lists as such or as text
 * @returns {Pick<PageState, "clickedId" | "pinnedIds" | "supernodes" | "linkType" | "pruningThreshold" |
 *   "clerps" | "places">}
 */
export function readParams(graph, params) {
  const isKnown = (/** @type {string} */ id) => graph.numbers.has(id);
  const supernodes = parseList(params.supernodes)
    .filter(Array.isArray)
    .map(([label, ...ids]) => [String(label), ...ids.filter(isKnown)])
    .filter((supernode) => supernode.length > 1);
  const pinnedIds = addPins(
    splitIds(params.pinnedIds).filter(isKnown),
    supernodes.flatMap((supernode) => supernode.slice(1)),
  );
  const pairs = parseList(params.clerps).filter((pair) => Array.isArray(pair) && pair.length === 2);
  const threshold = Number.parseFloat(params.pruningThreshold);
  return {
    supernodes,
    pinnedIds,
    linkType: /** @type {LinkType} */ (LINK_TYPES.includes(params.linkType) ? params.linkType : "both"),
    pruningThreshold: Number.isFinite(threshold)
      ? Math.min(threshold, graph.highestInfluence)
      : graph.highestInfluence,
    clerps: new Map(pairs.map(([key, label]) => [String(key), String(label)])),
    places: parsePlaces(findBoxes(graph, pinnedIds, supernodes), String(params.sg_pos || "")),
    clickedId: readFocus(graph, supernodes, params.clickedId),
  };
}

/**
 * The id that is in focus at first: the given one, else the first target, which most want to see.
 * @param {Graph} graph
 * @param {readonly (readonly string[])[]} supernodes
 * @param {unknown} given
 */
function readFocus(graph, supernodes, given) {
  const id = String(given || "");
  if (findMembers(graph, supernodes, id).length) return id;
  if (given === NO_FOCUS) return "";
  return graph.nodes.find((node) => node.kind === "target")?.id ?? "";
}

/**
 * @param {unknown} value
 * @returns {any[]}
 */
function splitIds(value) {
  if (typeof value === "string") return value.split(",");
  return Array.isArray(value) ? value : [];
}

/**
 * A list that may be given as JSON; an empty one for what cannot be read.
 * @param {unknown} value
 * @returns {any[]}
 */
function parseList(value) {
  if (typeof value !== "string") return Array.isArray(value) ? value : [];
  try {
    return [JSON.parse(value)].flat(1);
  } catch {
    return [];
  }
}
