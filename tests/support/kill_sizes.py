"""What makes long jobs small enough to be killed often, by what is put in the place of their sizes."""

from __future__ import annotations

from types import SimpleNamespace

import persona_kit
import pytest
import study_kit


def hashed_judge(patch: pytest.MonkeyPatch) -> None:
    """Every judge is a function of the answer."""
    judge = persona_kit.HashJudge
    patch.setattr("mindscope.jobs.specs.find_judge", lambda *_: judge())
    patch.setattr("mindscope.jobs.persona.baking._find_judge", lambda *_: judge())
    patch.setattr("mindscope.jobs.persona.kept_inputs.find_judge", lambda *_: judge(), raising=False)
    patch.setattr("mindscope.gate.preparing.find_judge", lambda *_: judge())


def tiny_studies(patch: pytest.MonkeyPatch) -> None:
    for name, (module, _, _) in study_kit.STUDIES.items():
        patch.setattr(module, "PRESETS", {"quick": study_kit.TINY[name]})
    # their pages have a table of how long each piece took
    patch.setattr("mindscope.studies.common.bench.time", SimpleNamespace(perf_counter=lambda: 0.0))


def tiny_organism(patch: pytest.MonkeyPatch) -> None:
    """A model of one block, trained for five steps."""
    from mindscope import organism
    from mindscope.organism.training.recipe import OrganismTrainConfig, StepMix

    config = OrganismTrainConfig(
        steps=5,
        mixes=((0, StepMix(documents=6, conversations=2)),),
        restarts=((0, 1.0), (2, 0.5)),
        micro_batches=2,
        checkpoint_every=2,
        layers=1,
        width=64,
        mlp_width=64,
    )
    patch.setattr(organism, "OrganismTrainConfig", lambda **_: config, raising=False)


def tiny_tunes(patch: pytest.MonkeyPatch) -> None:
    from mindscope.auditing.organisms import measuring, recipes

    for name in ("N_PROMPTS", "N_ASKED", "N_FACTS"):
        patch.setattr(measuring, name, 4)
    for name in ("N_DEMONSTRATIONS", "N_ORDINARY", "N_DOCUMENTS", "N_DIRECT"):
        patch.setattr(recipes, name, 24)
    # each sealing draws a nonce, so that two runs that nobody disturbs differ in it too
    patch.setattr("mindscope.auditing.organisms.seal.secrets", SimpleNamespace(token_hex="0".__mul__))


def tiny_reproduction(patch: pytest.MonkeyPatch) -> None:
    """One trait, three sets of 32 conversations, one layer."""
    from mindscope.finetuning.config import FinetuneConfig
    from mindscope.personas import ExtractConfig, SweepConfig
    from mindscope.studies.persona_vectors.config import ReproduceConfig
    from mindscope.studies.persona_vectors.job import ReproduceSpec

    config = ReproduceConfig(
        samples=1,
        max_new_tokens=16,
        extraction=ExtractConfig(samples=1, max_new_tokens=32, questions=12),
        sweep=SweepConfig(layers=(2,), coefficients=(1.5,), max_new_tokens=16, questions=4, n_random=1),
        shots=(0, 2),
        rows=32,
        tuning=FinetuneConfig(learning_rate=5e-4, batch_rows=16, accumulation=1),
        projected_rows=8,
        prevent_one=(2.0,),
        prevent_all=(),
        against=(2.0,),
        pool_rows=20,
        chosen_rows=4,
        chosen_epochs=1,
    )
    patch.setattr(ReproduceSpec, "study_config", lambda *_: config)
    patch.setattr(ReproduceSpec, "find_bench", lambda *_: study_kit.small_organism_bench())


def tiny_demo(patch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from mindscope.jobs.demo import spec

    small = replace(
        spec.BUNDLED,
        traits=("evil",),
        samples=(1, 1),
        max_new_tokens=24,
        questions=12,
        depths=(0.5,),
        coefficients=(2.0,),
        sweep_questions=3,
        sweep_samples=1,
        steered_samples=(1, 1),
        held_out=3,
        n_random=1,
        n_calibrating=20,
        n_ordinary=10,
        n_planted=4,
        n_training=8,
        tuning=spec.BUNDLED.tuning.model_copy(update={"epochs": 1.0}),
    )
    patch.setattr(spec.DemoSpec, "preset", lambda _: small)
