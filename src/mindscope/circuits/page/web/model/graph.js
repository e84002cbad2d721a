/**
 * The graph that a page holds. Nodes and links are numbered; everything else refers to these numbers.
 *
 * `content` is what Python puts into the page: the public graph document, whose links name nodes by number,
 * and beside it `shown`, which says of every node what it is and where it stands.
 */

/** @typedef {"feature" | "error" | "token" | "target"} NodeKind */

/**
 * @typedef {object} GraphNode
 * @property {number} index its number
 * @property {string} id its name in public graph files
 * @property {NodeKind} kind
 * @property {number} layer -1 for tokens
 * @property {number} position of its token in the prompt
 * @property {number | null} latent the feature's number in its layer
 * @property {number} row of the graph from below: tokens, the layers, targets
 * @property {string} labelKey the name that edited labels have in public graph files
 * @property {string} givenLabel the label in the file, empty if it has none
 * @property {number | null} influence cumulative: the share that this and all stronger nodes have
 * @property {number | null} activation
 * @property {number | null} probability of a target
 */

/**
 * @typedef {object} Link the direct effect of one node on another
 * @property {number} source
 * @property {number} target
 * @property {number} weight
 * @property {number} share of all that goes into the target, in absolute values
 */

/**
 * @typedef {object} Graph
 * @property {string[]} tokens of the prompt
 * @property {number} nLayers
 * @property {GraphNode[]} nodes
 * @property {Link[]} links
 * @property {Link[]} linksByShare the same links, the largest share first
 * @property {Link[][]} inputs of every node the links that end at it, the strongest first
 * @property {Link[][]} outputs of every node the links that start at it, the strongest first
 * @property {number[]} absoluteInput of every node the summed absolute weights of its inputs
 * @property {Map<string, number>} numbers of nodes, by id
 * @property {Record<string, any>} details public feature documents, by "layer_latent"
 * @property {number} highestInfluence the largest cumulative influence; 0 where no node has one
 */

/**
 * @param {Record<string, any>} content
 * @returns {Graph}
 */
export function readGraph(content) {
  const nodes = readNodes(content);
  const inputs = nodes.map(() => /** @type {Link[]} */ ([]));
  const outputs = nodes.map(() => /** @type {Link[]} */ ([]));
  const absoluteInput = nodes.map(() => 0);
  const links = content.links.map(readLink);
  for (const link of links) {
    inputs[link.target].push(link);
    outputs[link.source].push(link);
    absoluteInput[link.target] += Math.abs(link.weight);
  }
  for (const link of links) link.share = Math.abs(link.weight) / (absoluteInput[link.target] || 1);
  for (const list of [...inputs, ...outputs]) list.sort(compareStrength);
  return {
    tokens: content.metadata.prompt_tokens,
    nLayers: content.layers,
    nodes,
    links,
    linksByShare: links.toSorted((/** @type {Link} */ a, /** @type {Link} */ b) => b.share - a.share),
    inputs,
    outputs,
    absoluteInput,
    numbers: new Map(nodes.map((node) => [node.id, node.index])),
    details: content.details,
    highestInfluence: nodes.reduce((highest, node) => Math.max(highest, node.influence ?? 0), 0),
  };
}

/**
 * @param {Record<string, any>} content
 * @returns {GraphNode[]}
 */
function readNodes(content) {
  return content.nodes.map((/** @type {Record<string, any>} */ node, /** @type {number} */ index) => {
    const { kind, layer, position, latent } = content.shown[index];
    return {
      index,
      id: node.node_id,
      kind,
      layer,
      position,
      latent,
      row: kind === "token" ? 0 : kind === "target" ? content.layers + 1 : layer + 1,
      labelKey: `${node.layer}_${node.feature}_${node.ctx_idx}`,
      givenLabel: node.clerp || "",
      influence: node.influence ?? null,
      activation: node.activation ?? null,
      probability: kind === "target" ? (node.token_prob ?? null) : null,
    };
  });
}

/**
 * @param {[number, number, number]} link
 * @returns {Link}
 */
function readLink([source, target, weight]) {
  return { source, target, weight, share: 0 };
}

/**
 * Orders by absolute weight, the strongest first.
 * @param {{ weight: number }} a
 * @param {{ weight: number }} b
 */
export function compareStrength(a, b) {
  return Math.abs(b.weight) - Math.abs(a.weight);
}

/**
 * What is known of a feature beside the graph; undefined where the page was made without it.
 * @param {Graph} graph
 * @param {GraphNode} node
 * @returns {Record<string, any> | undefined}
 */
export function findDetails(graph, node) {
  return node.kind === "feature" ? graph.details[`${node.layer}_${node.latent}`] : undefined;
}
