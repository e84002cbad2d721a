/** The panel of pinned nodes: their boxes, and the summed links between them. */

import { BOX, placeBoxes } from "../../layout/box_layout.js";
import { composeCurve } from "../../layout/curves.js";
import { sumBoxLinks } from "../../model/subgraph.js";
import { formatPercent, formatSigned } from "../../model/text.js";
import { getById, makeShape, measureInside, refill } from "../dom.js";
import { makeBox } from "./subgraph_box.js";

export class SubgraphPanel {
  constructor(store) {
    this.store = store;
    this.panel = getById("subgraph");
    this.boxLayer = getById("subgraph-boxes");
    this.linkLayer = getById("subgraph-links");
    this.spots = new Map(); // of boxes, while one is dragged too
    store.subscribe(
      ["pinnedIds", "supernodes", "clerps", "clickedId", "grouping", "pruningThreshold", "places"],
      () => this.write(),
    );
    new ResizeObserver(() => requestAnimationFrame(() => this.write())).observe(this.panel);
  }

  measure() {
    return measureInside(this.panel);
  }

  write() {
    if (this.boxLayer.querySelector("input")) return; // a name is being written; its end draws anew
    const { graph, state } = this.store;
    const boxes = this.store.findBoxes();
    getById("subgraph-empty").hidden = boxes.length > 0;
    this.spots = placeBoxes(graph, boxes, this.measure(), state.places);
    refill(this.boxLayer, ...boxes.map((box) => makeBox(this.store, this, box)));
    this.drawLinks();
  }

  drawLinks() {
    const { graph, state } = this.store;
    const bottoms = [...this.spots.values()].map(({ y }) => y + BOX.height + 4);
    this.linkLayer.setAttribute("height", Math.max(this.measure().height, ...bottoms));
    const links = sumBoxLinks(graph, state.visible, this.store.findBoxes());
    const largest = Math.max(1e-30, ...links.map(({ share }) => share));
    this.linkLayer.replaceChildren(...links.map((link) => this.makeLink(link, largest)));
  }

  /** From the middle of the lower box's upper edge to the middle of the upper box's lower edge. */
  makeLink({ from, to, weight, share }, largest) {
    const [start, end] = [this.spots.get(from.id), this.spots.get(to.id)];
    const [name, other] = [this.store.nameBox(from), this.store.nameBox(to)];
    const title = `${name} → ${other}: ${formatSigned(weight)} (${formatPercent(share)} of the inputs)`;
    return makeShape(
      "path",
      {
        class: weight < 0 ? "down" : "up",
        d: composeCurve(
          { x: start.x + BOX.width / 2, y: start.y },
          { x: end.x + BOX.width / 2, y: end.y + BOX.height },
        ),
        style: {
          "stroke-width": (0.8 + (6 * share) / largest).toFixed(1),
          "stroke-opacity": (0.35 + (0.5 * share) / largest).toFixed(2),
        },
        "data-weight": weight,
      },
      makeShape("title", {}, title),
    );
  }

  /** Move a box while it is dragged, inside the panel. */
  moveBox(box, element, { x, y }) {
    const { width, height } = this.measure();
    const spot = {
      x: Math.max(0, Math.min(x, width - BOX.width)),
      y: Math.max(0, Math.min(y, height - BOX.height)),
    };
    this.spots.set(box.id, spot);
    element.style.setProperty("left", `${spot.x}px`);
    element.style.setProperty("top", `${spot.y}px`);
    this.drawLinks();
  }
}
