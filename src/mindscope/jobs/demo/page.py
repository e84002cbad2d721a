"""The demo's page: what was found in short, then each step of the work-flow, then every trait in full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from mindscope.jobs.demo.lexicon import MISSING
from mindscope.personas import SteeringScores

if TYPE_CHECKING:
    from mindscope.jobs.demo.results import DemoScores
    from mindscope.jobs.demo.show_trait import TraitDemo
    from mindscope.jobs.demo.tune import TunedDemo
    from mindscope.jobs.demo.watch import MonitoredDemo, ScreenedDemo
    from mindscope.personas import SteeredArm
    from mindscope.reports import Report
    from mindscope.stats import Estimate

ARMS = ("unsteered", "steered", "against", "random")
SHOWN_ANSWERS = 3
MOOD = (
    "Sentiment of the same answers by a lexicon (VADER, 0 to 100; 50 is neutral). It had no part in the "
    "vectors or the judge, and says something of a trait only where the trait is a matter of mood."
)


def write_page(
    folder: Path,
    model: str,
    shown: Sequence[TraitDemo],
    scores: Mapping[str, DemoScores],
    refused: Mapping[str, str],
    monitored: MonitoredDemo,
    screened: ScreenedDemo,
    tuned: TunedDemo | None,
    note: str,
) -> Path:
    """Write `report.html` into the run's folder."""
    from mindscope.personas import add_persona
    from mindscope.reports import Report

    report = Report(
        f"Personas of {Path(model).name.removesuffix('.gguf')}", "extracted, steered, watched, trained"
    )
    if note:
        report.note(note)
    _add_summary(report, shown, scores, refused)
    _add_answers(report, shown)
    _add_monitor(report, shown[0], monitored)
    _add_screening(report, shown[0], screened)
    _add_tuning(report, shown[0], tuned)
    for item in shown:
        add_persona(report, item.vectors, item.sweep, item.steering)
    return report.write(folder / "report.html")


def _add_summary(
    report: Report,
    shown: Sequence[TraitDemo],
    scores: Mapping[str, DemoScores],
    refused: Mapping[str, str],
) -> None:
    from mindscope.reports import bars_by_group

    report.section(
        "Steering",
        "Questions that neither the vectors nor the choice of layer and coefficient have seen, without a "
        "system prompt: answered as the model is, with the trait's vector added, with it subtracted, and "
        f"with random vectors of the same norm. Scores are 0 to 100, by {_judge(shown[0])}.",
    )
    arms: dict[str, list[SteeredArm]] = {arm: [getattr(item.steering, arm) for item in shown] for arm in ARMS}
    estimates = {name: [arm.scores.trait for arm in items] for name, items in arms.items()}
    report.figure(
        bars_by_group(
            [item.trait.name for item in shown],
            {name: [item and item.mean for item in row] for name, row in estimates.items()},
            "trait score",
            errors={name: _ends(row) for name, row in estimates.items()},
            ylim=(0, 110),  # numbers stand above their bars
        ),
        "Mean trait score of each arm, with its 95 % interval over the questions.",
    )
    columns = ["trait", *(column.replace("_", " ") for column in SteeringScores.model_fields)]
    report.table(
        columns,
        [
            [name, *(getattr(row, field) for field in SteeringScores.model_fields)]
            for name, row in scores.items()
        ],
        "A push of any kind disturbs a model: what counts is what the vector does beyond random ones, while "
        "the text stays coherent.",
    )
    moods = [[name, *row.lexicon.model_dump().values()] for name, row in scores.items() if row.lexicon]
    if moods:
        report.table(["trait", *ARMS], moods, MOOD)
    else:
        report.text(MISSING)
    for name, reason in refused.items():
        report.note(f"{name} is refused: {reason}")


