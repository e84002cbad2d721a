import assert from "node:assert/strict";
import { test } from "node:test";
import { styleBackground, styleFocus } from "../links/link_styles.js";
import { GraphStore } from "../store/graph_store.js";
import { StateStore } from "../store/state_store.js";
import { small } from "./graphs.js";

/** A store whose listeners are called by `runFrame`, as a browser calls them on its next frame. */
function makeFrames() {
  const waiting = [];
  return {
    schedule: (run) => waiting.push(run),
    runFrame: () => waiting.splice(0).forEach((run) => run()),
    waiting,
  };
}

test("listeners hear of many changes once, and only of their keys", () => {
  const { schedule, runFrame, waiting } = makeFrames();
  const store = new StateStore({ a: 1, b: 1, c: 1 }, schedule);
  const calls = [];
  store.subscribe(["a", "b"], () => calls.push(`ab ${store.state.a} ${store.state.b}`));
  const unsubscribe = store.subscribe(["b"], () => calls.push("b"));
  store.subscribe(["c"], () => calls.push("c"));
  store.update({ a: 2 });
  store.update({ b: 3 });
  assert.equal(waiting.length, 1);
  assert.deepEqual(calls, []);
  runFrame();
  assert.deepEqual(calls, ["ab 2 3", "b"]);
  unsubscribe();
  store.update({ b: 4 });
  runFrame();
  assert.deepEqual(calls, ["ab 2 3", "b", "ab 2 4"]);
});

test("a listener's own change comes with the next frame", () => {
  const { schedule, runFrame } = makeFrames();
  const store = new StateStore({ a: 0 }, schedule);
  let calls = 0;
  store.subscribe(["a"], () => {
    calls += 1;
    if (store.state.a < 2) store.update({ a: store.state.a + 1 });
  });
  store.update({ a: 1 });
  runFrame();
  assert.equal(calls, 1);
  runFrame();
  assert.equal(calls, 2);
});

test("a state is replaced, never changed", () => {
  const store = new StateStore({ a: 1, b: 2 }, () => {});
  const before = store.state;
  store.update({ a: 5 });
  assert.deepEqual(before, { a: 1, b: 2 });
  assert.deepEqual(store.state, { a: 5, b: 2 });
});

const makeStore = () => new GraphStore(small, () => {});

test("what is visible follows the threshold and the pins", () => {
  const store = makeStore();
  const countVisible = () => store.findVisibleNodes().length;
  assert.equal(countVisible(), 9);
  store.update({ pruningThreshold: 0.5 });
  assert.equal(countVisible(), 7);
  store.togglePins(["1_4_2"]);
  assert.equal(countVisible(), 8);
});

test("a click focuses, pins or picks for a group", () => {
  const store = makeStore();
  store.choose("1_4_2");
  assert.deepEqual(store.findFocus(), [6]);
  store.choose("0_7_1", { pins: true });
  assert.deepEqual(store.state.pinnedIds, ["0_7_1"]);
  store.startGroup();
  store.choose("0_7_1");
  store.choose("0_9_2");
  store.choose("1_4_2");
  store.choose("1_4_2");
  assert.deepEqual(store.state.grouping, ["0_7_1", "0_9_2"]);
  assert.deepEqual(store.findFocus(), [6]);
  assert.deepEqual(store.finishGroup(), { label: "Texas", nNodes: 2 });
  assert.equal(store.state.grouping, null);
  assert.deepEqual(store.state.supernodes, [["Texas", "0_7_1", "0_9_2"]]);
  assert.deepEqual(store.state.pinnedIds, ["0_7_1", "0_9_2"]);
  store.choose("supernode-0");
  assert.deepEqual(store.findMemberIds(store.state.clickedId), ["0_7_1", "0_9_2"]);
  assert.deepEqual(
    store.findLinks(store.findFocus()).map(({ weight }) => weight),
    [2, -1, 1.5, 0.5, -2, -0.5],
  );
});

test("fewer than two nodes make no group", () => {
  const store = makeStore();
  assert.equal(store.finishGroup(), null);
  store.startGroup();
  assert.equal(store.finishGroup(), null);
  store.startGroup();
  store.choose("0_7_1");
  assert.equal(store.finishGroup(), null);
  assert.deepEqual(store.state.supernodes, []);
  assert.equal(store.state.grouping, null);
});

test("boxes are renamed as what they are, moved and ungrouped", () => {
  const store = makeStore();
  store.update({ supernodes: [["state", "0_7_1", "0_9_2"]], pinnedIds: ["0_7_1", "0_9_2", "1_4_2"] });
  const [group, capital] = store.findBoxes();
  store.renameBox(group, "the state");
  store.renameBox(capital, "the capital");
  assert.deepEqual(store.state.supernodes, [["the state", "0_7_1", "0_9_2"]]);
  assert.deepEqual(
    store.findBoxes().map((box) => store.nameBox(box)),
    ["the state", "the capital"],
  );
  store.moveBox("1_4_2", [1, 2]);
  assert.deepEqual([...store.state.places], [["1_4_2", [1, 2]]]);
  store.ungroup(0);
  assert.deepEqual(store.findBoxes().length, 3);
});

test("links are as wide as their share, or in focus as their weight beside the largest", () => {
  const [, , texas] = small.links;
  assert.deepEqual(styleBackground([texas]), [{ link: texas, width: 0.4 + 2.6 * texas.share, alpha: 0.3 }]);
  const [largest, , smallest] = styleFocus(small.inputs[7]);
  assert.ok(Math.abs(largest.width - 3.7) < 1e-12 && Math.abs(largest.alpha - 0.9) < 1e-12);
  assert.ok(Math.abs(smallest.width - (0.5 + 3.2 / 8)) < 1e-12);
  assert.deepEqual(styleFocus([]), []);
});
