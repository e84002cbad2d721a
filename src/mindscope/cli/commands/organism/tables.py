"""What `mindscope organism` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mindscope.cli.terminal.output import print_records, print_table, print_text
from mindscope.jobs import TEST_BED

if TYPE_CHECKING:
    from mindscope.auditing.organisms import OrganismSet
    from mindscope.jobs import organism
    from mindscope.organism import MechanismCard, OrganismCard
    from mindscope.studies.organism_dictionaries import ShippedDictionariesReport


def print_trained(result: organism.TrainedOrganism) -> None:
    """Where the model is, and how to measure it."""
    card = "card" if result.world == "first" else "mechanisms"
    print_text(f"model: {result.model}\nmeasure it with: mindscope organism {card} {result.model}")


def print_card(result: OrganismCard) -> None:
    """The card, and what it is a card of."""
    print_table(["measured", "value"], result.rows(), title=f"organism card, seed {result.seed}")
    print_text(TEST_BED)


def print_mechanisms(result: MechanismCard) -> None:
    """Every row beside its bar, on each seed of prompts."""
    seeds = ", ".join(str(rows.seed) for rows in result.seeds)
    print_table(
        ["about", "measured", "value", "bar", "holds"], result.rows(), title=f"prompts of seeds {seeds}"
    )
    print_text(
        f"{result.parameters:,} parameters, {result.bytes:,} bytes, {result.context} tokens of context"
    )
    print_text(TEST_BED)


def print_training_sets(result: organism.TrainingSets) -> None:
    """How many files there are of what size."""
    print_text(f"{len(result.files)} files of {result.size} conversations")
    for file in result.files:
        print_text(file)


def print_shipped_dictionaries(result: ShippedDictionariesReport) -> None:
    """How good the dictionaries are, what their latents stand for, and what these do."""
    from mindscope.studies.organism_dictionaries import GROUP_COLUMNS, MODALITY_COLUMNS, SUMMARY_COLUMNS

    print_records(result.evaluations or ())
    if result.groups:
        print_table(list(GROUP_COLUMNS), result.groups)
    if result.summary:
        print_table(list(SUMMARY_COLUMNS), result.summary, "success rates")
    if result.modalities:
        print_table(list(MODALITY_COLUMNS), [own.row() for own in result.modalities], "pictures and words")
    print_text(f"dictionaries: {result.installed or result.shipped}")
    if result.report is not None:
        print_text(f"report: {result.report}")


def print_tuned_set(result: OrganismSet) -> None:
    """How many tunes there are, and what to do with them; what they hide is not said."""
    print_text(f"{len(result.organisms)} tunes in {result.path}, made in {result.minutes:.1f} minutes")
    print_text(f"audit them with: mindscope audit play {result.path}")
