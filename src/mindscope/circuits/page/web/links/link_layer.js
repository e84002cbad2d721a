/** Links on a canvas as large as the window onto the graph. What is far from that window is not drawn. */

import { addCurve } from "../layout/curves.js";

/** @import { Spot } from "../layout/curves.js" */
/** @import { StyledLink } from "./link_styles.js" */

const SHARPEST = 2; // pixels of the canvas to a pixel of the page; more costs time and is hardly seen

export class LinkLayer {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this.width = 0;
    this.height = 0;
    this.ratio = 1;
  }

  /**
   * @param {number} width in pixels of the page
   * @param {number} height
   */
  resize(width, height) {
    this.width = width;
    this.height = height;
    this.ratio = Math.min(window.devicePixelRatio || 1, SHARPEST);
    this.canvas.width = Math.round(width * this.ratio);
    this.canvas.height = Math.round(height * this.ratio);
    this.canvas.style.setProperty("width", `${width}px`);
    this.canvas.style.setProperty("height", `${height}px`);
  }

  /**
   * Draw links, the last on top. The colours are the variables `--up` and `--down` of the style sheet.
   * @param {readonly StyledLink[]} styledLinks
   * @param {readonly (Spot | null)[]} spots of nodes; links of nodes without a spot are left out
   * @param {Spot} scroll the upper left corner of the window
   */
  draw(styledLinks, spots, scroll) {
    const { pen, ratio } = this;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, this.width, this.height);
    pen.translate(-scroll.x, -scroll.y);
    const style = getComputedStyle(this.canvas);
    // Links of one colour, width and opacity are one path: thousands of strokes would be too slow.
    for (const [key, ends] of this.batch(styledLinks, spots, scroll)) {
      const [sign, width, alpha] = key.split(" ");
      pen.strokeStyle = style.getPropertyValue(`--${sign}`);
      pen.lineWidth = Number(width);
      pen.globalAlpha = Number(alpha);
      pen.beginPath();
      for (const [from, to] of ends) addCurve(pen, from, to);
      pen.stroke();
    }
  }

  /**
   * The ends of the links near the window, by "sign width opacity".
   * @param {readonly StyledLink[]} styledLinks
   * @param {readonly (Spot | null)[]} spots
   * @param {Spot} scroll
   */
  batch(styledLinks, spots, scroll) {
    /** @type {Map<string, [Spot, Spot][]>} */
    const batches = new Map();
    for (const { link, width, alpha } of styledLinks) {
      const [from, to] = [spots[link.source], spots[link.target]];
      if (!from || !to || this.isOutside(from, to, scroll)) continue;
      const key = `${link.weight < 0 ? "down" : "up"} ${width.toFixed(1)} ${alpha.toFixed(1)}`;
      const batch = batches.get(key);
      if (batch) batch.push([from, to]);
      else batches.set(key, [[from, to]]);
    }
    return batches;
  }

  /**
   * @param {Spot} from
   * @param {Spot} to
   * @param {Spot} scroll
   */
  isOutside(from, to, scroll) {
    return (
      Math.max(from.x, to.x) < scroll.x ||
      Math.min(from.x, to.x) > scroll.x + this.width ||
      Math.max(from.y, to.y) < scroll.y ||
      Math.min(from.y, to.y) > scroll.y + this.height
    );
  }
}
