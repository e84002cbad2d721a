import assert from "node:assert/strict";
import { test } from "node:test";
import { findBoxes, nameBox, sumBoxLinks } from "../model/subgraph.js";
import { findVisible } from "../model/visibility.js";
import { small } from "./graphs.js";

const SUPERNODES = [["state", "0_7_1", "0_9_2"]];
const PINNED = ["3_50_2", "0_9_2", "1_4_2", "0_7_1"];
const boxes = findBoxes(small, PINNED, SUPERNODES);

test("boxes come in the order of the pins, a supernode's where its first member is", () => {
  assert.deepEqual(boxes, [
    { id: "3_50_2", supernode: null, members: [7] },
    { id: "supernode-0", supernode: 0, members: [3, 4] },
    { id: "1_4_2", supernode: null, members: [6] },
  ]);
});

test("links between boxes are summed over members, and shared by all that goes into a box", () => {
  const links = sumBoxLinks(small, findVisible(small, 1, []), boxes);
  const summary = Object.fromEntries(
    links.map(({ from, to, weight, share }) => [`${from.id} ${to.id}`, [weight, share]]),
  );
  assert.deepEqual(summary, {
    "1_4_2 3_50_2": [4, 4 / 6.5],
    "supernode-0 3_50_2": [-1.5, 1.5 / 6.5],
    "supernode-0 1_4_2": [1, 1 / 2.25], // the error's 0.25 is not pinned, and still goes into the box
  });
});

test("what goes into a supernode is the inputs of all of its members", () => {
  const tokens = findBoxes(small, ["E_2_1", "0_7_1", "0_9_2"], SUPERNODES);
  const [link] = sumBoxLinks(small, findVisible(small, 1, []), tokens);
  assert.equal(link.weight, 2);
  assert.equal(link.share, 2 / 3);
});

test("links inside a box are not drawn", () => {
  const inside = findBoxes(small, ["0_7_1", "1_4_2", "3_50_2"], [["path", "0_7_1", "1_4_2"]]);
  const links = sumBoxLinks(small, findVisible(small, 1, []), inside);
  assert.deepEqual(
    links.map(({ to, weight }) => [to.id, weight]),
    [["3_50_2", 4.5]],
  );
});

test("links of hidden members do not count", () => {
  const links = sumBoxLinks(small, findVisible(small, 0.3, ["1_4_2"]), boxes);
  assert.deepEqual(
    links.map(({ weight }) => weight),
    [4, 0.5, 1.5],
  );
});

test("a box has the supernode's label, or the node's where room is short", () => {
  const names = boxes.map((box) => nameBox(small, new Map(), SUPERNODES, box));
  assert.deepEqual(names, ["Austin 0.80", "state", "say a capital"]);
});
