"""What `mindscope demo` prints: the three traits, unsteered and steered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mindscope.cli.output import print_table, print_text

if TYPE_CHECKING:
    from mindscope.jobs.demo import DemoReport


def print_demo(result: DemoReport) -> None:
    """A row per trait."""
    from mindscope.jobs.demo import TITLE
    from mindscope.jobs.resolve import TEST_BED
    from mindscope.personas import SteeringScores

    columns = ["trait", *(column.replace("_", " ") for column in SteeringScores.model_fields)]
    rows = [[name, *scores.to_json().values()] for name, scores in result.traits.items()]
    print_table(columns, rows, title=TITLE)
    print_text(TEST_BED)
    print_text(f"{result.seconds:.0f} s, report: {result.report}")
