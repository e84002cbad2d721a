"""Interventions: the peer's numbers, a graph's edges, and plain hooks that know nothing of this code."""

from functools import partial
from pathlib import Path

import circuit_kit
import numpy as np
import pytest
import tiny_models
import torch
from torch import Tensor

from mindscope.circuits import (
    DictionaryReplacement,
    Intervention,
    NeuronReplacement,
    ReplacementModel,
    intervene,
    intervene_batch,
    intervening,
    read_feature_activations,
    trace,
)
from mindscope.dictionaries import Dictionary
from mindscope.dictionaries.formats import read_dictionary
from mindscope.dictionaries.formats.base import ReadOptions
from mindscope.models import Model, Raw, Read, Row, Sampling, load

NAMED = {family.name: family for family in tiny_models.FAMILIES}
ROW = circuit_kit.ROW
CASES = [("open", "open", None), ("frozen_attention", "frozen", None), ("constrained", "constrained", None)]
CASES.append(("partial", "constrained", range(3)))


@pytest.mark.parametrize("name", ["llama_plt", "gemma2_clt"])
def test_all_modes_of_the_peer(parity: Path, name: str):
    folder = parity / name
    model, expected = load(str(folder / "model"), dtype="float32"), np.load(folder / "expected_full.npz")
    dictionary = read_dictionary(folder / "transcoders", options=ReadOptions(model=model, lazy=True))
    replacement, ids = DictionaryReplacement(dictionary), tuple(expected["input_tokens"].tolist())
    features = torch.from_numpy(expected["active_features"])
    every = [
        Intervention(*map(int, place), "set", value) for *place, value in expected["interventions"].tolist()
    ]
    for case, mode, layers in CASES:
        # The peer says nothing of a change that its range leaves out whole; here it is refused.
        own = [change for change in every if layers is None or change.layer in layers]
        outcome = intervene(
            model, replacement, Row(ids, len(ids)), own, mode=mode, layers=layers, features=features
        )
        np.testing.assert_allclose(outcome.logits, expected[f"iv_{case}_logits"], atol=1e-5)
        np.testing.assert_allclose(outcome.preactivations, expected[f"iv_{case}_preacts"], atol=1e-5)


KINDS = {
    "transcoders": {"skip": True},
    "topk": {"activation": "topk"},
    "clt": {"cross": True, "activation": "jumprelu", "skip": True, "write": "mlp_out_post"},
}
PAIRS = [("llama", "transcoders"), ("gemma2", "clt"), ("gpt_neox", "topk"), ("olmo2", "clt")]


@pytest.mark.parametrize(("family", "kind"), PAIRS)
def test_all_mlps_held_leave_the_edges_of_the_graph(family: str, kind: str):
    """Changing features by shares of their activations changes each row by these shares of its edges."""
    model = tiny_models.build(NAMED[family])
    replacement = DictionaryReplacement(circuit_kit.dictionary(model, **KINDS[kind]))
    graph = trace(model, replacement, ROW)
    chosen = torch.arange(0, graph.n_features, 17)
    factors = torch.linspace(-2, 3, len(chosen))
    changes = [
        Intervention(*graph.features[at].tolist(), "scale", float(factor))
        for at, factor in zip(chosen, factors, strict=True)
    ]
    before, after = intervene_batch(
        model, replacement, ROW, [[], changes], mode="constrained", features=graph.features
    )
    predicted = graph.edges[:, chosen] @ (factors - 1)
    moved = after.preactivations - before.preactivations
    scale = float(predicted.abs().max())
    torch.testing.assert_close(moved, predicted[: graph.n_features], atol=2e-5 * scale, rtol=1e-4)
    if model.hf.config.to_dict().get("final_logit_softcapping") is None:
        logits = [logits - logits.mean() for logits in (before.logits, after.logits)]
        tokens = [target.token for target in graph.targets]
        torch.testing.assert_close(
            (logits[1] - logits[0])[tokens], predicted[graph.n_features :], atol=2e-5 * scale, rtol=1e-4
        )


def by_hand(
    model: Model, dictionary: Dictionary, ids: tuple[int, ...], changes: list[Intervention]
) -> Tensor:
    """Logits of every token of a llama with transcoders, changed by plain hooks, without a cache."""

    def hook(layer: int, _module: object, args: tuple, output: Tensor) -> Tensor:
        coder, output = dictionary.coders[layer], output.clone()
        for change in changes:
            everywhere = range(len(ids))
            here = everywhere[change.position] if isinstance(change.position, slice) else [change.position]
            for at in here if change.layer == layer else ():
                a = torch.relu(coder.W_enc[change.latent] @ args[0][0, at] + coder.b_enc[change.latent])
                new = {"set": change.value, "scale": change.value * a, "add": a + change.value}[change.op]
                output[0, at] += (new - a) * coder.W_dec[change.latent]
        return output

    blocks = [model.hf.get_submodule(f"model.layers.{layer}.mlp") for layer in range(model.n_layers)]
    handles = [block.register_forward_hook(partial(hook, layer)) for layer, block in enumerate(blocks)]
    try:
        with torch.no_grad():
            return model.hf(torch.tensor([ids]), use_cache=False).logits[0]
    finally:
        for handle in handles:
            handle.remove()