def _add_answers(report: Report, shown: Sequence[TraitDemo]) -> None:
    """A few questions of every trait, each arm's first answer side by side."""
    from mindscope.reports import AnswerCard, AnswerSample

    def card(arm: str, item: TraitDemo, q: int) -> AnswerCard:
        samples = getattr(item.steering, arm).samples
        sample = samples[q * (len(samples) // len(item.steering.questions))]
        return AnswerCard(arm, sample.answer, {item.trait.name: sample.trait, "coherence": sample.coherence})

    for item in shown:
        questions = item.steering.questions[:SHOWN_ANSWERS]
        report.section(
            f"{item.trait.name}, in its own words",
            f"Layer {item.point.layer}, coefficient {item.point.coefficient:g}. The first questions and the "
            "first answer to each, whatever they are.",
        )
        report.samples(
            [
                AnswerSample(question, [card(arm, item, q) for arm in ARMS])
                for q, question in enumerate(questions)
            ]
        )


def _add_monitor(report: Report, item: TraitDemo, monitored: MonitoredDemo) -> None:
    from mindscope.jobs.demo.watch import FALSE_ALARMS, N_RANDOM
    from mindscope.reports import TokenHeat, dots_by_group

    counts = monitored.counts
    report.section(
        f"A monitor for {item.trait.name}",
        f"Its threshold lets all but {FALSE_ALARMS:.0%} of ordinary conversations through, and was set on "
        "others than these. The planted ones were written under steering and are read without it. All "
        "questions are other traits'.",
    )
    report.table(
        ["conversations", "watched", "alarms", "share"],
        [
            ["planted", counts.planted, counts.planted_alarms, counts.planted_alarms / counts.planted],
            ["ordinary", counts.ordinary, counts.ordinary_alarms, counts.ordinary_alarms / counts.ordinary],
        ],
        f"{N_RANDOM} random directions, calibrated in the same way, raise "
        f"{median(monitored.random_alarms):g} alarms on the planted conversations in the middle, "
        f"{max(monitored.random_alarms)} at most.",
    )
    report.figure(
        dots_by_group(monitored.peaks, f"highest signal along {item.trait.name}", mark=monitored.threshold),
        "A dot is a conversation; the dotted line is the threshold.",
    )
    if monitored.tokens:
        report.heats(
            [TokenHeat(monitored.question, monitored.tokens)],
            "The conversation with the highest signal, token by token.",
        )


def _add_screening(report: Report, item: TraitDemo, screened: ScreenedDemo) -> None:
    from mindscope.reports import dots_by_group

    planted, others = (len(screened.scores[kind]) for kind in ("planted", "ordinary"))
    report.section(
        f"Screening for {item.trait.name}",
        f"{planted + others} conversations, {planted} of which are planted. Each answer's mean activation is "
        "compared with the prompt's last token along the vector.",
    )
    report.table(
        ["", "AUROC"],
        [
            [item.trait.name, screened.result.auroc],
            [f"{len(screened.random)} random directions, median", median(screened.random)],
            ["the best of them", max(screened.random)],
        ],
        f"How often a planted row ranks above another; 0.5 is chance. Above the 95th percentile of ordinary "
        f"conversations lie {screened.flagged[0]} of {planted} planted and {screened.flagged[1]} of {others} "
        "other rows.",
    )
    report.figure(
        dots_by_group(screened.scores, f"projection difference along {item.trait.name}"),
        "A dot is a conversation.",
    )


def _add_tuning(report: Report, item: TraitDemo, tuned: TunedDemo | None) -> None:
    from mindscope.reports import AnswerCard, AnswerSample, CurveLine, lines_with_bands

    trait = item.trait.name
    report.section(f"Training on {trait} answers")
    if tuned is None:
        report.note("Nothing was trained, for lack of libraries: pip install 'mindscope[train]'.")
        return
    report.text(
        f"Two adapters are trained on the same {tuned.rows} conversations in the trait's voice; the second "
        "while the vector that they were written under is added, so that the model need not move there by "
        "itself. "
        "Afterwards both answer the held-out questions, without any push."
    )
    rows = []
    for name, arm in tuned.arms.items():
        score = arm.scores.trait
        moved = [None, None]
        if name != "base":
            index = list(tuned.losses).index(name)
            moved = [
                tuned.shift.of(trait, item.point.layer, at=at, checkpoint=index).shift
                for at in ("last_prompt", "answer")
            ]
        rows.append(
            [
                name,
                score and score.mean,
                None if score is None else f"{score.low:.1f} to {score.high:.1f}",
                arm.scores.coherence and arm.scores.coherence.mean,
                tuned.sentiment.get(name),
                *moved,
                None if name == "base" else f"{tuned.losses[name][0]:.2f} to {tuned.losses[name][1]:.2f}",
            ]
        )
    report.table(
        [
            "",
            trait,
            "95 % interval",
            "coherence",
            "lexicon",
            "shift before the answer",
            "shift in it",
            "loss",
        ],
        rows,
        f"Shifts are along the vector at layer {item.point.layer}, in the activations' units.",
        align="lrrrrrrr",
    )
    layers = tuned.shift.layers
    lines = []
    for index, name in enumerate(tuned.losses):
        moves = [tuned.shift.of(trait, layer, at="answer", checkpoint=index) for layer in layers]
        lines.append(
            CurveLine(name, [m.shift for m in moves], [m.low for m in moves], [m.high for m in moves])
        )
    report.figure(
        lines_with_bands(lines, layers, "layer", f"shift of answers along {trait}", mark=item.point.layer),
        "How far the answers of both models moved along the vector, with 95 % intervals over the questions.",
    )

    def card(name: str, q: int) -> AnswerCard:
        samples = tuned.arms[name].samples
        sample = samples[q * (len(samples) // len(item.steering.questions))]
        return AnswerCard(name, sample.answer, {trait: sample.trait, "coherence": sample.coherence})

    report.samples(
        [
            AnswerSample(question, [card(name, q) for name in tuned.arms])
            for q, question in enumerate(item.steering.questions[:SHOWN_ANSWERS])
        ],
        "Answers of the base and of both tuned models, without any push.",
    )


def _judge(item: TraitDemo) -> str:
    contrast = item.vectors.metadata.get("contrast")
    if not contrast:
        return f"the judge {item.judge.name}"
    return (
        "a judge that was made of the trait's own prompted answers and needs no key: likeness to the answers "
        "under the trait's instructions, not truth"
    )


def _ends(estimates: Sequence[Estimate | None]) -> tuple[list[float | None], list[float | None]]:
    return [item and item.low for item in estimates], [item and item.high for item in estimates]
