// The graph that this file holds. Nodes and links are numbered; all else refers to these numbers.

const content = JSON.parse(byId("content").textContent);
const tokens = content.metadata.prompt_tokens;

const nodes = content.nodes.map((node, index) => {
  const { kind, layer, position, latent } = content.shown[index];
  return {
    index,
    id: node.node_id,
    kind,
    layer,
    position,
    latent,
    // Rows of the graph from below: tokens, the layers, targets.
    row: kind === "token" ? 0 : kind === "target" ? content.layers + 1 : layer + 1,
    // Edited labels belong to this name in public graph files.
    labelKey: `${node.layer}_${node.feature}_${node.ctx_idx}`,
    given: node.clerp || "",
    influence: node.influence ?? null,
    activation: node.activation ?? null,
    probability: kind === "target" ? (node.token_prob ?? null) : null,
  };
});
const numberOf = new Map(nodes.map((node) => [node.id, node.index]));

const links = content.links.map(([source, target, weight]) => ({ source, target, weight, share: 0 }));
const inputs = nodes.map(() => []); // of a node: the links that end at it, strongest first
const outputs = nodes.map(() => []);
const absoluteInput = nodes.map(() => 0);
for (const link of links) {
  inputs[link.target].push(link);
  outputs[link.source].push(link);
  absoluteInput[link.target] += Math.abs(link.weight);
}
for (const link of links) link.share = Math.abs(link.weight) / (absoluteInput[link.target] || 1);
const stronger = (one, other) => Math.abs(other.weight) - Math.abs(one.weight);
for (const list of [...inputs, ...outputs]) list.sort(stronger);

const feature = (node) => `feature ${node.latent} of layer ${node.layer}`;

function placeOf(node) {
  const token = `“${shown(tokens[node.position])}” (${node.position})`;
  if (node.kind === "feature") return `${feature(node)} at ${token}`;
  if (node.kind === "error") return `error of layer ${node.layer} at ${token}`;
  return node.kind === "token" ? `token ${node.position}` : `target at ${token}`;
}

// What is written for a node that nobody has named: a feature by what it makes the model say, if that is known.
function plainName(node) {
  const says = node.kind === "feature" && content.details[`${node.layer}_${node.latent}`]?.top_logits;
  if (says?.length) return `says ${says.slice(0, 3).map(shown).join(", ")}`;
  if (node.kind === "feature") return `L${node.layer} · ${node.latent}`;
  if (node.kind === "error") return `error L${node.layer}`;
  if (node.kind === "token") return shown(tokens[node.position]);
  return node.id;
}
