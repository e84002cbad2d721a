import assert from "node:assert/strict";
import { test } from "node:test";
import { pickLoadings } from "../model/head_loadings.js";
import { searchNodes } from "../model/search.js";
import { findVisible } from "../model/visibility.js";
import { small } from "./graphs.js";

const search = (query, clerps = new Map(), threshold = 1) =>
  searchNodes(small, findVisible(small, threshold, []), clerps, query)?.map((node) => node.id);

test("labels, tokens, places and ids are searched, whatever their case", () => {
  assert.deepEqual(search("CAPITAL"), ["1_4_2"]);
  assert.deepEqual(search("0_-1"), ["0_-1_2"]);
  assert.deepEqual(search("target"), ["3_50_2", "3_51_2"]);
  assert.deepEqual(search("dallas"), ["E_2_1", "3_51_2", "0_7_1"]);
});

test("a node must have every word", () => {
  assert.deepEqual(search("feature layer 0"), ["0_7_1", "0_9_2"]);
  assert.deepEqual(search("capital texas"), []);
});

test("the most influential come first", () => {
  assert.deepEqual(search("layer"), ["0_7_1", "0_9_2", "1_4_2", "0_-1_2"]);
});

test("an edited node is found by the new label and by what it is", () => {
  const clerps = new Map([["0_9_2", "my name"]]);
  assert.deepEqual(search("my name", clerps), ["0_9_2"]);
  assert.deepEqual(search("L0 · 9", clerps), ["0_9_2"]);
});

test("hidden nodes are not found, and an empty query is not a search", () => {
  assert.deepEqual(search("layer", new Map(), 0.5), ["0_7_1", "0_9_2"]);
  assert.equal(search("  "), undefined);
});

const LOADINGS = [
  { source: "a", target: "b", weight: 0.5, heads: [] },
  { source: "b", target: "c", weight: -2, heads: [] },
  {
    source: "c",
    target: "d",
    heads: [
      { layer: 0, head: 1, value: 0.75 },
      { layer: 0, head: 2, value: 0.25 },
    ],
  },
];

test("loadings are those of the focus, or of all links, the strongest first", () => {
  const pick = (...ids) => {
    const { ofFocus, ranked } = pickLoadings(LOADINGS, new Set(ids));
    return [ofFocus, ranked.map(({ source }) => source)];
  };
  assert.deepEqual(pick("b"), [true, ["b", "a"]]);
  assert.deepEqual(pick("d"), [true, ["c"]]);
  assert.deepEqual(pick("x"), [false, ["b", "c", "a"]]);
});
