/** The public graph document with the reader's work in it, as the page saves it. */

import { writeParams } from "./reader_params.js";

/** @import { Graph } from "../model/graph.js" */
/** @import { Size } from "../layout/box_layout.js" */
/** @import { PageState } from "./page_state.js" */

/**
 * @param {Record<string, any>} content what Python put into the page
 * @param {Graph} graph
 * @param {PageState} state
 * @param {Size} panel of the subgraph
 */
export function composeDocument(content, graph, state, panel) {
  return {
    ...content.beside,
    metadata: content.metadata,
    qParams: { ...content.qParams, ...writeParams(graph, state, panel) },
    nodes: content.nodes.map((/** @type {Record<string, any>} */ node, /** @type {number} */ i) => ({
      ...node,
      clerp: state.clerps.get(graph.nodes[i].labelKey) ?? node.clerp,
    })),
    links: graph.links.map(({ source, target, weight }) => ({
      source: graph.nodes[source].id,
      target: graph.nodes[target].id,
      weight,
    })),
  };
}

/**
 * A name for files of the graph, without what a file system may not take.
 * @param {Record<string, any>} content
 */
export function composeFileName(content) {
  return String(content.metadata.slug || "graph").replace(/[^\w.-]+/g, "_");
}
