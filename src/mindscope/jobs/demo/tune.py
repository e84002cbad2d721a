"""Tuning on answers in a trait's voice, with prevention and without, and what became of the trait."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mindscope.jobs.demo.lexicon import has_lexicon, mean_sentiment
from mindscope.jobs.demo.results import TunedScores, TunedShifts

if TYPE_CHECKING:
    from mindscope.core import Progress
    from mindscope.jobs.demo.conversations import DemoConversations
    from mindscope.jobs.demo.show_trait import TraitDemo
    from mindscope.jobs.demo.spec import DemoPreset, DemoSpec
    from mindscope.models import Model
    from mindscope.personas import ArmScores, ShiftResult, SteeredArm
    from mindscope.store import Run

PLAIN, PREVENTED = "plain", "prevented"


@dataclass(frozen=True)
class TunedDemo:
    """The trait before and after tuning.

    Attributes:
        scores: means of the judge.
        shifts: of the answers.
        arms: answers of the base and of both tuned models, with their scores.
        sentiment: of the same answers by the lexicon; empty without it.
        shift: at every layer, before and in the answers.
        losses: the first and the last loss of each training.
        rows: conversations that were trained on.
    """

    scores: TunedScores
    shifts: TunedShifts
    arms: Mapping[str, SteeredArm]
    sentiment: Mapping[str, float]
    shift: ShiftResult
    losses: Mapping[str, tuple[float, float]]
    rows: int


def tune_twice(
    model: Model,
    item: TraitDemo,
    files: DemoConversations,
    spec: DemoSpec,
    preset: DemoPreset,
    run: Run,
    progress: Progress,
) -> TunedDemo:
    """Train an adapter on conversations in the trait's voice, and another one while the vector is added.

    The push is the one that the conversations were written under. A model that is pushed there from outside
    has nothing to learn from them (arXiv 2507.21509, section 5).
    """
    from mindscope.finetuning import PreventativeSteering, finetune_model, load_base
    from mindscope.models import LoadOptions, load
    from mindscope.personas import ShiftConfig, measure_shift, measure_trait

    point, trait, dtype = item.point, item.vectors.trait, str(model.dtype).removeprefix("torch.")
    training = dtype if dtype in ("float32", "bfloat16") else "auto"
    config = preset.tuning.model_copy(update={"dtype": training, "seed": spec.seed})
    push = PreventativeSteering(trait=trait, layer=point.layer, coefficient=point.coefficient)
    configs = {PLAIN: config, PREVENTED: config.model_copy(update={"interventions": (push,)})}
    trained = {}
    for name, settings in configs.items():
        base = load_base(spec.model, settings, LoadOptions(device=spec.device))
        base.vectors_of_base = True  # the same weights, perhaps in another precision
        trained[name] = finetune_model(
            base,
            files.training,
            run,
            settings,
            vectors=[item.vectors],
            name=f"finetune/{name}",
            device=spec.device,
            progress=progress,
        )
    tuned = {
        name: load(result.path, dtype=dtype, device=str(model.device)) for name, result in trained.items()
    }
    asked = item.steering.questions
    shift = measure_shift(
        model,
        list(tuned.values()),
        item.vectors,
        asked,
        ShiftConfig(
            answers=True,
            temperature=preset.temperature,
            max_new_tokens=preset.max_new_tokens,
            seed=spec.seed,
        ),
        run=run,
        progress=progress,
    )
    arms = {"base": item.steering.unsteered}
    for name, other in tuned.items():
        arms[name] = measure_trait(
            other,
            item.trait,
            item.judge,
            run,
            f"tuned/{name}",
            item.steering.config,
            asked,
            progress=progress,
        )
    return TunedDemo(
        scores=TunedScores(**{name: _mean(arm.scores) for name, arm in arms.items()}),
        shifts=TunedShifts(
            **{
                name: round(shift.of(trait, point.layer, at="answer", checkpoint=index).shift, 4)
                for index, name in enumerate(tuned)
            }
        ),
        arms=arms,
        sentiment={
            name: mean_sentiment([answer.answer for answer in arm.samples]) for name, arm in arms.items()
        }
        if has_lexicon()
        else {},
        shift=shift,
        losses={name: (result.losses[0], result.losses[-1]) for name, result in trained.items()},
        rows=next(iter(trained.values())).data.rows,
    )


def _mean(scores: ArmScores) -> float | None:
    return None if scores.trait is None else round(scores.trait.mean, 2)
