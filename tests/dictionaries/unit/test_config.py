"""Defaults are those of the papers; what does not fit together is refused."""

import math
from typing import Any

import pytest
from pydantic import ValidationError

from mindscope.dictionaries import DictionaryConfig, TrainConfig


def config(**options: Any) -> DictionaryConfig:
    return DictionaryConfig(**({"name": "x", "reads": ("resid_post.0",), "n_latents": 2**14} | options))


def test_learning_rates() -> None:
    for method in ("topk", "batchtopk", "matryoshka"):
        assert config(method=method).resolved(10**6).learning_rate == pytest.approx(2e-4)
        assert config(method=method, n_latents=2**12).resolved(10**6).learning_rate == pytest.approx(4e-4)
    assert config(method="relu").resolved(10**6).learning_rate == 5e-5
    assert config(method="jumprelu").resolved(10**6).learning_rate == 2e-4


def test_coefficients_and_warmup() -> None:
    assert (
        config(method="relu").resolved(10**6).sparsity,
        config(method="relu").resolved(10).warmup_steps,
    ) == (
        5.0,
        0,
    )
    jumprelu = config(method="jumprelu").resolved(10**6)
    assert (jumprelu.sparsity, jumprelu.preact, jumprelu.bandwidth, jumprelu.tanh_scale) == (10, 3e-6, 2, 4)
    assert jumprelu.warmup_steps == 1000
    sites = {"kind": "clt", "reads": ("a", "b"), "writes": ("c", "d"), "method": "jumprelu"}
    clt = config(**sites).resolved(10**6)
    assert (math.exp(clt.log_threshold or 0), clt.bandwidth, clt.tanh_scale) == (pytest.approx(0.03), 1, 1)
    assert config(**sites, bandwidth=0.5).resolved(10).bandwidth == 0.5
    assert config().resolved(500).warmup_steps == 50
    assert config().auxk == 1 / 32


def test_matryoshka_groups() -> None:
    assert config(method="matryoshka", n_latents=65536).group_ends == (2048, 6144, 14336, 30720, 65536)
    assert config(method="batchtopk").group_ends == (2**14,)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"k": 2**15}, "k:"),
        ({"kind": "transcoder"}, "writes elsewhere"),
        ({"kind": "clt", "reads": ("a", "b"), "writes": ("c",)}, "one address for each"),
        ({"kind": "crosscoder"}, "several"),
        ({"writes": ("resid_post.1",)}, "writes where it reads"),
        ({"skip": True}, "skip"),
        ({"method": "matryoshka", "groups": (0.5, 0.4)}, "sum to 1"),
        ({"name": "../x"}, "name"),
        ({"resample": (5,)}, "relu's way"),
    ],
)
def test_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        config(**options)


def test_dead_latents_are_drawn_anew_within_the_run() -> None:
    one = config(method="relu", resample=(5, 10))
    assert TrainConfig(dictionaries=(one,), steps=11).dictionaries == (one,)
    with pytest.raises(ValidationError, match="step 10 does not lie within a run of 10 steps"):
        TrainConfig(dictionaries=(one,), steps=10)


def test_names_must_differ() -> None:
    with pytest.raises(ValidationError, match="two have the same name"):
        TrainConfig(dictionaries=(config(), config()), steps=1)
