"""What a sweep and a steering measurement find in a run: the vectors, and the judge made with them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mindscope.jobs.persona.persona_run import PersonaRun
from mindscope.jobs.resolve import require_judge
from mindscope.store import local_copy

if TYPE_CHECKING:
    from mindscope.engines import Engine
    from mindscope.jobs.persona.step_specs import SteerSpec, SweepSpec
    from mindscope.judges import Judge

JUDGEMENTS = "judge.jsonl"
"""What an endpoint said, so that it is not asked twice."""


def vectors_file(spec: SweepSpec | SteerSpec, run: Path) -> Path:
    """The file that is named, or the run's own of the trait."""
    if spec.vectors is not None:
        return local_copy(spec.vectors)
    return PersonaRun(run).vectors_file(spec.find_trait().name)


def require_vectors(spec: SweepSpec | SteerSpec, run: Path) -> None:
    """Refuse a run without the trait's vectors."""
    PersonaRun.require_vectors(vectors_file(spec, run))


def require_kept_judge(spec: SweepSpec | SteerSpec, run: Path) -> None:
    """Refuse what names no judge, or a contrast judge that nobody has made."""
    from mindscope.personas import JUDGE_FILE, contrast_recipe

    recipe = contrast_recipe(spec.judge)
    if recipe is None:
        require_judge(spec, spec.model)
    else:
        recipe.require_made(vectors_file(spec, run).with_name(JUDGE_FILE))


def find_kept_judge(spec: SweepSpec | SteerSpec, model: Engine, run: Path) -> Judge:
    """Who scores steered answers: a contrast judge is the one that was made with the vectors."""
    from mindscope.personas import JUDGE_FILE, contrast_recipe

    recipe = contrast_recipe(spec.judge)
    if recipe is None:
        return spec.find_judge(model, run / JUDGEMENTS)
    return recipe.load(model, vectors_file(spec, run).with_name(JUDGE_FILE))
