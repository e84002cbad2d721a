"""The demo's job: traits steered, then the first of them watched for, screened for and trained."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mindscope.errors import DataError, JudgeError
from mindscope.jobs.demo.results import DemoReport
from mindscope.jobs.demo.spec import DemoPreset, DemoSpec
from mindscope.jobs.job import Reporter, RunFolder
from mindscope.jobs.resolve import find_trait, load_model, test_bed_note

if TYPE_CHECKING:
    from mindscope.jobs.demo.show_trait import TraitDemo
    from mindscope.models import Model
    from mindscope.personas import Trait
    from mindscope.store import Run


def demo(spec: DemoSpec, *, run: RunFolder, reporter: Reporter) -> DemoReport:
    """Show the persona work-flow on one page: steer traits, then watch, screen and train for the first.

    On the bundled model, or with --model on any other; nobody's key is needed. A trait that the model does
    not play is refused, and the page says so.
    """
    from mindscope.finetuning import missing_libraries
    from mindscope.jobs.demo.conversations import draw_conversations
    from mindscope.jobs.demo.page import write_page
    from mindscope.jobs.demo.tune import tune_twice
    from mindscope.jobs.demo.watch import monitor_conversations, screen_conversations

    began = time.monotonic()
    preset = spec.preset()
    traits = [find_trait(name, spec.model) for name in preset.traits]
    model = load_model(spec.model, dtype=spec.dtype, device=spec.device)
    reporter.say(_estimate(traits, preset, model.n_layers))
    opened = run.open(
        kind="demo",
        config=_config(spec, model),
        model=model,
        seed=spec.seed,
        reporter=reporter,
    )
    with opened:
        model = model.with_template(clock=opened.started)  # prompts are as on the day the run began
        shown, refused = _show_traits(traits, model, spec, preset, opened, reporter)
        first = shown[0]
        files = draw_conversations(model, first, spec, preset, opened, reporter.progress)
        monitored = monitor_conversations(model, first, files, spec, opened, reporter.progress)
        screened = screen_conversations(model, first, files, spec, opened, reporter.progress)
        if missing := missing_libraries():
            reporter.say(f"nothing is trained without {', '.join(missing)}: pip install 'mindscope[train]'")
            tuned = None
        else:
            tuned = tune_twice(model, first, files, spec, preset, opened, reporter.progress)
        scores = {item.trait.name: item.scores() for item in shown}
        page = write_page(
            run.path, model.name, shown, scores, refused, monitored, screened, tuned, test_bed_note(model)
        )
        report = DemoReport(
            seconds=round(time.monotonic() - began, 1),
            report=str(page),
            traits=scores,
            refused=refused,
            monitor=monitored.counts,
            screen=screened.result,
            finetune=tuned and tuned.scores,
            shift=tuned and tuned.shifts,
        )
        opened.finish(**report.to_json())
    return report


def _config(spec: DemoSpec, model: Model) -> dict[str, object]:
    """What decides the figures; a run of another kind of demo is refused."""
    samples = spec.preset().samples[0]
    config: dict[str, object] = {"samples": samples, "dtype": str(model.dtype).removeprefix("torch.")}
    return config | ({"quick": True} if spec.quick else {})


def _show_traits(
    traits: list[Trait], model: Model, spec: DemoSpec, preset: DemoPreset, run: Run, reporter: Reporter
) -> tuple[list[TraitDemo], dict[str, str]]:
    """Traits that can be steered by, and why the others cannot.

    Raises:
        DataError: none can.
    """
    from mindscope.jobs.demo.show_trait import show_trait

    shown: list[TraitDemo] = []
    refused: dict[str, str] = {}
    for trait in traits:
        first = trait is traits[0]
        try:
            shown.append(show_trait(trait, model, spec, preset, run, reporter.progress, first=first))
        except (DataError, JudgeError) as error:
            refused[trait.name] = str(error)
            reporter.say(f"{trait.name} is refused: {error}")
    if not shown:
        raise DataError(
            f"{model.name} can be steered by none of {', '.join(refused)}: name other traits with --traits, "
            f"or draw more with --samples; the reason for the last: {list(refused.values())[-1]}"
        )
    return shown, refused


def count_demo_answers(traits: Sequence[Trait], preset: DemoPreset, n_layers: int) -> int:
    """About how many answers the demo of these traits draws from a model."""
    asked = preset.questions or len(traits[0].questions("extraction"))
    first, further = preset.samples
    samples = first + further * (len(traits) - 1)
    prompted = 2 * len(traits[0].instructions) * asked * samples + 40 * len(traits)
    layers = n_layers if preset.depths is None else len(preset.depths)
    swept = (1 + layers * len(preset.coefficients)) * preset.sweep_questions * preset.sweep_samples
    held_out = preset.held_out or len(traits[0].questions("evaluation")) - preset.sweep_questions
    first, further = preset.steered_samples
    steered = (3 + preset.n_random) * held_out * (first + further * (len(traits) - 1))
    conversations = preset.n_calibrating + preset.n_ordinary + preset.n_planted + preset.n_training
    return prompted + len(traits) * swept + steered + conversations


def _estimate(traits: Sequence[Trait], preset: DemoPreset, n_layers: int) -> str:
    """How much is ahead, before it begins."""
    answers = count_demo_answers(traits, preset, n_layers)
    return (
        f"{', '.join(trait.name for trait in traits)}: about {answers:,} answers of at most "
        f"{preset.max_new_tokens} tokens, then two trainings on {preset.n_training} of them"
    )
