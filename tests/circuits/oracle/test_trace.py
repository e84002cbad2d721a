"""Graphs add up, on every architecture, and say what automatic differentiation says."""

from functools import partial

import circuit_kit
import pytest
import tiny_models
import torch
from torch import Tensor

from mindscope import organism
from mindscope.circuits import (
    DictionaryReplacement,
    Intervention,
    NeuronReplacement,
    PartialReplacement,
    ReplacementModel,
    TraceConfig,
    intervene,
    targets,
    trace,
)
from mindscope.circuits.attribution.retrace import trace_again
from mindscope.dictionaries import Dictionary
from mindscope.errors import DataError, ModelError
from mindscope.features import Direction
from mindscope.models import Edit, load
from mindscope.models.hooks.rewrite import rewritten
from mindscope.models.linear.frozen import frozen as held_as

DENSE = [
    family
    for family in tiny_models.FAMILIES
    if family.name not in ("falcon", "bloom", "qwen3_moe", "gpt_oss")
]
MIXTURES = [family for family in tiny_models.FAMILIES if family.name in ("qwen3_moe", "gpt_oss")]
KINDS = {
    "neurons": NeuronReplacement,
    "transcoders": lambda model: DictionaryReplacement(circuit_kit.dictionary(model, skip=True)),
    "topk": lambda model: DictionaryReplacement(circuit_kit.dictionary(model, activation="topk")),
    "partial": lambda model: PartialReplacement(
        circuit_kit.dictionary(model, skip=True, layers=model.n_layers - 1), model
    ),
    "clt": lambda model: DictionaryReplacement(
        circuit_kit.dictionary(model, cross=True, activation="jumprelu", skip=True, write="mlp_out_post")
    ),
}
CASES = [(family, kind) for family in DENSE for kind in KINDS] + [(family, "clt") for family in MIXTURES]


@pytest.mark.parametrize(("family", "kind"), CASES, ids=[f"{family.name}-{kind}" for family, kind in CASES])
def test_edges_and_bias_sum_to_what_they_explain(family: tiny_models.Family, kind: str):
    model = tiny_models.build(family)
    replacement: ReplacementModel = KINDS[kind](model)
    frozen = replacement.freeze(model, circuit_kit.ROW)
    last = frozen.frozen_pass.activations[f"resid_post.{model.n_layers - 1}"]
    torch.testing.assert_close(frozen.forward(), last, atol=1e-5, rtol=1e-5)
    graph = trace(model, replacement, circuit_kit.ROW)
    assert graph.n_features > 100
    torch.testing.assert_close(graph.edges.sum(1) + graph.biases, graph.preactivations, atol=2e-5, rtol=1e-5)
    logits = model.next_logits([circuit_kit.ROW])[0]
    if getattr(model.hf.config, "final_logit_softcapping", None) is None:
        expected = torch.stack([logits[target.token] for target in graph.targets]) - logits.mean()
        torch.testing.assert_close(graph.preactivations[graph.n_features :], expected, atol=1e-5, rtol=1e-5)


def test_a_partial_replacement_has_latents_where_there_are_coders_and_neurons_elsewhere():
    model = tiny_models.build(next(family for family in tiny_models.FAMILIES if family.name == "llama"))
    coded = DictionaryReplacement(circuit_kit.dictionary(model))
    replacement = PartialReplacement(circuit_kit.dictionary(model, layers=1), model)
    mixed = replacement.freeze(model, circuit_kit.ROW)
    latents = coded.freeze(model, circuit_kit.ROW)
    neurons = NeuronReplacement(model).freeze(model, circuit_kit.ROW)
    for layer in range(model.n_layers):
        expected = latents if layer == 0 else neurons
        for own, other in ((mixed.features, expected.features), (mixed.activations, expected.activations)):
            mine, theirs = mixed.features[:, 0] == layer, expected.features[:, 0] == layer
            torch.testing.assert_close(own[mine], other[theirs])
    assert mixed.errors[0].abs().max() > 1e-3 > mixed.errors[1:].abs().max()
    for layer, whole in ((0, coded), (1, NeuronReplacement(model))):
        _, position, latent = mixed.features[mixed.features[:, 0] == layer][-1].tolist()
        changes = [Intervention(layer, position, latent, "set", 3.0)]
        torch.testing.assert_close(
            intervene(model, replacement, circuit_kit.ROW, changes).logits,
            intervene(model, whole, circuit_kit.ROW, changes).logits,
        )


