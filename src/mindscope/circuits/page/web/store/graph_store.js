/** The graph and the state of its page in one store: what views ask for, and what they may do. */

import { findLinks } from "../model/focus.js";
import { abbreviateLabel, editLabel, readLabel } from "../model/names.js";
import { addPins, toggleFocus, toggleIds, togglePins } from "../model/selection.js";
import { findBoxes, nameBox } from "../model/subgraph.js";
import { addSupernode, findMembers, removeSupernode, renameSupernode } from "../model/supernodes.js";
import { findVisible } from "../model/visibility.js";
import { createPageState } from "./page_state.js";
import { StateStore } from "./state_store.js";

/** @import { Graph, GraphNode } from "../model/graph.js" */
/** @import { Box } from "../model/subgraph.js" */
/** @import { PageState } from "./page_state.js" */

/** @extends {StateStore<PageState>} */
export class GraphStore extends StateStore {
  /**
   * @param {Graph} graph
   * @param {(run: () => void) => void} schedule when listeners are called, such as a browser's next frame
   */
  constructor(graph, schedule) {
    super(createPageState(graph), schedule);
    this.graph = graph;
  }

  /**
   * @override
   * @param {Partial<PageState>} changes
   */
  update(changes) {
    const { pruningThreshold, pinnedIds } = { ...this.state, ...changes };
    const moved = "pruningThreshold" in changes || "pinnedIds" in changes;
    super.update(
      moved ? { ...changes, visible: findVisible(this.graph, pruningThreshold, pinnedIds) } : changes,
    );
  }

  // What there is

  /** @param {GraphNode} node */
  readLabel(node) {
    return readLabel(this.graph, this.state.clerps, node);
  }

  /** @param {GraphNode} node */
  abbreviateLabel(node) {
    return abbreviateLabel(this.graph, this.state.clerps, node);
  }

  /** The numbers of the nodes in focus. */
  findFocus() {
    return this.findMembers(this.state.clickedId);
  }

  /** @param {string} id a node's or a supernode's */
  findMembers(id) {
    return findMembers(this.graph, this.state.supernodes, id);
  }

  /** @param {string} id a node's or a supernode's */
  findMemberIds(id) {
    return this.findMembers(id).map((member) => this.graph.nodes[member].id);
  }

  /** @param {readonly number[]} members */
  findLinks(members) {
    return findLinks(this.graph, this.state.visible, members, this.state.linkType);
  }

  findVisibleNodes() {
    return this.graph.nodes.filter((node) => this.state.visible[node.index]);
  }

  findBoxes() {
    return findBoxes(this.graph, this.state.pinnedIds, this.state.supernodes);
  }

  /** @param {Box} box */
  nameBox(box) {
    return nameBox(this.graph, this.state.clerps, this.state.supernodes, box);
  }

  // What the reader may do

  /** @param {string} id */
  toggleFocus(id) {
    this.update(toggleFocus(this.state, id));
  }

  /** @param {readonly string[]} ids */
  togglePins(ids) {
    this.update(togglePins(this.state, ids));
  }

  /**
   * @param {GraphNode} node
   * @param {string} text
   */
  editLabel(node, text) {
    this.update({ clerps: editLabel(this.state.clerps, node, text) });
  }

  /**
   * What a click on a node, a box or an entry of a list does.
   * @param {string} id
   * @param {{ pins?: boolean }} [options] whether the click pins instead of focusing
   */
  choose(id, { pins = false } = {}) {
    const ids = this.findMemberIds(id);
    if (this.state.grouping) this.update({ grouping: toggleIds(this.state.grouping, ids) });
    else if (pins) this.togglePins(ids);
    else this.toggleFocus(id);
  }

  startGroup() {
    if (!this.state.grouping) this.update({ grouping: [] });
  }

  /** Leave the grouping without a group. */
  dropGroup() {
    this.update({ grouping: null });
  }

  /**
   * Make a supernode of what was picked, with the label of the first.
   * @returns {{ label: string, nNodes: number } | null} null where fewer than two nodes were picked
   */
  finishGroup() {
    const ids = this.state.grouping;
    if (!ids) return null;
    this.dropGroup();
    if (ids.length < 2) return null;
    const label = this.readLabel(this.graph.nodes[this.findMembers(ids[0])[0]]);
    this.update({
      ...addSupernode(this.state, label, ids),
      pinnedIds: addPins(this.state.pinnedIds, ids),
    });
    return { label, nNodes: ids.length };
  }

  /** @param {number} number of a supernode */
  ungroup(number) {
    this.update(removeSupernode(this.state, number));
  }

  /**
   * @param {Box} box
   * @param {string} text
   */
  renameBox(box, text) {
    if (box.supernode === null) this.editLabel(this.graph.nodes[box.members[0]], text);
    else this.update({ supernodes: renameSupernode(this.state.supernodes, box.supernode, text) });
  }

  /**
   * @param {string} boxId
   * @param {readonly number[]} place in thousandths of the panel
   */
  moveBox(boxId, place) {
    this.update({ places: new Map(this.state.places).set(boxId, place) });
  }
}
