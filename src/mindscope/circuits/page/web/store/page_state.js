/** What the reader has done to the page; the first seven in the words of public graph files (`qParams`). */

/** @import { Graph } from "../model/graph.js" */
/** @import { LinkType } from "../model/focus.js" */
/** @import { EditedLabels } from "../model/names.js" */
/** @import { Supernode } from "../model/supernodes.js" */
/** @import { BoxPlaces } from "../layout/box_layout.js" */

/**
 * @typedef {object} PageState
 * @property {string} clickedId the focus: a node's id or a supernode's, or empty
 * @property {readonly string[]} pinnedIds
 * @property {readonly Supernode[]} supernodes
 * @property {LinkType} linkType which links of the focus are shown
 * @property {number} pruningThreshold the largest cumulative influence that is shown
 * @property {EditedLabels} clerps
 * @property {BoxPlaces} places of boxes that were dragged
 * @property {readonly boolean[]} visible of every node whether it is shown; follows from threshold and pins
 * @property {number | null} hovered the number of the node under the pointer
 * @property {readonly string[] | null} grouping while G is held: the ids picked so far
 * @property {ReadonlySet<number> | null} matches the numbers of the nodes that a search gave
 */

/**
 * The state before the reader does anything: everything is shown, nothing is in focus.
 * @param {Graph} graph
 * @returns {PageState}
 */
export function createPageState(graph) {
  return {
    clickedId: "",
    pinnedIds: [],
    supernodes: [],
    linkType: "both",
    pruningThreshold: graph.highestInfluence,
    clerps: new Map(),
    places: new Map(),
    visible: graph.nodes.map(() => true),
    hovered: null,
    grouping: null,
    matches: null,
  };
}
