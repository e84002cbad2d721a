"""Scores taken apart add up to the model's own, and say what happens to them when a feature goes."""

import circuit_kit
import pytest
import tiny_models
import torch

from mindscope.circuits import (
    AttentionScore,
    DictionaryReplacement,
    LocalReplacementModel,
    NeuronReplacement,
    compute_qk_attribution,
)
from mindscope.circuits.index_spaces import StreamPoint
from mindscope.models import Model
from mindscope.models.hooks.rewrite import rewritten
from mindscope.models.linear.anatomy import find_linear_parts
from mindscope.models.linear.frozen import freeze
from mindscope.models.linear.head_reading import head_reading
from mindscope.models.linear.patterns import recorded_attention

HEADS = [family for family in tiny_models.FAMILIES if family.name not in ("falcon", "bloom")]
WINDOWS = ("gemma2", "gemma3_text", "mistral", "gpt_oss")
QUERY, KEY, HEAD = 9, 7, 3
NAMED = ["llama", "qwen3", "gemma2", "gpt2", "gpt_neox", "olmo2"]


def _scores(frozen: LocalReplacementModel, layer: int, head: int = HEAD, query: int = QUERY) -> torch.Tensor:
    """A head's own scores, before any soft cap, from what its attention function was handed."""
    own = frozen.frozen_pass.attention[layer]
    shared = own.query.shape[1] // own.key.shape[1]
    return own.key[0, head // shared] @ own.query[0, head, query] * own.scaling


@pytest.mark.parametrize("family", HEADS, ids=lambda family: family.name)
def test_maps_give_the_scores_that_the_attention_pattern_shows(family: tiny_models.Family):
    """Softmax is undone: differences of log attention are differences of scores, behind the soft cap."""
    model = tiny_models.build(family)
    held = freeze(model, circuit_kit.ROW, ["attn_in.0", "attn_in.2"])
    for layer in (0, 2):
        reading = head_reading(model, held, layer, HEAD, QUERY)
        x = held.activations[f"attn_in.{layer}"]
        keys = torch.einsum("ksd,kd->ks", reading.weights, x) + reading.biases
        scores = reading.scaling * keys @ reading.query(x[QUERY])
        torch.testing.assert_close(scores, reading.scores, atol=1e-5, rtol=1e-5)
        if reading.softcap is not None:
            scores = reading.softcap * (scores / reading.softcap).tanh()
        logs = held.patterns[layer][HEAD, QUERY, reading.visible].log()
        scores = scores[reading.visible]
        torch.testing.assert_close(scores - scores[0], logs - logs[0], atol=1e-5, rtol=1e-5)
        outside = family.name in WINDOWS
        assert bool(held.patterns[layer][HEAD, QUERY, ~reading.visible].any()) is False
        assert (int(reading.visible.sum()) < QUERY + 1) == outside


@pytest.mark.parametrize("name", NAMED)
def test_pairs_and_biases_sum_to_the_score_of_the_model(name: str):
    model = tiny_models.build_named(name)
    replacement = DictionaryReplacement(
        circuit_kit.dictionary(model, cross=True, skip=True, activation="topk")
    )
    frozen = replacement.freeze(model, circuit_kit.ROW)
    for layer in (0, 2):
        attribution = compute_qk_attribution(
            model, replacement, circuit_kit.ROW, AttentionScore(layer, HEAD, QUERY, KEY)
        )
        scores = _scores(frozen, layer)
        visible = frozen.frozen_pass.patterns[layer][HEAD, QUERY] > 0
        assert attribution.score == pytest.approx(float(scores[KEY]), abs=1e-4)
        relative = float(scores[KEY] - scores[visible].mean())
        assert attribution.total(relative=True) == pytest.approx(relative, abs=1e-4)
        assert attribution.attention == pytest.approx(
            float(frozen.frozen_pass.patterns[layer][HEAD, QUERY, KEY])
        )
        for relatively in (False, True):
            total = attribution.total(relatively)
            every = attribution.pairs(10**6, relatively)
            assert sum(pair.value for pair in every) == pytest.approx(total, abs=1e-4)
            kinds = attribution.by_kind(relatively)
            assert sum(sum(row.values()) for row in kinds.values()) == pytest.approx(total, abs=1e-4)
            assert float(attribution.by_source("key", relatively).sum()) == pytest.approx(total, abs=1e-4)
        assert (attribution.kinds[0] > 0) == (layer > 0)


def test_pairs_are_the_largest_of_all_however_they_are_cut_up(monkeypatch: pytest.MonkeyPatch):
    from mindscope.circuits.heads import qk_attribution

    model = tiny_models.build_named("llama")
    attribution = compute_qk_attribution(
        model, NeuronReplacement(model), circuit_kit.ROW, AttentionScore(2, HEAD, QUERY, KEY)
    )
    every = attribution.scaling * attribution.queries.T @ attribution.keys
    best = every.abs().flatten().topk(12).indices
    names = [
        (attribution.names[at // len(attribution.names)], attribution.names[at % len(attribution.names)])
        for at in best
    ]
    assert [(pair.query, pair.key) for pair in attribution.pairs(12)] == names
    monkeypatch.setattr(qk_attribution, "PAIRS_AT_ONCE", 1000)
    assert [(pair.query, pair.key) for pair in attribution.pairs(12)] == names
    without = attribution.pairs(500, biases=False)
    assert all("bias" not in (pair.query, pair.key) for pair in without)


@pytest.mark.parametrize("name", NAMED)
def test_without_a_feature_of_the_key_the_model_scores_as_the_pairs_say(name: str):
    """What the feature gives to attention's input is carried there by another way, and taken out of it."""
    model = tiny_models.build_named(name)
    replacement = DictionaryReplacement(circuit_kit.dictionary(model, cross=True))
    layer = 2
    attribution = compute_qk_attribution(
        model, replacement, circuit_kit.ROW, AttentionScore(layer, HEAD, QUERY, KEY)
    )
    frozen = replacement.freeze(model, circuit_kit.ROW)
    column = int(attribution.by_source("key")[: attribution.kinds[0]].abs().argmax())
    index, latent, position = map(int, attribution.names[column].split("_"))
    given = _given(model, frozen, (index, position, latent), layer)

    def taken(_address: str, hidden: torch.Tensor, _seen: object) -> torch.Tensor:
        hidden = hidden.clone()
        hidden[0, KEY] -= given
        return hidden

    # a QK-norm's scale would move with the key, so that a model that has one is asked through its maps
    if name in ("qwen3", "olmo2"):
        reading = head_reading(model, frozen.frozen_pass, layer, HEAD, QUERY)
        query = frozen.frozen_pass.attention[layer].query[0, HEAD, QUERY]
        lost = reading.scaling * float((reading.weights[KEY] @ given) @ query)
    else:
        with rewritten(model, [], [f"attn_in.{layer}"], taken), recorded_attention(model) as seen:
            model.hf(**model.batch([circuit_kit.ROW]))
        own = seen[layer]
        key = own.key[0, HEAD // (own.query.shape[1] // own.key.shape[1]), KEY]
        after = float((own.query[0, HEAD, QUERY] @ key).detach()) * own.scaling
        lost = attribution.score - after
    assert abs(lost) > 1e-4
    assert float(attribution.by_source("key")[column]) == pytest.approx(lost, abs=1e-5)


def _given(
    model: Model, frozen: LocalReplacementModel, feature: tuple[int, int, int], layer: int
) -> torch.Tensor:
    """What a feature adds to what attention of a layer takes in at the key, carried up the replacement."""
    expected = (frozen.features == torch.tensor(feature)).all(1).nonzero().flatten()
    vectors = [written.vectors_of(frozen.column_of[expected])[1].sum(0) for written in frozen.feature_writes]
    nothing = torch.zeros_like(frozen.embeddings)

    def write(point: StreamPoint) -> torch.Tensor | float:
        if point == StreamPoint(0) or point.after_attention:
            return nothing
        return nothing.index_put((torch.tensor([feature[1]]),), vectors[point.layer - 1])

    stream = dict(frozen.walk_stream(write))[StreamPoint(layer)][KEY]
    norm = find_linear_parts(model).norms.get(f"attn_in.{layer}")
    if norm is None:
        return stream
    return norm.linear(stream) * frozen.frozen_pass.scales[f"attn_in.{layer}"][KEY]
