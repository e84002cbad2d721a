/** The nodes as SVG paths: where they stand, what they are called, and how the focus colours them. */

import { composeOutline } from "../../layout/node_shapes.js";
import { sumByNeighbour } from "../../model/focus.js";
import { describePlace } from "../../model/names.js";
import { getById, makeShape, setStyle } from "../dom.js";
import { chooseByClick } from "../events.js";

export class NodeMarks {
  constructor(store) {
    this.store = store;
    this.layer = getById("nodes");
    this.marks = store.graph.nodes.map((node) =>
      makeShape("path", {
        class: `node ${node.kind}`,
        "data-index": node.index,
        "data-id": node.id,
        role: "button",
        tabindex: -1,
      }),
    );
    this.layer.append(...this.marks);
    this.listen();
  }

  /** The node that an event is about; undefined for an event beside the nodes. */
  findNode(event) {
    const mark = event.target.closest?.(".node");
    return mark ? this.store.graph.nodes[mark.dataset.index] : undefined;
  }

  listen() {
    const { store, layer } = this;
    layer.addEventListener("pointerover", (event) => {
      const node = this.findNode(event);
      if (node) store.update({ hovered: node.index });
    });
    layer.addEventListener("pointerout", (event) => {
      if (this.findNode(event)) store.update({ hovered: null });
    });
    layer.addEventListener("click", (event) => {
      const node = this.findNode(event);
      if (node) chooseByClick(store, node.id, event);
      else if (!store.state.grouping) store.update({ clickedId: "" });
    });
    layer.addEventListener("focusin", (event) => {
      const node = this.findNode(event);
      if (!node) return;
      const mark = this.marks[node.index];
      if (mark.matches(":focus-visible")) store.update({ hovered: node.index });
      for (const entry of layer.querySelectorAll('[tabindex="0"]')) entry.setAttribute("tabindex", -1);
      mark.setAttribute("tabindex", 0);
    });
  }

  place({ spots, radius }) {
    for (const { index, kind } of this.store.graph.nodes) {
      const [mark, spot] = [this.marks[index], spots[index]];
      setStyle(mark, { display: spot ? "" : "none" });
      if (!spot) continue;
      mark.setAttribute("d", composeOutline(kind, radius));
      mark.setAttribute("transform", `translate(${spot.x.toFixed(1)} ${spot.y.toFixed(1)})`);
    }
    const entry = this.layer.querySelector('[tabindex="0"]'); // where the Tab key enters the graph
    if (entry && spots[entry.dataset.index]) return;
    entry?.setAttribute("tabindex", -1);
    this.marks[spots.findLastIndex(Boolean)]?.setAttribute("tabindex", 0);
  }

  /** Write what a screen reader says. */
  name() {
    for (const node of this.store.graph.nodes) {
      const name = `${this.store.readLabel(node)}: ${describePlace(this.store.graph, node)}`;
      this.marks[node.index].setAttribute("aria-label", name);
    }
  }

  /** Shade what the focus is linked to by sign and weight, and step back the rest. */
  paint() {
    const { graph, state } = this.store;
    const members = this.store.findFocus();
    const weights = sumByNeighbour(this.store.findLinks(members), members);
    const largest = Math.max(1e-30, ...[...weights.values()].map(Math.abs));
    const [focus, pinned, picked] = [new Set(members), new Set(state.pinnedIds), new Set(state.grouping)];
    for (const { index, id } of graph.nodes) {
      const mark = this.marks[index];
      const weight = weights.get(index);
      const isFocus = focus.has(index);
      const isBesideFocus = members.length > 0 && weight === undefined && !isFocus;
      mark.classList.toggle("clicked", isFocus);
      mark.classList.toggle("pinned", pinned.has(id));
      mark.classList.toggle("found", Boolean(state.matches?.has(index)));
      mark.classList.toggle("faded", state.matches ? !state.matches.has(index) : isBesideFocus);
      mark.classList.toggle("picked", picked.has(id));
      mark.setAttribute("aria-pressed", isFocus);
      setStyle(mark, { fill: weight === undefined ? "" : composeShade(weight, largest) });
    }
  }

  /** A node under the pointer shows wherever it stands: in the graph, in the lists and as a box. */
  markHovered() {
    for (const element of document.querySelectorAll(".hovered")) element.classList.remove("hovered");
    const { hovered } = this.store.state;
    if (hovered === null) return;
    const selector = `[data-id="${CSS.escape(this.store.graph.nodes[hovered].id)}"]`;
    for (const element of document.querySelectorAll(selector)) element.classList.add("hovered");
  }
}

function composeShade(weight, largest) {
  const share = 15 + 85 * (Math.abs(weight) / largest);
  return `color-mix(in srgb, var(--${weight < 0 ? "down" : "up"}) ${share.toFixed(0)}%, var(--card))`;
}
