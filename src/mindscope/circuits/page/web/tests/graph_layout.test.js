import assert from "node:assert/strict";
import { test } from "node:test";
import { MARGIN, arrangeNodes } from "../layout/graph_layout.js";
import { findNextNode } from "../layout/walk.js";
import { drawGraph, small } from "./graphs.js";

const TEXT = { measureWidth: (text) => 6 * text.length, nameTarget: (node) => node.id };
const VIEW = { width: 900, height: 520 };
const SIZES = [
  { nTokens: 8, nLayers: 4, nNodes: 40, nTargets: 3 },
  { nTokens: 12, nLayers: 12, nNodes: 300, nTargets: 10 },
  { nTokens: 64, nLayers: 26, nNodes: 1500, nTargets: 10 },
  { nTokens: 2, nLayers: 1, nNodes: 400, nTargets: 1 },
];
const GRAPHS = SIZES.flatMap((size) => [0, 1, 2].map((seed) => drawGraph({ ...size, seed })));

/** The smallest distance of two spots, compared with their neighbours in a grid of cells of this size. */
function findOverlap(spots, distance) {
  const grid = new Map();
  const key = (x, y) => `${Math.floor(x / distance)} ${Math.floor(y / distance)}`;
  for (const [index, { x, y }] of spots) {
    for (const dx of [-distance, 0, distance]) {
      for (const dy of [-distance, 0, distance]) {
        for (const other of grid.get(key(x + dx, y + dy)) ?? []) {
          if (Math.hypot(other.x - x, other.y - y) < distance - 1e-6) return [index, other.index];
        }
      }
    }
    const cell = key(x, y);
    grid.set(cell, [...(grid.get(cell) ?? []), { index, x, y }]);
  }
  return null;
}

test("no two nodes overlap, however full the graph is", () => {
  for (const graph of GRAPHS) {
    const { spots, radius } = arrangeNodes(graph, graph.nodes, VIEW, TEXT);
    assert.equal(findOverlap([...spots.entries()], 2 * radius), null);
  }
});

test("nodes stand in their column and band, and all of it inside the sheet", () => {
  for (const graph of GRAPHS) {
    const layout = arrangeNodes(graph, graph.nodes, VIEW, TEXT);
    const { spots, left, columns, base, bands, radius } = layout;
    for (const { index, kind, position, row } of graph.nodes) {
      const { x, y } = spots[index];
      assert.ok(
        x - radius >= 0 && x + radius <= layout.width && y - radius >= 0 && y + radius <= layout.height,
      );
      if (kind === "target") continue;
      assert.ok(x - radius >= left[position] && x + radius <= left[position] + columns[position]);
      assert.ok(y + radius <= base[row] && y - radius >= base[row] - bands[row]);
    }
  }
});

test("columns and bands follow one another without gaps", () => {
  const { left, columns, base, bands, width, height, head, foot } = arrangeNodes(
    small,
    small.nodes,
    VIEW,
    TEXT,
  );
  left.forEach((x, i) => assert.equal(x, i ? left[i - 1] + columns[i - 1] : MARGIN.left));
  base.forEach((y, row) => row && assert.ok(Math.abs(y - (base[row - 1] - bands[row - 1])) < 1e-9));
  assert.ok(Math.abs(width - VIEW.width) < 1e-9);
  assert.ok(Math.abs(height - VIEW.height) < 1e-9);
  assert.ok(Math.abs(base[2] - bands[2] - head) < 1e-9);
  assert.equal(base[0], height - foot - MARGIN.bottom);
});

test("a graph that fits fills the view, and one that does not is larger", () => {
  const fits = arrangeNodes(GRAPHS[0], GRAPHS[0].nodes, VIEW, TEXT);
  assert.ok(Math.abs(fits.width - VIEW.width) < 1e-9 && Math.abs(fits.height - VIEW.height) < 1e-9);
  const full = arrangeNodes(GRAPHS[6], GRAPHS[6].nodes, { width: 300, height: 200 }, TEXT);
  assert.ok(full.width > 300 && full.height > 200);
});

test("in a cell features come by influence, then errors", () => {
  const { spots } = arrangeNodes(small, small.nodes, VIEW, TEXT);
  const [, , , , feature, error] = spots;
  assert.equal(feature.y, error.y);
  assert.ok(feature.x < error.x);
});

test("nodes that are not shown have no spot, and what is left has their room", () => {
  const graph = GRAPHS[3];
  const shown = graph.nodes.filter((node) => node.kind !== "feature" || node.influence < 0.2);
  const layout = arrangeNodes(graph, shown, VIEW, TEXT);
  assert.equal(layout.spots.filter(Boolean).length, shown.length);
  assert.ok(layout.radius >= arrangeNodes(graph, graph.nodes, VIEW, TEXT).radius);
});

test("targets are as far apart as their names need, and stay left of the edge", () => {
  for (const graph of GRAPHS) {
    const { spots, width } = arrangeNodes(graph, graph.nodes, VIEW, TEXT);
    const places = graph.nodes.filter((node) => node.kind === "target").map((node) => spots[node.index].x);
    places.forEach((x, i) => i && assert.ok(x - places[i - 1] >= 20 - 1e-9));
    assert.ok(places.every((x) => x <= width - MARGIN.right));
  }
});

test("tokens are written upright where a column is too narrow for one", () => {
  assert.equal(arrangeNodes(small, small.nodes, VIEW, TEXT).upright, false);
  assert.equal(arrangeNodes(small, small.nodes, { width: 160, height: 520 }, TEXT).upright, true);
});

test("arrows reach every node of a row once, in reading order", () => {
  const graph = GRAPHS[9];
  const { spots } = arrangeNodes(graph, graph.nodes, VIEW, TEXT);
  const row = graph.nodes.filter((node) => node.row === 1);
  const byPlace = row.toSorted(
    (a, b) =>
      a.position - b.position || spots[b.index].y - spots[a.index].y || spots[a.index].x - spots[b.index].x,
  );
  let node = byPlace[0];
  const walked = [node];
  while ((node = findNextNode(graph, spots, node, "ArrowRight"))) walked.push(node);
  assert.deepEqual(walked, byPlace);
  assert.equal(findNextNode(graph, spots, byPlace[3], "ArrowLeft"), byPlace[2]);
  assert.equal(findNextNode(graph, spots, byPlace[0], "ArrowLeft"), undefined);
});

test("arrows lead to the nearest node of the next row that has one", () => {
  const shown = small.nodes.filter((node) => node.row !== 1);
  const { spots } = arrangeNodes(small, shown, VIEW, TEXT);
  assert.equal(findNextNode(small, spots, small.nodes[2], "ArrowUp"), small.nodes[6]);
  assert.equal(findNextNode(small, spots, small.nodes[6], "ArrowDown"), small.nodes[2]);
  assert.equal(findNextNode(small, spots, small.nodes[7], "ArrowUp"), undefined);
});

test("a nearer node of a row beyond the next is passed over", () => {
  const spots = small.nodes.map(({ row }) => ({ x: row === 1 ? 100 : 0, y: -row }));
  assert.equal(findNextNode(small, spots, small.nodes[2], "ArrowUp").row, 1);
});
