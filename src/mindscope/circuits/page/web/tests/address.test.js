import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAddress, parseAddress } from "../store/address.js";
import { createPageState } from "../store/page_state.js";
import { readParams, writeParams } from "../store/reader_params.js";
import { composeDocument, composeFileName } from "../store/saved_graph.js";
import { SMALL, small } from "./graphs.js";

const PANEL = { width: 1000, height: 500 };
const WORK = {
  ...createPageState(small),
  clickedId: "supernode-0",
  pinnedIds: ["1_4_2", "0_7_1", "0_9_2"],
  supernodes: [['a "group", & more #1', "0_7_1", "0_9_2"]],
  linkType: "input",
  pruningThreshold: 0.6,
  clerps: new Map([["1_4_2", "say Austin · ⏎"]]),
  places: new Map([["1_4_2", [250, 300]]]),
};
const KEYS = ["clickedId", "pinnedIds", "supernodes", "linkType", "pruningThreshold", "clerps"];
const format = (state) => formatAddress(writeParams(small, state, PANEL), small.highestInfluence);
const pick = (state) => Object.fromEntries(KEYS.map((key) => [key, state[key]]));

test("an address brings the reader's work back", () => {
  const again = readParams(small, parseAddress(format(WORK)));
  assert.deepEqual(pick(again), pick(WORK));
  assert.deepEqual(again.places.get("1_4_2"), [250, 300]);
  assert.deepEqual([...again.places.keys()].sort(), ["1_4_2", "supernode-0"]);
});

test("so does a public graph file", () => {
  const file = JSON.parse(JSON.stringify(composeDocument(SMALL, small, WORK, PANEL)));
  assert.deepEqual(pick(readParams(small, file.qParams)), pick(WORK));
});

test("an untouched page has the shortest address, and no focus is said", () => {
  const first = readParams(small, {});
  assert.equal(first.clickedId, "3_50_2");
  assert.equal(format({ ...createPageState(small), ...first }), "#clickedId=3_50_2");
  const none = format(createPageState(small));
  assert.equal(none, "#clickedId=none");
  assert.equal(readParams(small, parseAddress(none)).clickedId, "");
  assert.equal(parseAddress(""), null);
  assert.equal(parseAddress("#"), null);
});

test("what does not fit the graph is left out", () => {
  const params = readParams(small, {
    clickedId: "supernode-7",
    pinnedIds: "unknown,0_7_1",
    supernodes: '[["g", "0_9_2", "unknown"], ["empty"], "text", 3]',
    linkType: "sideways",
    pruningThreshold: "7",
    clerps: '[["1_4_2", "name"], ["half"], 5]',
    sg_pos: "1 2 3",
  });
  assert.equal(params.clickedId, "3_50_2");
  assert.deepEqual(params.pinnedIds, ["0_7_1", "0_9_2"]);
  assert.deepEqual(params.supernodes, [["g", "0_9_2"]]);
  assert.equal(params.linkType, "both");
  assert.equal(params.pruningThreshold, 0.7);
  assert.deepEqual([...params.clerps], [["1_4_2", "name"]]);
  assert.equal(params.places.size, 0);
});

test("what cannot be read is as at first", () => {
  const params = readParams(small, { supernodes: "[[", clerps: "{", pruningThreshold: "much", pinnedIds: 3 });
  assert.deepEqual(params, readParams(small, {}));
});

test("the saved document is the graph, with the reader's labels and what other tools wrote", () => {
  const saved = composeDocument(SMALL, small, WORK, PANEL);
  assert.deepEqual(saved.tool, { version: 2 });
  assert.equal(saved.nodes[6].clerp, "say Austin · ⏎");
  assert.equal(saved.nodes[3].clerp, "Texas");
  assert.deepEqual(saved.links[2], { source: "0_7_1", target: "1_4_2", weight: 1.5 });
  assert.equal(saved.links.length, 9);
  assert.equal(composeFileName(SMALL), "a_graph");
  assert.equal(composeFileName({ metadata: {} }), "graph");
});
