/**
 * Where the boxes of the subgraph stand: later layers above, later tokens to the right.
 *
 * 1. Boxes of the same mean row share a line, or several where they are more than the panel's width has room
 *    for.
 * 2. In a line every box wishes for the middle of its token's column; columns are those of the boxes alone.
 * 3. Boxes are pushed to the right until none overlap. Then the line moves back, so that its mean is that of
 *    the wishes as far as the panel allows, and what still stands over the panel's right edge is pushed left.
 * 4. Boxes that the reader dragged stand where they were put.
 */

/** @import { Graph } from "../model/graph.js" */
/** @import { Box } from "../model/subgraph.js" */
/** @import { Spot } from "./curves.js" */

/** @typedef {{ width: number, height: number }} Size in pixels */
/** @typedef {ReadonlyMap<string, readonly number[]>} BoxPlaces x, y in thousandths of the panel, by box id */

export const BOX = { width: 128, height: 40, gap: 10 };

const STEP = BOX.width + BOX.gap; // from a box to the nearest that may stand beside it

/**
 * The upper left corners of boxes, by their ids.
 * @param {Graph} graph
 * @param {readonly Box[]} boxes
 * @param {Size} panel
 * @param {BoxPlaces} places of boxes that were dragged
 * @returns {Map<string, Spot>}
 */
export function placeBoxes(graph, boxes, panel, places) {
  const lines = fillLines(graph, boxes, panel.width);
  const pitch = Math.max(BOX.height + 14, (panel.height - BOX.gap) / Math.max(1, lines.length));
  const spots = new Map();
  lines.forEach((line, i) => {
    const y = BOX.gap / 2 + i * pitch + (pitch - BOX.height) / 2;
    const lefts = pushApart(
      line.map(({ column }) => column * panel.width - BOX.width / 2),
      panel.width,
    );
    line.forEach(({ box }, place) => spots.set(box.id, { x: lefts[place], y }));
  });
  for (const [id, [x, y]] of places) {
    if (spots.has(id)) spots.set(id, { x: (x / 1000) * panel.width, y: (y / 1000) * panel.height });
  }
  return spots;
}

/**
 * Lines of boxes from above, their boxes from left to right. `column` is the middle of a box's column, as a
 * share of the width.
 * @param {Graph} graph
 * @param {readonly Box[]} boxes
 * @param {number} width
 */
function fillLines(graph, boxes, width) {
  const placed = boxes.map((box) => {
    const members = box.members.map((member) => graph.nodes[member]);
    return {
      box,
      row: Math.round(average(members.map((node) => node.row))),
      position: average(members.map((node) => node.position)),
    };
  });
  const positions = [...new Set(placed.map(({ position }) => position))].sort((a, b) => a - b);
  const rows = [...new Set(placed.map(({ row }) => row))].sort((a, b) => b - a);
  const perLine = Math.max(1, Math.floor((width - BOX.gap) / STEP));
  const lines = [];
  for (const row of rows) {
    const line = placed
      .filter((entry) => entry.row === row)
      .map(({ box, position }) => ({ box, column: (positions.indexOf(position) + 0.5) / positions.length }))
      .sort((a, b) => a.column - b.column);
    while (line.length) lines.push(line.splice(0, perLine));
  }
  return lines;
}

/**
 * Left edges as near to the wished ones as boxes beside one another in the panel can be.
 * @param {readonly number[]} wishes from left to right
 * @param {number} width
 */
function pushApart(wishes, width) {
  /** @type {number[]} */
  const lefts = [];
  for (const wish of wishes) {
    const last = lefts.at(-1);
    lefts.push(last === undefined ? wish : Math.max(wish, last + STEP));
  }
  const leftmost = BOX.gap - lefts[0];
  const rightmost = width - STEP - lefts[lefts.length - 1];
  const shift = Math.max(leftmost, Math.min(average(wishes) - average(lefts), rightmost));
  let limit = width - STEP;
  for (let i = lefts.length - 1; i >= 0; i--) {
    // A panel narrower than a box has it at its left edge.
    lefts[i] = Math.max(BOX.gap + i * STEP, Math.min(lefts[i] + shift, limit));
    limit = lefts[i] - STEP;
  }
  return lefts;
}

/**
 * The places of all boxes as public graph files have them (`sg_pos`): x and y in thousandths, box by box.
 * @param {readonly Box[]} boxes
 * @param {ReadonlyMap<string, Spot>} spots
 * @param {Size} panel
 */
export function formatPlaces(boxes, spots, panel) {
  return boxes.flatMap((box) => roundPlace(/** @type {Spot} */ (spots.get(box.id)), panel)).join(" ");
}

/**
 * The places that a text of `formatPlaces` holds; none where it does not fit the boxes.
 * @param {readonly Box[]} boxes
 * @param {string} text
 * @returns {Map<string, number[]>}
 */
export function parsePlaces(boxes, text) {
  const values = text.split(" ").map(Number);
  if (values.length !== 2 * boxes.length || !values.every(Number.isFinite)) return new Map();
  return new Map(boxes.map((box, i) => [box.id, values.slice(2 * i, 2 * i + 2)]));
}

/**
 * A spot in thousandths of the panel.
 * @param {Spot} spot
 * @param {Size} panel
 */
export function roundPlace({ x, y }, panel) {
  return [Math.round((1000 * x) / panel.width), Math.round((1000 * y) / panel.height)];
}

/** @param {readonly number[]} list */
function average(list) {
  return list.reduce((sum, value) => sum + value, 0) / list.length;
}
