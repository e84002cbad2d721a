"""Every method finds the atoms that the data are made of."""

from pathlib import Path
from typing import Any

import pytest
import torch
from dictionary_kit import ACTIVE, ATOMS, WIDTH, AtomSource

from mindscope.dictionaries import Dictionary, DictionaryConfig, TrainConfig, train
from mindscope.store import Run

# The learning rates of the papers are for dictionaries of thousands of latents and 100 times as many steps;
# their penalties for activations of which each explains little.
FAST: dict[str, Any] = {"learning_rate": 3e-3, "dead_tokens": 10_000}
# Method -> steps, options, the share of atoms that must be found, and how many times as many latents as atoms
# may be active: with twice as many latents L1 gives an atom two that lie side by side.
METHODS: dict[str, tuple[int, dict[str, Any], float, float]] = {
    "topk": (300, {}, 0.95, 1.2),
    "batchtopk": (300, {}, 0.9, 1.2),
    "matryoshka": (400, {"groups": (0.5, 0.5)}, 0.85, 1.2),
    "relu": (400, {"sparsity": 5.0}, 0.95, 2.2),
    "jumprelu": (1000, {"sparsity": 0.5, "preact": 3e-3, "learning_rate": 5e-3}, 0.95, 1.2),
}


def trained(folder: Path, source: AtomSource, steps: int, **options: Any) -> Dictionary:
    base = {"name": "found", "reads": ("here",), "n_latents": 2 * ATOMS, "k": ACTIVE}
    one = DictionaryConfig(**(base | FAST | options))
    config = TrainConfig(dictionaries=(one,), steps=steps, batch_tokens=512)
    with Run.open(folder, kind="test", config={}) as run:
        return train(source, run, config)["found"]


@pytest.mark.parametrize("method", METHODS)
def test_atoms_are_recovered(method: str, tmp_path: Path) -> None:
    source, (steps, options, found, most_active) = AtomSource(scale=7.0), METHODS[method]
    dictionary = trained(tmp_path / "run", source, steps, method=method, **options)
    strengths, x = source.tokens(4096, seed=1)
    code = dictionary.encode(x[:, :WIDTH])
    assert source.recovered(dictionary) >= found
    true = float((strengths > 0).float().sum(1).mean())
    assert 0.8 * true <= float(code.l0.float().mean()) <= most_active * true
    # where training begins nothing is found yet
    begun = trained(tmp_path / "begun", source, 1, method=method, **options)
    assert source.recovered(begun) <= 0.05


def test_a_transcoder_writes_the_images_of_what_it_reads(tmp_path: Path) -> None:
    source = AtomSource(scale=0.1)
    dictionary = trained(tmp_path, source, 400, kind="transcoder", writes=("there",), method="topk")
    assert source.recovered(dictionary, side=1) >= 0.95


def test_a_crosscoder_finds_what_both_sites_share(tmp_path: Path) -> None:
    source = AtomSource()
    both = ("here", "there")
    dictionary = trained(tmp_path, source, 400, kind="crosscoder", reads=both, method="batchtopk")
    found = torch.nn.functional.normalize(dictionary.coder.W_dec)
    atoms = torch.nn.functional.normalize(torch.cat([source.atoms, source.images], dim=1))
    assert float(((atoms @ found.T).max(1).values >= 0.95).float().mean()) >= 0.95
    norms = [part.norm(dim=1) for part in dictionary.coder.W_dec.split(WIDTH, dim=1)]
    assert torch.stack(norms).sum(0) == pytest.approx(1.0, abs=1e-5)
