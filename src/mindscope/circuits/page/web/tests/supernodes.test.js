import assert from "node:assert/strict";
import { test } from "node:test";
import { addPins, toggleFocus, toggleIds, togglePins } from "../model/selection.js";
import {
  addSupernode,
  findMembers,
  regroup,
  removeMembers,
  removeSupernode,
  renameSupernode,
} from "../model/supernodes.js";
import { small } from "./graphs.js";

const SUPERNODES = [
  ["first", "0_7_1", "0_9_2"],
  ["second", "1_4_2", "0_-1_2", "3_50_2"],
];
const grouped = {
  supernodes: SUPERNODES,
  places: new Map([
    ["supernode-0", [1, 2]],
    ["supernode-1", [3, 4]],
    ["E_1_0", [5, 6]],
  ]),
  clickedId: "supernode-1",
  pinnedIds: ["0_7_1", "0_9_2", "1_4_2", "0_-1_2", "3_50_2", "E_1_0"],
};

test("an id stands for a node or for the members of a supernode", () => {
  assert.deepEqual(findMembers(small, SUPERNODES, "1_4_2"), [6]);
  assert.deepEqual(findMembers(small, SUPERNODES, "supernode-1"), [6, 5, 7]);
  assert.deepEqual(findMembers(small, SUPERNODES, "supernode-2"), []);
  assert.deepEqual(findMembers(small, SUPERNODES, "unknown"), []);
  assert.deepEqual(findMembers(small, SUPERNODES, "E_1_0"), [0]);
});

test("a supernode with a single member left is dissolved", () => {
  assert.deepEqual(removeMembers(SUPERNODES, ["0_7_1"]), [SUPERNODES[1]]);
  assert.deepEqual(removeMembers(SUPERNODES, ["1_4_2"]), [SUPERNODES[0], ["second", "0_-1_2", "3_50_2"]]);
});

test("a label that equals an id is not a member", () => {
  const supernodes = [["0_7_1", "1_4_2", "0_9_2"]];
  assert.deepEqual(removeMembers(supernodes, ["0_7_1"]), supernodes);
});

test("places and focus move with a supernode's number", () => {
  const { supernodes, places, clickedId } = removeSupernode(grouped, 0);
  assert.deepEqual(supernodes, [SUPERNODES[1]]);
  assert.equal(clickedId, "supernode-0");
  assert.deepEqual(Object.fromEntries(places), { "supernode-0": [3, 4], E_1_0: [5, 6] });
});

test("what was said of a supernode goes with it", () => {
  const { places, clickedId } = removeSupernode(grouped, 1);
  assert.equal(clickedId, "");
  assert.deepEqual(Object.fromEntries(places), { "supernode-0": [1, 2], E_1_0: [5, 6] });
  assert.equal(regroup({ ...grouped, clickedId: "1_4_2" }, []).clickedId, "1_4_2");
});

test("members of a new supernode leave their old one", () => {
  const { supernodes } = addSupernode(grouped, "third", ["0_7_1", "E_1_0"]);
  assert.deepEqual(supernodes, [SUPERNODES[1], ["third", "0_7_1", "E_1_0"]]);
});

test("a new name leaves the members", () => {
  assert.deepEqual(renameSupernode(SUPERNODES, 0, "state"), [["state", "0_7_1", "0_9_2"], SUPERNODES[1]]);
});

test("pinning adds what is not pinned, and unpins where all is", () => {
  const pin = togglePins({ ...grouped, pinnedIds: ["0_7_1"] }, ["0_7_1", "0_9_2"]);
  assert.deepEqual(pin, { pinnedIds: ["0_7_1", "0_9_2"] });
  const unpin = togglePins(grouped, ["0_7_1"]);
  assert.deepEqual(unpin.supernodes, [SUPERNODES[1]]);
  assert.equal(unpin.clickedId, "supernode-0");
  assert.ok(!unpin.pinnedIds.includes("0_7_1"));
  assert.equal(unpin.pinnedIds.length, 5);
});

test("a second click takes the focus off", () => {
  assert.deepEqual(toggleFocus(grouped, "1_4_2"), { clickedId: "1_4_2" });
  assert.deepEqual(toggleFocus(grouped, "supernode-1"), { clickedId: "" });
});

test("ids are picked and dropped together", () => {
  assert.deepEqual(toggleIds(["a", "b"], ["b", "c"]), ["a", "b", "c"]);
  assert.deepEqual(toggleIds(["a", "b"], ["b"]), ["a"]);
  assert.deepEqual(addPins(["a", "b"], ["b", "c"]), ["a", "b", "c"]);
});