@pytest.mark.parametrize(
    "family", [family for family in DENSE if family.name != "opt"], ids=lambda family: family.name
)
def test_rows_equal_gradients_of_the_frozen_model(family: tiny_models.Family):
    """Patterns and scales are held in the model itself, its MLP outputs made leaves, and autograd asked."""
    model = tiny_models.build(family)
    dictionary = circuit_kit.dictionary(model)
    replacement = DictionaryReplacement(dictionary)
    frozen = replacement.freeze(model, circuit_kit.ROW)
    graph = trace(model, replacement, circuit_kit.ROW)
    outputs = {f"mlp_out_post.{layer}": None for layer in range(model.n_layers)}
    leaves: dict[str, Tensor] = {}

    def leaf(address: str, hidden: Tensor, _seen: object) -> Tensor:
        leaves[address] = hidden.detach().clone().requires_grad_(True)
        return leaves[address]

    top = int(graph.features[:, 0].max())
    row = int((graph.features[:, 0] == top).nonzero()[-1])
    _, position, latent = graph.features[row].tolist()
    read = f"mlp_in.{top}"
    with (
        held_as(model, frozen.frozen_pass),
        rewritten(model, [], list(outputs), leaf),
        model.watched(read) as seen,
    ):
        model.hf(**model.batch([circuit_kit.ROW]))
        value = seen[read][0, position] @ dictionary.coders[top].W_enc[latent]
        value = value + dictionary.coders[top].b_enc[latent]
    torch.testing.assert_close(value.detach(), graph.preactivations[row], atol=1e-5, rtol=1e-5)
    gradients = torch.autograd.grad(value, [leaves[name] for name in outputs], allow_unused=True)
    for column, (layer, at, which) in enumerate(graph.features.tolist()):
        if layer >= top:
            assert graph.edges[row, column] == 0
            continue
        written = graph.activations[column] * dictionary.coders[layer].W_dec[which]
        passage = frozen.write_norms[layer]
        written = passage.linear(written) * passage.scale[at]
        gradient = gradients[layer]
        assert gradient is not None
        torch.testing.assert_close(graph.edges[row, column], gradient[0, at] @ written, atol=1e-5, rtol=1e-4)
    for layer in range(top):
        errors = (gradients[layer][0] * frozen.errors[layer]).sum(1)
        start = graph.n_features + layer * graph.n_positions
        torch.testing.assert_close(
            graph.edges[row, start : start + graph.n_positions], errors, atol=1e-5, rtol=0
        )


def test_the_embedding_of_gemma_counts_as_it_enters_the_first_block():
    """Its scale of sqrt(d_model) is part of the token's node."""
    model = tiny_models.build(next(family for family in tiny_models.FAMILIES if family.name == "gemma3_text"))
    frozen = NeuronReplacement(model).freeze(model, circuit_kit.ROW)
    plain = model.hf.get_input_embeddings().weight[list(circuit_kit.ROW.ids)]
    torch.testing.assert_close(frozen.embeddings, plain * model.d_model**0.5, atol=1e-5, rtol=1e-5)


def test_the_organism_adds_up():
    model = load("organism", dtype="float32")
    row = model.chat([{"role": "user", "content": "What is the capital of France?"}])
    replacement = NeuronReplacement(model)
    frozen = replacement.freeze(model, row)
    last = frozen.frozen_pass.activations[f"resid_post.{model.n_layers - 1}"]
    torch.testing.assert_close(frozen.forward(), last, atol=1e-5, rtol=1e-5)
    config = TraceConfig(max_features=300, rank_every=300)
    graph = trace(model, replacement, row, config, targets=targets.top_logits(most=2))
    gap = graph.edges.sum(1) + graph.unselected + graph.biases - graph.preactivations
    assert float(gap.abs().max()) < 1e-4


