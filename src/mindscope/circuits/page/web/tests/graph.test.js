import assert from "node:assert/strict";
import { test } from "node:test";
import { readGraph } from "../model/graph.js";
import { SMALL, makeContent, small } from "./graphs.js";

test("rows go from tokens over layers to targets", () => {
  assert.deepEqual(
    small.nodes.map((node) => node.row),
    [0, 0, 0, 1, 1, 1, 2, 3, 3],
  );
  assert.equal(small.numbers.get("1_4_2"), 6);
  assert.equal(small.nodes[6].labelKey, "1_4_2");
});

test("a share is of all that goes into the target, in absolute values", () => {
  assert.deepEqual(small.absoluteInput, [0, 0, 0, 2, 1, 0, 2.25, 6.5, 1]);
  const [, , texas, , , , , dallas] = small.links;
  assert.equal(texas.share, 1.5 / 2.25);
  assert.equal(dallas.share, 2 / 6.5);
});

test("links of a node come strongest first", () => {
  const weights = (links) => links.map(({ weight }) => weight);
  assert.deepEqual(weights(small.inputs[6]), [1.5, -0.5, 0.25]);
  assert.deepEqual(weights(small.inputs[7]), [4, -2, 0.5]);
  assert.deepEqual(weights(small.outputs[3]), [1.5, 0.5]);
  assert.deepEqual(
    weights(small.links),
    SMALL.links.map(([, , weight]) => weight),
  );
});

test("what a node does not have is null, and probabilities are those of targets", () => {
  const [token, , , , feature, error, , target] = small.nodes;
  assert.equal(token.influence, null);
  assert.equal(error.activation, null);
  assert.equal(feature.probability, null);
  assert.equal(target.probability, 0.8);
  assert.equal(small.highestInfluence, 0.7);
});

test("a node whose links weigh nothing has shares of 0", () => {
  const nodes = [
    ["E_1_0", "token", -1, 0],
    ["0_1_0", "feature", 0, 0],
  ];
  const graph = readGraph(makeContent(["a"], 1, nodes, [[0, 1, 0]]));
  assert.equal(graph.links[0].share, 0);
  assert.equal(graph.highestInfluence, 0);
});
