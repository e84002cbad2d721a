/** Search: what matches is ringed in the graph and listed below the field. */

import { abbreviatePlace, describePlace } from "../../model/names.js";
import { searchNodes } from "../../model/search.js";
import { formatCount } from "../../model/text.js";
import { getById, makeButton, makeElement } from "../dom.js";
import { chooseByClick, makeHoverListeners, holdsCtrl } from "../events.js";

const N_LISTED = 40;

export class SearchPanel {
  constructor(store, graphView) {
    this.store = store;
    this.graphView = graphView;
    this.field = getById("search");
    this.results = getById("results");
    this.field.addEventListener("input", () => this.search());
    this.field.addEventListener("keydown", (event) => this.answerFieldKey(event));
    this.results.addEventListener("keydown", (event) => this.answerResultKey(event));
  }

  search() {
    const { graph, state } = this.store;
    const matches = searchNodes(graph, state.visible, state.clerps, this.field.value);
    if (!matches) return this.close();
    this.store.update({ matches: new Set(matches.map((node) => node.index)) });
    const summary = matches.length ? `${formatCount(matches.length, "node")} found` : "nothing found";
    this.results.replaceChildren(
      makeElement("p", { class: "quiet", role: "status" }, summary),
      makeElement("ol", {}, ...matches.slice(0, N_LISTED).map((node) => this.makeEntry(node))),
    );
    this.results.hidden = false;
  }

  makeEntry(node) {
    const attributes = {
      class: "entry",
      "data-id": node.id,
      title: describePlace(this.store.graph, node),
      onclick: (event) => this.pick(node, event),
      ...makeHoverListeners(this.store, node.index),
    };
    const button = makeButton(
      attributes,
      makeElement("span", { class: "name" }, this.store.readLabel(node)),
      makeElement("span", { class: "where" }, abbreviatePlace(this.store.graph, node)),
    );
    return makeElement("li", {}, button);
  }

  /** Go to a node; while pinning or grouping the list stays open for more. */
  pick(node, event) {
    if (holdsCtrl(event) || this.store.state.grouping) return chooseByClick(this.store, node.id, event);
    this.close();
    this.field.value = "";
    this.store.update({ clickedId: node.id });
    this.graphView.showNode(node.index);
  }

  close() {
    this.results.hidden = true;
    this.results.replaceChildren();
    this.store.update({ matches: null });
  }

  answerFieldKey({ key }) {
    if (key === "Enter") this.results.querySelector(".entry")?.click();
    if (key === "ArrowDown") this.results.querySelector(".entry")?.focus();
    if (key !== "Escape") return;
    this.field.value = "";
    this.close();
    this.field.blur();
  }

  answerResultKey(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      const entries = [...this.results.querySelectorAll(".entry")];
      (entries[entries.indexOf(document.activeElement) + step] || this.field).focus();
      event.preventDefault();
    }
    if (event.key === "Escape") {
      this.close();
      this.field.focus();
    }
  }
}