EACH = [
    [Intervention(0, slice(1, None), 3, "set", 6.0), Intervention(2, slice(4, None), 9, "add", -5.0)],
    [],
    [Intervention(1, 2, 7, "scale", -8.0)],
    [Intervention(1, slice(6, None), 5, "set", 9.0), Intervention(0, slice(0, 2), 5, "set", 4.0)],
]
"""For rows of unlike lengths: some that go on into what is generated, one that does not, and none."""


def prompts() -> list[Row]:
    return [Row(ROW.ids[:length], length) for length in (5, 9, 3, 7)]


def test_many_rows_while_they_are_written():
    """Cached, batched, rows sorted and leaving the batch: each as by itself, without a cache."""
    model = tiny_models.build(NAMED["llama"])
    dictionary = circuit_kit.dictionary(model)
    replacement = DictionaryReplacement(dictionary)
    sampling = Sampling(temperature=0, max_new_tokens=8)
    reads = {"x": Read("lm_head", Raw("all"))}
    with intervening(model, replacement, prompts(), EACH):
        generated = model.generate(prompts(), sampling, reads=reads, batch_rows=3)
        following = model.next_logits(prompts())
    untouched = model.generate(prompts(), sampling)
    assert (
        sum(result.row.ids != other.row.ids for result, other in zip(generated, untouched, strict=True)) >= 2
    )
    for number, result in enumerate(generated):
        expected = by_hand(model, dictionary, result.row.ids, EACH[number])
        torch.testing.assert_close(result.reads["x"], expected, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(
            following[number], expected[result.row.prompt_length - 1], atol=1e-4, rtol=1e-4
        )
        assert result.row.answer == tuple(expected[result.row.prompt_length - 1 : -1].argmax(1).tolist())
    assert tiny_models.hooks_on(model) == 0


def test_constrained_prompts_are_held_alone_and_together():
    """Several prompts in a mode that holds what each of them computed, and generating from them."""
    model = tiny_models.build(NAMED["gemma2"])
    replacement = DictionaryReplacement(circuit_kit.dictionary(model, cross=True))
    sampling = Sampling(temperature=0, max_new_tokens=4)
    options = {"mode": "constrained", "layers": range(1, 3)}
    with intervening(model, replacement, prompts(), EACH, **options):
        together, answers = model.next_logits(prompts()), model.generate(prompts(), sampling)
    for number, row in enumerate(prompts()):
        alone = intervene(model, replacement, row, EACH[number], **options)
        torch.testing.assert_close(together[number], alone.logits, atol=1e-4, rtol=1e-4)
        with intervening(model, replacement, [row], EACH[number], **options):
            assert model.generate([row], sampling)[0].row.ids == answers[number].row.ids
    open_ = [intervene(model, replacement, *pair).logits for pair in zip(prompts(), EACH, strict=True)]
    assert (torch.stack(open_) - together).abs().max() > 0.01


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_neuron_is_what_the_down_projection_takes_in(family: str):
    model = tiny_models.build(NAMED[family])
    replacement = NeuronReplacement(model)
    path = {"llama": "model.layers.1.mlp.down_proj", "gpt2": "transformer.h.1.mlp.c_proj"}[family]

    def change(_module: object, args: tuple) -> tuple:
        args[0][0, 4, 11] *= -3
        args[0][0, 6, 12] = 2.5
        return args

    handle = model.hf.get_submodule(path).register_forward_pre_hook(change)
    with torch.no_grad():
        expected = model.hf(torch.tensor([ROW.ids]), use_cache=False).logits[0, -1]
    handle.remove()
    changes = [Intervention(1, 4, 11, "scale", -3.0), Intervention(1, 6, 12, "set", 2.5)]
    outcome = intervene(model, replacement, ROW, changes)
    torch.testing.assert_close(outcome.logits, expected, atol=1e-4, rtol=1e-4)


def test_activations_of_many_prompts_are_those_of_their_graphs():
    model = tiny_models.build(NAMED["llama"])
    replacement: ReplacementModel = DictionaryReplacement(circuit_kit.dictionary(model, activation="topk"))
    latents = [(layer, latent) for layer in (2, 0) for latent in range(0, 40, 3)]
    for row, found in zip(
        prompts(), read_feature_activations(model, replacement, prompts(), latents), strict=True
    ):
        frozen = replacement.freeze(model, row, skip_tokens=0)
        known = dict(zip(map(tuple, frozen.features.tolist()), frozen.activations.tolist(), strict=True))
        expected = [
            [known.get((layer, at, latent), 0.0) for layer, latent in latents] for at in range(len(row))
        ]
        torch.testing.assert_close(found, torch.tensor(expected), atol=1e-5, rtol=1e-5)
