/** The reader's work in the address of the page, which can be kept and shared with the file. */

import { NO_FOCUS, readParams, writeParams } from "./reader_params.js";

/** @import { Size } from "../layout/box_layout.js" */
/** @import { GraphStore } from "./graph_store.js" */

/**
 * The part of the address behind the page's name. What is as it is at first is left out.
 * @param {ReturnType<typeof writeParams>} params
 * @param {number} highestInfluence the threshold at first
 */
export function formatAddress(params, highestInfluence) {
  const { pinnedIds, supernodes, linkType, clickedId, sg_pos, pruningThreshold, clerps } = params;
  const address = new URLSearchParams();
  if (pinnedIds.length) address.set("pinnedIds", pinnedIds.join(","));
  if (supernodes.length) address.set("supernodes", JSON.stringify(supernodes));
  if (linkType !== "both") address.set("linkType", linkType);
  if (clickedId) address.set("clickedId", clickedId);
  if (sg_pos) address.set("sg_pos", sg_pos);
  if (pruningThreshold !== highestInfluence) address.set("pruningThreshold", String(pruningThreshold));
  if (clerps.length) address.set("clerps", JSON.stringify(clerps));
  if (!clickedId) address.set("clickedId", NO_FOCUS);
  return `#${address}`;
}

/**
 * The parameters in an address; null where it has none.
 * @param {string} hash from its `#` on
 * @returns {Record<string, string> | null}
 */
export function parseAddress(hash) {
  const params = Object.fromEntries(new URLSearchParams(hash.slice(1)));
  return Object.keys(params).length ? params : null;
}

/**
 * Keep the store and the address alike: the address follows the store, and the store an address that the
 * reader or a link gives.
 * @param {GraphStore} store
 * @param {Record<string, any>} fileParams what the graph's file has, for an address without parameters
 * @param {() => Size} measurePanel the size of the subgraph's panel
 */
export function keepAddress(store, fileParams, measurePanel) {
  const { graph } = store;
  /** @type {string | null} */
  let written = null;
  const write = () => {
    written = formatAddress(writeParams(graph, store.state, measurePanel()), graph.highestInfluence);
    history.replaceState(null, "", written);
  };
  const read = () => {
    if (location.hash !== written) {
      store.update(readParams(graph, parseAddress(location.hash) ?? fileParams));
    }
  };
  store.subscribe(
    ["clickedId", "pinnedIds", "supernodes", "linkType", "pruningThreshold", "clerps", "places"],
    write,
  );
  addEventListener("hashchange", read);
  read();
}
