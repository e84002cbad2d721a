"""What `mindscope demo` prints: what steering did to each trait, and what became of the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mindscope.cli.terminal.output import print_table, print_text

if TYPE_CHECKING:
    from mindscope.jobs.demo import DemoReport

TITLE = "Trait score and coherence, 0 to 100, on held-out questions"


def print_demo(result: DemoReport) -> None:
    """A row per trait, a line per step of the work-flow."""
    from mindscope.personas import SteeringScores

    fields = list(SteeringScores.model_fields)
    rows = [[name, *(getattr(scores, field) for field in fields)] for name, scores in result.traits.items()]
    print_table(["trait", *(field.replace("_", " ") for field in fields)], rows, title=TITLE)
    moods = [[name, *row.lexicon.model_dump().values()] for name, row in result.traits.items() if row.lexicon]
    if moods:
        title = "Sentiment of the same answers by a lexicon, 0 to 100"
        print_table(["trait", "unsteered", "steered", "against", "random"], moods, title=title)
    for name, reason in result.refused.items():
        print_text(f"{name} is refused: {reason}")
    counts, first = result.monitor, next(iter(result.traits))
    print_text(
        f"{first}: the monitor raised {counts.planted_alarms} alarms on {counts.planted} planted "
        f"conversations and {counts.ordinary_alarms} on {counts.ordinary} ordinary ones; screening ranks "
        f"planted rows with an AUROC of {result.screen.auroc:.3f}"
    )
    if result.finetune is not None and result.shift is not None:
        tuned, shift = result.finetune, result.shift
        print_text(
            f"trained on {first} answers: {_shown(tuned.base)} became {_shown(tuned.plain)}, and "
            f"{_shown(tuned.prevented)} with prevention; the answers' shift was {shift.plain:.3g} and "
            f"{shift.prevented:.3g}"
        )
    print_text(f"{result.seconds:.0f} s, report: {result.report}")


def _shown(score: float | None) -> str:
    return "no score" if score is None else f"{score:.1f}"
