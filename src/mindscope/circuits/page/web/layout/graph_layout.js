/**
 * Where nodes stand: a column for every token, a band for every layer, targets in a band of their own on top.
 *
 * 1. Nodes are put into cells, a cell for every layer and token. A cell too full for one line has several.
 * 2. Sizes are tried from large to small: how far apart nodes stand, and how many make a line of a cell. The
 *    first that fits the view is taken; else one that fits its width, and the view scrolls downwards; else a
 *    fixed one, and the view scrolls both ways.
 * 3. What is left of the view is shared among columns and bands.
 * 4. Targets go above their token, pushed apart as far as their slanted labels need.
 *
 * Measuring text is left to the caller, so that nothing here needs a browser.
 */

import { formatToken } from "../model/text.js";

/** @import { Graph, GraphNode } from "../model/graph.js" */
/** @import { Spot } from "./curves.js" */

export const MARGIN = { left: 44, right: 14, bottom: 6 };

/** Where targets' names are turned to, and how far; the views write with it. */
export const SLANT_DEGREES = 42;

const LONGEST_TEXT = 96; // room for a token or target that is not written level
const TARGET_STEP = 20; // slanted labels stay readable from this distance on
const NODE_STEPS = [13, 11, 9, 8];
const LINE_LENGTHS = [24, 16, 12, 8, 6, 4];
const SCROLLED_STEP = 9; // where the view must scroll anyway nodes need not be as small as possible

/**
 * @typedef {object} GraphLayout
 * @property {(Spot | null)[]} spots of all nodes; null for a node that is not shown
 * @property {number} width of the whole, which may be larger than the view
 * @property {number} height
 * @property {number[]} left of every column
 * @property {number[]} columns their widths
 * @property {number[]} base the lower edge of every band, tokens first
 * @property {number[]} bands their heights
 * @property {number} head the height above the bands, where targets are
 * @property {number} foot the height below the bands, where tokens are written
 * @property {boolean} upright whether tokens are written upright because a column is too narrow
 * @property {number} radius of a node
 */

/**
 * @typedef {object} TextMeasure
 * @property {(text: string) => number} measureWidth in pixels
 * @property {(node: GraphNode) => string} nameTarget what is written above a target
 */

/**
 * Place the nodes that are shown in a view.
 * @param {Graph} graph
 * @param {readonly GraphNode[]} shown
 * @param {{ width: number, height: number }} view
 * @param {TextMeasure} text
 * @returns {GraphLayout}
 */
export function arrangeNodes(graph, shown, view, text) {
  const cells = fillCells(graph, shown);
  const targetCells = cells[graph.nLayers + 1];
  const inner = cells.slice(0, -1);
  const targetWidths = targetCells.flat().map((node) => text.measureWidth(text.nameTarget(node)));
  const head = targetWidths.length
    ? Math.sin((SLANT_DEGREES * Math.PI) / 180) * limitText(targetWidths) + 40
    : 10;
  const tokenWidths = graph.tokens.map((token) => text.measureWidth(formatToken(token)));
  const uprightFoot = limitText(tokenWidths) + 14;
  const room = view.width - MARGIN.left - MARGIN.right;
  const roomAbove = (/** @type {number} */ foot) => view.height - head - foot - MARGIN.bottom;

  const sizes = chooseSizes(inner, room, roomAbove(uprightFoot));
  const columns = spread(sizes.columns, room);
  const upright = tokenWidths.some((width, i) => width > columns[i] - 6);
  const foot = upright ? uprightFoot : 24;
  const bands = spread(sizes.bands, roomAbove(foot));

  const width = MARGIN.left + MARGIN.right + sum(columns);
  const height = head + foot + MARGIN.bottom + sum(bands);
  const left = columns.map((_, i) => MARGIN.left + sum(columns.slice(0, i)));
  const base = bands.map((_, row) => height - foot - MARGIN.bottom - sum(bands.slice(0, row)));
  /** @type {(Spot | null)[]} */
  const spots = new Array(graph.nodes.length).fill(null);
  inner.forEach((row, r) =>
    row.forEach((cell, c) => {
      const middle = { x: left[c] + columns[c] / 2, y: base[r] - bands[r] / 2 };
      placeCell(cell, middle, sizes, spots);
    }),
  );
  const middles = columns.map((column, i) => left[i] + column / 2);
  placeTargets(targetCells, middles, width - MARGIN.right, head - 14, spots);
  const radius = sizes.step * 0.36;
  return { spots, width, height, left, columns, base, bands, head, foot, upright, radius };
}

