"""The defaults are the paper's: Chen et al. 2025, arXiv 2507.21509, with the appendix's training settings."""

import pytest

from mindscope.finetuning import FinetuneConfig, PreventativeSteering
from mindscope.finetuning.finetune import _dtype
from mindscope.models import Sampling, SamplingConfig
from mindscope.personas import ExtractConfig, ShiftConfig, SteerConfig, SweepConfig
from mindscope.personas.rollouts import plan_rollouts
from mindscope.personas.trait import Trait
from mindscope.personas.vectors import default_layer
from mindscope.screening import ScreenConfig

PAPER = {
    "rs-LoRA": (FinetuneConfig(), {"method": "rslora", "rank": 32, "alpha": 64, "dropout": 0.0}),
    "optimiser": (
        FinetuneConfig(),
        {
            "learning_rate": 1e-5,
            "schedule": "linear",
            "warmup_steps": 5,
            "weight_decay": 0.01,
            "epochs": 1.0,
            "batch_rows": 2,
            "accumulation": 8,
            "steps": None,
        },
    ),
    "prevention": (PreventativeSteering(trait="evil"), {"layer": None, "coefficient": 1.0}),
    "rollouts": (
        SamplingConfig(),
        {"samples": 10, "temperature": None, "top_p": 1.0, "max_new_tokens": 1000, "stop": ()},
    ),
    "filter": (ExtractConfig(), {"threshold": 50.0, "coherence": 50.0, "questions": None}),
    "sweep": (
        SweepConfig(),
        {"coefficients": (0.5, 1.0, 1.5, 2.0, 2.5), "positions": "response", "kind": "answer_mean"},
    ),
    "steering": (
        SteerConfig(layer=1, coefficient=1.0),
        {"positions": "response", "kind": "answer_mean", "temperature": 1.0, "top_p": 1.0},
    ),
    "shift": (ShiftConfig(), {"kind": "answer_mean", "answers": False, "layers": None}),
    "screening": (ScreenConfig(), {"percentile": 95.0}),
}


@pytest.mark.parametrize("part", PAPER)
def test_defaults_are_the_paper_s(part):
    config, expected = PAPER[part]
    assert {name: getattr(config, name) for name in expected} == expected


def test_a_thousand_rollouts_a_side_at_temperature_one():
    requests = plan_rollouts(Trait.load("sycophantic"), samples=SamplingConfig().samples, seed=0)
    assert len(requests) == 2 * 5 * 20 * 10
    assert SamplingConfig().sampling() == Sampling(temperature=1.0, top_p=1.0, max_new_tokens=1000)
    assert SamplingConfig(samples=1).sampling().temperature == 0.0


def test_the_usual_layers_are_those_of_the_paper_s_models():
    assert (default_layer(28), default_layer(32)) == (15, 17)  # near 16 to 20 of 28, and 16 of 32


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:1"])
def test_every_cuda_device_trains_in_bfloat16(monkeypatch, device):
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda **_: True)
    assert _dtype(FinetuneConfig(), device) == "bfloat16"
    assert _dtype(FinetuneConfig(method="full"), device) == "float32"
    assert _dtype(FinetuneConfig(dtype="float32"), device) == "float32"
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda **_: False)
    assert _dtype(FinetuneConfig(), device) == "float32"
    assert _dtype(FinetuneConfig(), "cpu") == "float32"
