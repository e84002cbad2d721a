"""A model whose answer to a push is known, swept and steered once for all tests that look at it."""

from pathlib import Path

import pytest
import torch
from steering_kit import SWEEP, TRAIT, LetterJudge

from mindscope.models import Model
from mindscope.personas.config import SteerConfig
from mindscope.personas.steering.results import SteeringResult, SweepResult
from mindscope.personas.steering.steer import measure_steering
from mindscope.personas.steering.sweep import sweep_coefficients
from mindscope.personas.vectors import PersonaVectors
from mindscope.store import Run


@pytest.fixture(scope="session")
def vectors(tiny: Model) -> PersonaVectors:
    """At the last block the push raises the logit of "a"; before it, directions that mean nothing."""
    generator = torch.Generator().manual_seed(2)
    matrix = torch.randn(3, 32, generator=generator) / 32**0.5
    letter = tiny.tokenizer.convert_tokens_to_ids("a")
    towards = tiny.hf.lm_head.weight[letter].detach().float()
    matrix[2] = 200 * towards / towards.norm()
    return PersonaVectors(
        trait="loud", fingerprint=tiny.fingerprint, matrices={"answer_mean": matrix}, layers=(0, 1, 2)
    )


@pytest.fixture(scope="session")
def swept(
    tiny: Model, vectors: PersonaVectors, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, SweepResult, list[tuple[int, int, str]]]:
    folder, heard = tmp_path_factory.mktemp("sweep"), []
    with Run.open(folder, kind="test", config={}) as run:
        result = sweep_coefficients(
            tiny, vectors, TRAIT, LetterJudge(), run, SWEEP, progress=lambda *news: heard.append(news)
        )
    return folder, result, heard


@pytest.fixture(scope="session")
def steered(tiny: Model, vectors: PersonaVectors, tmp_path_factory: pytest.TempPathFactory) -> SteeringResult:
    config = SteerConfig(layer=2, coefficient=1, samples=3, max_new_tokens=8, n_random=3, seed=1)
    with Run.open(tmp_path_factory.mktemp("steer"), kind="test", config={}) as run:
        return measure_steering(
            tiny, vectors, TRAIT, LetterJudge(), run, config, questions=TRAIT.evaluation[4:]
        )
