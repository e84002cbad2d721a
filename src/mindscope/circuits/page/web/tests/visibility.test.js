import assert from "node:assert/strict";
import { test } from "node:test";
import { findVisible, isLinkVisible, pickLargestLinks } from "../model/visibility.js";
import { small } from "./graphs.js";

const findHidden = (threshold, pinnedIds = []) =>
  small.nodes.filter((_, i) => !findVisible(small, threshold, pinnedIds)[i]).map((node) => node.id);

test("a threshold hides nodes with more cumulative influence", () => {
  assert.deepEqual(findHidden(0.7), []);
  assert.deepEqual(findHidden(0.6), ["0_-1_2"]);
  assert.deepEqual(findHidden(0.5), ["0_-1_2", "1_4_2"]);
  assert.deepEqual(findHidden(0), ["0_7_1", "0_9_2", "0_-1_2", "1_4_2"]);
});

test("a node at the threshold stays, whatever digits the address lost", () => {
  assert.deepEqual(findHidden(0.6 - 1e-12), ["0_-1_2"]);
  assert.deepEqual(findHidden(0.6 - 1e-6), ["0_-1_2", "1_4_2"]);
});

test("pinned nodes stay", () => {
  assert.deepEqual(findHidden(0, ["1_4_2", "0_-1_2"]), ["0_7_1", "0_9_2"]);
});

test("a link is visible where both of its ends are", () => {
  const visible = findVisible(small, 0.5, []);
  const weights = small.links.filter((link) => isLinkVisible(visible, link)).map(({ weight }) => weight);
  assert.deepEqual(weights, [2, -1, 0.5, -2]);
});

test("the largest shares are picked among visible links", () => {
  const pick = (threshold, limit) =>
    pickLargestLinks(small, findVisible(small, threshold, []), limit).map(({ weight }) => weight);
  // Shares: 1, 1, 1 (the only links into their targets), 1.5 / 2.25, 4 / 6.5; with fewer nodes 2 / 6.5.
  assert.deepEqual(pick(0.7, 5), [2, -1, -1, 1.5, 4]);
  assert.deepEqual(pick(0.7, 100).length, 9);
  assert.deepEqual(pick(0.5, 3), [2, -1, -2]);
  assert.deepEqual(pick(0.5, 0), []);
});
