/** The layer x token graph: nodes as SVG, links on two canvases below them, axes that stay in view. */

import { MARGIN, arrangeNodes } from "../../layout/graph_layout.js";
import { LinkLayer } from "../../links/link_layer.js";
import { N_DRAWN_LINKS, styleBackground, styleFocus } from "../../links/link_styles.js";
import { compareStrength } from "../../model/graph.js";
import { abbreviateTarget } from "../../model/names.js";
import { formatCount } from "../../model/text.js";
import { isLinkVisible, pickLargestLinks } from "../../model/visibility.js";
import { getById, measureInside, setStyle } from "../dom.js";
import { writeAxes } from "./axes.js";
import { NodeMarks } from "./node_marks.js";

const N_HOVERED_LINKS = 400; // of the node under the pointer; more are a cloud, and slow the pointer down

export class GraphView {
  constructor(store) {
    this.store = store;
    this.scroller = getById("scroller");
    this.nodeMarks = new NodeMarks(store);
    this.back = new LinkLayer(getById("links-back")); // the focus, or without one the largest of all
    this.front = new LinkLayer(getById("links-front")); // the node under the pointer
    this.text = {
      measureWidth: makeRuler(),
      nameTarget: (node) => abbreviateTarget(store.graph, store.state.clerps, node),
    };
    this.layout = null;
    this.background = [];
    this.nodeMarks.name();
    this.arrange();
    this.subscribe();
  }

  subscribe() {
    const { store, nodeMarks } = this;
    store.subscribe(["clerps"], () => {
      nodeMarks.name();
      writeAxes(store, this.layout);
    });
    store.subscribe(["pruningThreshold"], () => this.arrange());
    store.subscribe(["pinnedIds"], () => (this.isOutdated() ? this.arrange() : nodeMarks.paint()));
    store.subscribe(["clickedId", "supernodes", "linkType", "matches", "grouping"], () => nodeMarks.paint());
    store.subscribe(["clickedId", "supernodes", "linkType", "pinnedIds"], () => this.drawBack());
    store.subscribe(["hovered", "linkType"], () => {
      nodeMarks.markHovered();
      this.drawFront();
    });
    this.scroller.addEventListener("scroll", () => requestAnimationFrame(() => this.drawLinks()));
    new ResizeObserver(() => requestAnimationFrame(() => this.arrange())).observe(this.scroller);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.arrange());
  }

  /** Whether other nodes are visible than were arranged: pinning shows a node beyond the threshold. */
  isOutdated() {
    const { spots } = this.layout;
    return this.store.state.visible.some((isVisible, i) => isVisible !== Boolean(spots[i]));
  }

  /** Draw all of it anew. */
  arrange() {
    const { store, scroller } = this;
    const { graph } = store;
    const { visible } = store.state;
    const shown = store.findVisibleNodes();
    const view = measureInside(scroller);
    this.layout = arrangeNodes(graph, shown, view, this.text);
    const { width, height } = this.layout;
    setStyle(getById("sheet"), { width: `${width}px`, height: `${height}px` });
    const picture = getById("picture");
    picture.setAttribute("width", width);
    picture.setAttribute("height", height);
    this.back.resize(view.width, view.height);
    this.front.resize(view.width, view.height);
    this.background = pickLargestLinks(graph, visible, N_DRAWN_LINKS).reverse(); // the strongest on top
    this.nodeMarks.place(this.layout);
    writeAxes(store, this.layout);
    this.nodeMarks.paint();
    this.drawLinks();
    const nLinks = graph.links.filter((link) => isLinkVisible(visible, link)).length;
    const drawn = ` (the strongest ${N_DRAWN_LINKS.toLocaleString("en")} drawn)`;
    getById("amount").textContent =
      `${formatCount(shown.length, "node")}, ${formatCount(nLinks, "link")}` +
      (nLinks > N_DRAWN_LINKS ? drawn : "");
  }

  /** The links behind the nodes: those of the focus, or without one the largest of all. */
  styleBack() {
    const members = this.store.findFocus();
    if (!members.length) return styleBackground(this.background);
    return styleFocus(this.rankLinks(members, N_DRAWN_LINKS).reverse());
  }

  rankLinks(members, limit) {
    return this.store.findLinks(members).sort(compareStrength).slice(0, limit);
  }

  drawLinks() {
    this.drawBack();
    this.drawFront();
  }

  drawBack() {
    this.back.draw(this.styleBack(), this.layout.spots, this.readScroll());
  }

  drawFront() {
    const { hovered } = this.store.state;
    const links = hovered === null ? [] : this.rankLinks([hovered], N_HOVERED_LINKS);
    this.front.draw(styleFocus(links), this.layout.spots, this.readScroll());
  }

  readScroll() {
    return { x: this.scroller.scrollLeft, y: this.scroller.scrollTop };
  }

  /** Scroll a node into the middle of the window. */
  showNode(index) {
    const spot = this.layout.spots[index];
    if (!spot) return;
    const { width, height } = measureInside(this.scroller);
    this.scroller.scrollTo({ left: spot.x - width / 2, top: spot.y - height / 2 });
  }

  /** Give a node the keyboard's focus, and scroll if it is out of the window. */
  focusNode(index) {
    const { x, y } = this.layout.spots[index];
    const scroll = this.readScroll();
    const { width, height } = measureInside(this.scroller);
    const isInside =
      x > scroll.x + MARGIN.left && x < scroll.x + width && y > scroll.y && y < scroll.y + height;
    if (!isInside) this.showNode(index);
    this.nodeMarks.marks[index].focus({ preventScroll: true });
  }
}

/** A measure of text in the font of the axes. */
function makeRuler() {
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = `11.5px ${getComputedStyle(document.body).fontFamily}`;
  return (text) => pen.measureText(text).width;
}
