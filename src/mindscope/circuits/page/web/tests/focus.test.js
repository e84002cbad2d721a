import assert from "node:assert/strict";
import { test } from "node:test";
import { findLinks, rankNeighbours, sumBySign, sumByNeighbour } from "../model/focus.js";
import { findVisible } from "../model/visibility.js";
import { small } from "./graphs.js";

const all = findVisible(small, 1, []);
const findWeights = (members, linkType, visible = all) =>
  findLinks(small, visible, members, linkType).map(({ weight }) => weight);

test("links of the focus come by the kind that is asked for", () => {
  assert.deepEqual(findWeights([6], "input"), [1.5, -0.5, 0.25]);
  assert.deepEqual(findWeights([6], "output"), [4, -1]);
  assert.deepEqual(findWeights([6], "both"), [1.5, -0.5, 0.25, 4, -1]);
  assert.deepEqual(findWeights([], "both"), []);
});

test("links to hidden nodes are not shown", () => {
  assert.deepEqual(findWeights([6], "input", findVisible(small, 0.6, [])), [1.5, -0.5]);
});

test("links inside a supernode are not shown", () => {
  assert.deepEqual(findWeights([3, 6], "both"), [2, -0.5, 0.25, 0.5, 4, -1]);
});

test("links of members to the same node are summed, with their signs", () => {
  // Texas and feature 9: into the target 0.5 - 2, into the feature above 1.5 - 0.5.
  assert.deepEqual(rankNeighbours(small, all, [3, 4], "output"), [
    { index: 7, weight: -1.5 },
    { index: 6, weight: 1 },
  ]);
  assert.deepEqual(rankNeighbours(small, all, [3, 4], "input"), [
    { index: 1, weight: 2 },
    { index: 2, weight: -1 },
  ]);
  const sums = sumByNeighbour(findLinks(small, all, [3, 4], "both"), [3, 4]);
  assert.deepEqual(Object.fromEntries(sums), { 1: 2, 2: -1, 6: 1, 7: -1.5 });
});

test("what raises and what lowers is summed apart", () => {
  assert.deepEqual(sumBySign(small.inputs[6]), { positive: 1.75, negative: -0.5 });
  assert.deepEqual(sumBySign([]), { positive: 0, negative: 0 });
});