/**
 * Cells by row and token, their nodes in the order in which they stand: features by influence, then errors.
 * @param {Graph} graph
 * @param {readonly GraphNode[]} shown
 */
function fillCells(graph, shown) {
  const cells = Array.from({ length: graph.nLayers + 2 }, () =>
    graph.tokens.map(() => /** @type {GraphNode[]} */ ([])),
  );
  for (const node of shown) cells[node.row][node.position].push(node);
  const rank = (/** @type {GraphNode} */ node) => (node.kind === "error" ? 2 : (node.influence ?? 1));
  for (const cell of cells.flat()) cell.sort((a, b) => rank(a) - rank(b));
  return cells;
}

/**
 * The largest sizes that fit: the distance of nodes, nodes in a line, and what columns and bands then need.
 * @param {GraphNode[][][]} cells rows x tokens
 * @param {number} width
 * @param {number} height
 */
function chooseSizes(cells, width, height) {
  const fullestInColumn = cells[0].map((_, c) => Math.max(...cells.map((row) => row[c].length)));
  const fullestInRow = cells.map((row) => Math.max(1, ...row.map((cell) => cell.length)));
  const measure = (/** @type {number} */ step, /** @type {number} */ line) => ({
    step,
    line,
    columns: fullestInColumn.map((count) => Math.max(16, Math.min(count, line) * step + 8)),
    bands: fullestInRow.map((count) => Math.ceil(count / line) * step + 4),
  });
  const tries = NODE_STEPS.flatMap((step) => LINE_LENGTHS.map((line) => measure(step, line)));
  const fitting = tries.filter(({ columns }) => sum(columns) <= width);
  return (
    fitting.find(({ bands }) => sum(bands) <= height) ??
    fitting.find(({ step }) => step === SCROLLED_STEP) ??
    measure(SCROLLED_STEP, 6)
  );
}

/**
 * @param {readonly GraphNode[]} cell
 * @param {Spot} middle
 * @param {{ step: number, line: number }} sizes
 * @param {(Spot | null)[]} spots filled in
 */
function placeCell(cell, middle, { step, line }, spots) {
  const nLines = Math.ceil(cell.length / line);
  cell.forEach((node, i) => {
    const lineNumber = Math.floor(i / line);
    const lineLength = Math.min(line, cell.length - lineNumber * line);
    spots[node.index] = {
      x: middle.x + ((i % line) - (lineLength - 1) / 2) * step,
      y: middle.y + ((nLines - 1) / 2 - lineNumber) * step,
    };
  });
}

/**
 * Targets in a line above their tokens. From the right edge on, each is pushed left by the one before it.
 * @param {readonly (readonly GraphNode[])[]} cells by token
 * @param {readonly number[]} middles of columns
 * @param {number} rightEdge
 * @param {number} y
 * @param {(Spot | null)[]} spots filled in
 */
function placeTargets(cells, middles, rightEdge, y, spots) {
  const wishes = cells.flatMap((cell, c) =>
    cell.map((node, i) => ({ node, x: middles[c] + (i - (cell.length - 1) / 2) * TARGET_STEP })),
  );
  let limit = rightEdge;
  for (const { node, x } of wishes.reverse()) {
    spots[node.index] = { x: Math.min(x, limit), y };
    limit = Math.min(x, limit) - TARGET_STEP;
  }
}

/** @param {readonly number[]} widths */
function limitText(widths) {
  return Math.min(LONGEST_TEXT, Math.max(0, ...widths));
}

/**
 * Sizes that share what is left of a space equally.
 * @param {readonly number[]} sizes
 * @param {number} space
 */
function spread(sizes, space) {
  const rest = Math.max(0, space - sum(sizes)) / sizes.length;
  return sizes.map((size) => size + rest);
}

/** @param {readonly number[]} list */
function sum(list) {
  return list.reduce((total, value) => total + value, 0);
}
