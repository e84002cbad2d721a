import assert from "node:assert/strict";
import { test } from "node:test";
import { readGraph } from "../model/graph.js";
import {
  abbreviatePlace,
  abbreviateTarget,
  composeName,
  describePlace,
  editLabel,
  readLabel,
} from "../model/names.js";
import { SMALL, small } from "./graphs.js";

const [, dallas, , texas, feature, error, capital, austin] = small.nodes;

test("the reader's label stands before the file's, and that before the name", () => {
  assert.equal(readLabel(small, new Map(), capital), "say a capital");
  assert.equal(readLabel(small, new Map([["1_4_2", "mine"]]), capital), "mine");
  assert.equal(readLabel(small, new Map(), feature), "L0 · 9");
});

test("a feature without a label is called by what it makes the model say", () => {
  const details = { "0_9": { top_logits: [" Austin", "\n", " Texas", " Dallas"] } };
  assert.equal(composeName(readGraph({ ...SMALL, details }), feature), "says Austin, ⏎, Texas");
});

test("no text and the file's own label take an edit back", () => {
  const edited = editLabel(new Map(), texas, "  the state ");
  assert.deepEqual([...edited], [["0_7_1", "the state"]]);
  assert.deepEqual([...editLabel(edited, texas, " ")], []);
  assert.deepEqual([...editLabel(edited, texas, "Texas")], []);
  assert.equal(edited.size, 1);
});

test("places say what a node is and where", () => {
  assert.equal(describePlace(small, feature), "feature 9 of layer 0 at “is” (2)");
  assert.equal(describePlace(small, error), "error of layer 0 at “is” (2)");
  assert.equal(describePlace(small, dallas), "token 1");
  assert.equal(describePlace(small, austin), "target at “is” (2)");
  assert.equal(abbreviatePlace(small, texas), "L0 Dallas");
  assert.equal(abbreviatePlace(small, austin), "is");
});

test("a target's name is its token and its probability", () => {
  assert.equal(abbreviateTarget(small, new Map(), austin), "Austin 0.80");
  assert.equal(abbreviateTarget(small, new Map([["3_50_2", "the answer"]]), austin), "the answer");
});
