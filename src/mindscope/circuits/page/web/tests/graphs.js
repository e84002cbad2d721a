/** Graphs for the tests of the modules: a small one to compute by hand, and random ones. */

import { readGraph } from "../model/graph.js";

/** Two layers and three tokens; numbers of nodes are their places in the list. */
export const SMALL = makeContent(
  ["<bos>", " Dallas", " is"],
  2,
  [
    ["E_1_0", "token", -1, 0],
    ["E_2_1", "token", -1, 1],
    ["E_3_2", "token", -1, 2],
    ["0_7_1", "feature", 0, 1, { clerp: "Texas", influence: 0.3, activation: 2 }],
    ["0_9_2", "feature", 0, 2, { influence: 0.5, activation: 1.5 }],
    ["0_-1_2", "error", 0, 2, { influence: 0.7 }],
    ["1_4_2", "feature", 1, 2, { clerp: "say a capital", influence: 0.6, activation: 3 }],
    ["3_50_2", "target", 3, 2, { clerp: 'Output " Austin" (p=0.800)', token_prob: 0.8 }],
    ["3_51_2", "target", 3, 2, { clerp: 'Output " Dallas" (p=0.100)', token_prob: 0.1 }],
  ],
  [
    [1, 3, 2],
    [2, 4, -1],
    [3, 6, 1.5],
    [4, 6, -0.5],
    [5, 6, 0.25],
    [6, 7, 4],
    [3, 7, 0.5],
    [4, 7, -2],
    [6, 8, -1],
  ],
);

export const small = readGraph(SMALL);

/** Nodes are [id, kind, layer, position, more]; links [source, target, weight]. */
export function makeContent(tokens, layers, nodes, links) {
  return {
    metadata: { prompt_tokens: tokens, slug: "a graph" },
    qParams: {},
    beside: { tool: { version: 2 } },
    nodes: nodes.map(([id, , layer, position, more]) => {
      const feature = Number(id.split("_")[1]);
      return { node_id: id, layer: String(layer), feature, ctx_idx: position, clerp: "", ...more };
    }),
    shown: nodes.map(([id, kind, layer, position]) => {
      const latent = kind === "feature" ? Number(id.split("_")[1]) : null;
      return { kind, layer: kind === "token" ? -1 : layer, position, latent };
    }),
    layers,
    links,
    details: {},
  };
}

/** Numbers between 0 and 1, the same ones for the same seed (Park and Miller's generator). */
export function makeDraw(seed) {
  let state = seed + 1;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
}

/** A graph of a given size, without links; most of its nodes are at late tokens, as in real graphs. */
export function drawGraph({ nTokens, nLayers, nNodes, nTargets, seed }) {
  const draw = makeDraw(seed);
  const tokens = Array.from({ length: nTokens }, (_, i) => ` word${i}`);
  const nodes = tokens.map((_, i) => [`E_${i}_${i}`, "token", -1, i]);
  for (let i = 0; i < nNodes; i++) {
    const kind = draw() < 0.1 ? "error" : "feature";
    const [layer, position] = [Math.floor(nLayers * draw()), Math.floor(nTokens * draw() ** 0.2)];
    nodes.push([`${layer}_${i}_${position}`, kind, layer, position, { influence: draw() }]);
  }
  for (let i = 0; i < nTargets; i++)
    nodes.push([`${nLayers + 1}_${i}_${nTokens - 1}`, "target", nLayers + 1, nTokens - 1]);
  return readGraph(makeContent(tokens, nLayers, nodes, []));
}
