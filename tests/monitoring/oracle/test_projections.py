"""Readings against plain hooks in float64, turn by turn, and the same while generating."""

import copy

import pytest
import tiny_models
import torch

from mindscope.errors import DataError
from mindscope.features import Direction, FeatureSet
from mindscope.models import Model, Sampling
from mindscope.monitoring import Monitor, project_turns

TALK = [
    {"role": "user", "content": "w1 w2 w3"},
    {"role": "assistant", "content": "w4 w5"},
    {"role": "user", "content": "w6"},
    {"role": "assistant", "content": "w7 w8 w9 w10"},
    {"role": "user", "content": "w2 w2"},
]


def by_hand(model: Model, ids: tuple[int, ...]) -> list[torch.Tensor]:
    """The output of every block, float64."""
    hf = copy.deepcopy(model.hf).double()
    seen: list[torch.Tensor] = []
    for block in hf.model.layers:
        block.register_forward_hook(
            lambda _m, _i, out: seen.append((out[0] if isinstance(out, tuple) else out)[0])
        )
    with torch.no_grad():
        hf(torch.tensor([ids]))
    return seen


def test_every_turn_of_a_conversation(llama: Model, features: FeatureSet) -> None:
    other = [{"role": "user", "content": "w9"}, {"role": "assistant", "content": "w3"}]
    found, second = project_turns(llama, features, [TALK, other])
    assert found.features == (
        "evil@resid_post.2",
        "evil@resid_post.0",
        "kind@resid_post.2",
        "kind@resid_post.0",
    )
    assert [len(turn.tokens) for turn in found.turns] == [2, 4, 0]
    assert [len(turn.tokens) for turn in second.turns] == [1]
    for turn, upto in zip(found.turns, (1, 3, 5), strict=True):
        answer = TALK[upto]["content"] if upto < 5 else None
        row = llama.chat(TALK[:upto], answer)
        assert turn.row == row
        layers = by_hand(llama, row.ids)
        for column, feature in enumerate(features):
            v = feature.vector.double()
            along = layers[int(feature.address[-1])] @ v / v.norm()
            assert turn.last_prompt[column].item() == pytest.approx(
                along[row.prompt_length - 1].item(), abs=2e-5
            )
            assert torch.allclose(turn.tokens[:, column].double(), along[row.prompt_length :], atol=2e-5)
    series = found.series("kind@resid_post.0")
    assert series[2] is None
    assert series[1] == pytest.approx(found.turns[1].tokens[:, 3].mean().item(), abs=1e-6)
    assert found.series("kind@resid_post.0", "last_prompt")[2] == found.turns[2].last_prompt[3].item()


def test_reading_while_generating_is_reading_the_finished_row(llama: Model, features: FeatureSet) -> None:
    rows = [llama.text(text) for text in ("w1 w2 w3", "w4", "w5 w6 w7 w8 w9 w10")]
    seen = Monitor(features).generate(llama, rows, Sampling(max_new_tokens=7, seed=2))
    plain = llama.generate(rows, Sampling(max_new_tokens=7, seed=2))
    for watched, generation in zip(seen, plain, strict=True):
        (turn,) = watched.trace.turns
        assert watched.generation is not None
        assert watched.generation.row == generation.row == turn.row  # watching changes nothing
        assert len(turn.tokens) == len(generation.row.answer)
        layers = by_hand(llama, generation.row.ids)
        for column, feature in enumerate(features):
            along = layers[int(feature.address[-1])] @ feature.unit.double()
            assert torch.allclose(turn.tokens[:, column].double(), along[turn.row.prompt_length :], atol=2e-5)
            assert turn.last_prompt[column].item() == pytest.approx(
                along[turn.row.prompt_length - 1].item(), abs=2e-5
            )


class Latent:
    """A feature that is not a plain direction: a rectified projection, as a dictionary's latent reads."""

    def __init__(self, inner: Direction, bias: float) -> None:
        self.inner, self.bias = inner, bias
        self.name, self.reads, self.models = "latent 7", inner.reads, inner.models

    def project(self, activations):
        return torch.relu(self.inner.project(activations) - self.bias)

    def edit(self, value, where="answer"):
        return self.inner.edit(value, where)

    def digest(self) -> str:
        return f"{self.inner.digest()} {self.bias}"


def test_any_feature_is_read_alike(llama: Model, features: FeatureSet) -> None:
    mixed = FeatureSet([*features, Latent(features[0], 0.5)])
    plain = project_turns(llama, features, [TALK])[0].turns[1].tokens
    read = project_turns(llama, mixed, [TALK])[0].turns[1].tokens
    assert torch.allclose(read[:, :4], plain, atol=1e-5)
    assert torch.allclose(read[:, 4], torch.relu(plain[:, 0] - 0.5), atol=1e-5)
    assert mixed.digest() != FeatureSet([*features, Latent(features[0], 0.6)]).digest()
    rows = [llama.text("w1 w2")]
    (live,) = Monitor(mixed).generate(llama, rows, Sampling(max_new_tokens=5))
    tokens = live.trace.turns[0].tokens
    assert torch.allclose(tokens[:, 4], torch.relu(tokens[:, 0] - 0.5), atol=1e-5)


def test_what_cannot_be_read_is_refused(llama: Model, features: FeatureSet, relapsing: Model) -> None:
    with pytest.raises(DataError, match="another model"):
        project_turns(relapsing, features, [TALK])
    with pytest.raises(DataError, match="conversation 1: there is no turn"):
        project_turns(llama, features, [TALK, [{"role": "assistant", "content": "w1"}]])
    with pytest.raises(DataError, match="conversation 0: 65 tokens"):
        project_turns(llama, features, [[{"role": "user", "content": "w1 " * 65}]])
    with pytest.raises(DataError, match="same name"):
        FeatureSet([features[0], features[0]])
    assert tiny_models.hooks_on(llama) == 0
