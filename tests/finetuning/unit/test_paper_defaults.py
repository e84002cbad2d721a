"""The defaults are the paper's: Chen et al. 2025, arXiv 2507.21509, appendix D."""

import pytest

from mindscope.finetuning import FinetuneConfig

PAPER = {
    "method": "rslora",
    "rank": 32,
    "alpha": 64,
    "learning_rate": 1e-5,
    "schedule": "linear",
    "warmup_steps": 5,
    "weight_decay": 0.01,
    "epochs": 1.0,
    "batch_rows": 2,
    "accumulation": 8,
}


@pytest.mark.parametrize("name", PAPER)
def test_a_setting_is_the_papers(name: str):
    assert getattr(FinetuneConfig(), name) == PAPER[name]
