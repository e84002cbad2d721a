"""What `mindscope dictionary` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mindscope.cli.terminal.output import print_records, print_table, print_text

if TYPE_CHECKING:
    from mindscope.jobs.dictionary import (
        DictionaryListing,
        EvaluationReport,
        ExportedDictionary,
        ImportedDictionary,
        RecordingReport,
        TrainingReport,
    )


def print_training(result: TrainingReport) -> None:
    """A row for every dictionary, with the last that was measured."""
    rows = [dictionary.to_json() for dictionary in result.dictionaries]
    measured = {name for row in rows for name, value in row.items() if value is not None}
    print_records([{name: row[name] for name in row if name in measured} for row in rows])
    if result.outliers is not None:
        print_text(f"outliers: {result.outliers:,} of {result.tokens:,} tokens were left out")
    print_text(f"dictionaries: {result.run}")


def print_recording(result: RecordingReport) -> None:
    """Where the activations are."""
    print_text(f"activations: {result.activations}")


def print_dictionary(result: DictionaryListing | ImportedDictionary | ExportedDictionary) -> None:
    """A dictionary, in one row."""
    print_records([result.model_dump(mode="json", exclude={"metadata"})])


def print_evaluation(result: EvaluationReport) -> None:
    """A row for every dictionary; a column for all that was measured of any."""
    columns = list(dict.fromkeys(name for row in result.table for name in row))
    print_table(columns, [[row.get(name) for name in columns] for row in result.table])
    print_text(f"report: {result.report}")
