"""Training that begins with a finished dictionary begins as that dictionary."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from dictionary_kit import ATOMS, KINDS, METHODS, WIDTH, AtomSource, D, data, weights

from mindscope.dictionaries import (
    Dictionary,
    DictionaryConfig,
    DictionaryTrainer,
    Site,
    TrainConfig,
    stack_dictionaries,
    train,
    unstack_dictionaries,
)
from mindscope.dictionaries.training.scaling import ActivationScaling, fold_scaling
from mindscope.errors import DataError
from mindscope.store import Run


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
def test_of_no_step_the_same_dictionary_comes_out(kind: str, method: str) -> None:
    trained = weights(kind, method, **({"skip": True} if kind == "transcoder" else {}))
    x, y = data(kind)
    finished = fold_scaling(
        trained, ActivationScaling.measured(x, y, trained), [0.3] * len(trained.wiring), {}
    )
    # the next model's activations are of another size and lie elsewhere
    x, y = 3 * x + 1, 0.5 * y - 0.2
    if kind in ("sae", "crosscoder"):
        y = x
    trainer = DictionaryTrainer(trained.config, trained.reads, trained.writes, steps=100)
    trainer.begin(x, y, finished)
    again = trainer.finish({})
    assert torch.equal(again.encode(x).dense() > 0, finished.encode(x).dense() > 0)
    torch.testing.assert_close(again(x), finished(x), rtol=1e-4, atol=1e-4 * float(finished(x).abs().max()))
    scale = ActivationScaling.measured(x, y, trainer.weights)
    assert trainer.scaling is not None
    assert torch.equal(trainer.scaling.read, scale.read)


@pytest.mark.parametrize("latents", [(0.0, 1.0), (0.5, 1.0)])
def test_shared_latents_stay_alike(latents: tuple[float, float]) -> None:
    shared, spread = latents
    trained = weights("crosscoder", "batchtopk", shared_latents=shared)
    x, _ = data("crosscoder")
    finished = fold_scaling(trained, ActivationScaling.measured(x, x, trained), [0.3], {})
    uneven = torch.cat([x[:, :D], (1 + spread) * x[:, D:]], dim=1)
    trainer = DictionaryTrainer(trained.config, trained.reads, trained.writes, steps=100)
    trainer.begin(uneven, uneven, finished)
    (coder,) = trainer.weights.coders()
    first, second = coder.W_dec[:, :D], coder.W_dec[:, D:]
    n_shared = trainer.weights.n_shared
    assert torch.equal(first[:n_shared], second[:n_shared])
    assert not torch.equal(first[n_shared:], second[n_shared:])


class _TurnedSource(AtomSource):
    """The same atoms, each moved a little, as after some more training."""

    def __init__(self) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(5)
        self.atoms = torch.nn.functional.normalize(
            self.atoms + 0.3 / WIDTH**0.5 * torch.randn(ATOMS, WIDTH, generator=draw)
        )


SAE = DictionaryConfig(name="sae", reads=("here",), n_latents=2 * ATOMS, k=3, learning_rate=3e-3)


def _train(
    folder: Path,
    source: AtomSource,
    steps: int,
    begin_with: Mapping[str, Dictionary] | None = None,
    stop: int | None = None,
    sae: DictionaryConfig = SAE,
) -> Dictionary:
    config = TrainConfig(
        dictionaries=(sae,), steps=steps, batch_tokens=512, buffer_batches=4, checkpoint_every=5
    )

    def progress(done: int, total: int, label: str) -> None:
        if done == stop:
            raise KeyboardInterrupt

    with Run.open(folder, kind="t", config=config.model_dump(mode="json"), seed=0) as run:
        return train(source, run, config, progress=progress, begin_with=begin_with)[sae.name]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Dictionary:
    return _train(tmp_path_factory.mktemp("first"), AtomSource(), 400)


def test_it_needs_fewer_steps_than_one_that_begins_at_random(trained: Dictionary, tmp_path: Path) -> None:
    source = _TurnedSource()
    begun = _train(tmp_path / "begun", source, 20, {"sae": trained})
    anew = _train(tmp_path / "anew", source, 20)
    assert source.recovered(begun) >= 0.9
    assert source.recovered(anew) <= 0.1
    assert begun.metadata["began_as"] == trained.digest()
    assert "began_as" not in anew.metadata
    # latents keep their numbers
    turned = torch.cosine_similarity(begun.coder.W_dec, trained.coder.W_dec, dim=1)
    assert turned.median() > 0.9


def test_stopped_it_goes_on_to_the_same_bytes(trained: Dictionary, tmp_path: Path) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        _train(stopped, _TurnedSource(), 20, {"sae": trained}, stop=13)
    again = _train(stopped, _TurnedSource(), 20, {"sae": trained})
    assert again.digest() == _train(whole, _TurnedSource(), 20, {"sae": trained}).digest()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n_latents": 64}, "has 128 latents: it has 64"),
        ({"reads": ("there",)}, "reads here"),
        ({"method": "relu"}, "another method: that is batchtopk"),
        ({"name": "other"}, "nothing called sae"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_read(
    trained: Dictionary, tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    class Unread(AtomSource):
        def fill(self, buffer, position):
            raise AssertionError("was read")

    with pytest.raises(DataError, match=said):
        _train(tmp_path, Unread(), 20, {"sae": trained}, sae=SAE.model_copy(update=options))


def test_a_stack_is_taken_apart() -> None:
    layers = []
    for layer in range(2):
        kept = weights("transcoder", "batchtopk")
        kept.reads, kept.writes = (Site(f"mlp_in.{layer}", D),), (Site(f"mlp_out.{layer}", D),)
        x, y = data("transcoder")
        scaling = ActivationScaling.measured(x, y + layer, kept)
        layers.append(fold_scaling(kept, scaling, [0.3], {"layer": layer}))
    apart = unstack_dictionaries(stack_dictionaries(layers))
    assert [one.digest() for one in apart] == [one.digest() for one in layers]
    assert [one.metadata for one in apart] == [one.metadata for one in layers]