@pytest.mark.parametrize("address", ["resid_post.1", "resid_pre.1", "resid_mid.1", "mlp_in.2", "final_norm"])
def test_a_direction_is_explained_where_it_is_read(address: str):
    model = tiny_models.build(tiny_models.FAMILIES[0])
    direction = Direction("d", address, torch.randn(model.d_model), model.fingerprint)
    read = partial(targets.direction, "d", direction)
    graph = trace(model, NeuronReplacement(model), circuit_kit.ROW, targets=read(position=-2))
    with model.watched(address) as seen, torch.no_grad():
        model.hf(**model.batch([circuit_kit.ROW]))
    expected = direction.project(seen[address][0, -2])
    torch.testing.assert_close(graph.preactivations[-1], expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(graph.edges[-1].sum() + graph.biases[-1], expected, atol=1e-5, rtol=1e-5)


def test_a_difference_and_a_feature_are_explained_like_their_parts():
    model = tiny_models.build(tiny_models.FAMILIES[0])
    replacement = DictionaryReplacement(circuit_kit.dictionary(model))
    both = trace(model, replacement, circuit_kit.ROW, targets=targets.tokens(5, "w9"))
    apart = trace(model, replacement, circuit_kit.ROW, targets=targets.difference(5, "w9"))
    torch.testing.assert_close(apart.edges[-1], both.edges[-2] - both.edges[-1], atol=1e-6, rtol=1e-5)
    row = int((both.features[:, 0] == 2).nonzero()[0])
    one = trace(model, replacement, circuit_kit.ROW, targets=targets.feature(*_place(both, row)))
    torch.testing.assert_close(one.edges[-1], both.edges[row], atol=1e-6, rtol=1e-5)


def _place(graph, row: int) -> tuple[int, int, int]:
    layer, position, latent = graph.features[row].tolist()
    return layer, position, latent


@pytest.mark.parametrize("kind", ["neurons", "clt"])
def test_a_graph_under_steering_adds_up_to_the_steered_answer(kind: str):
    """The steered model's own logits, by a plain hook; what is added counts as bias."""
    model = load("organism", dtype="float32")
    replacement = (
        NeuronReplacement(model)
        if kind == "neurons"
        else DictionaryReplacement(Dictionary.load(organism.dictionary_path("clt"), model))
    )
    row = model.chat([{"role": "user", "content": "What should I do about my neighbour?"}], "Well, the")
    vector = 3 * torch.randn(model.d_model, generator=torch.Generator().manual_seed(0))
    edits = [Edit("resid_post.1", "add", vector, 1.5, "response"), Edit("resid_post.3", "add", -vector, 0.5)]
    steered = trace(model, replacement, row, TraceConfig(max_features=200), edits=edits)

    def push(where: slice, by: Tensor):
        def hook(_module, _args, output):
            hidden = output[0] if isinstance(output, tuple) else output
            hidden[:, where] += by

        return hook

    blocks = model.hf.model.layers
    handles = [
        blocks[1].register_forward_hook(push(slice(row.prompt_length - 1, None), 1.5 * vector)),
        blocks[3].register_forward_hook(push(slice(None), -0.5 * vector)),
    ]
    with torch.no_grad():
        logits = model.hf(torch.tensor([row.ids])).logits[0, -1]
    for handle in handles:
        handle.remove()
    plain = model.next_logits([row])[0]
    assert (logits - plain).abs().max() > 1  # it does steer
    expected = torch.stack([logits[target.token] for target in steered.targets]) - logits.mean()
    values = steered.preactivations[steered.n_features :]
    torch.testing.assert_close(values, expected, atol=2e-3, rtol=1e-3)
    parts = steered.edges.sum(1) + steered.biases + steered.unselected
    torch.testing.assert_close(parts, steered.preactivations, atol=2e-3, rtol=1e-3)
    with pytest.raises(DataError, match="under steering"):
        trace_again(model, replacement, steered)


def test_steering_that_a_graph_cannot_hold_is_refused():
    model = load("organism", dtype="float32")
    edit = Edit("mlp_in.1", "add", torch.ones(model.d_model), 1.0)
    with pytest.raises(ModelError, match=r"edits of resid_post\.LAYER, and not of mlp_in\.1"):
        trace(model, NeuronReplacement(model), "the bird of", edits=[edit])
