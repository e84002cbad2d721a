"""The page of the shipped dictionaries."""

from collections.abc import Sequence
from typing import Any

from mindscope.dictionaries import evaluation_report
from mindscope.jobs import TEST_BED
from mindscope.models import Model
from mindscope.reports import Report
from mindscope.studies.organism_dictionaries.behaviours import LEAST
from mindscope.studies.organism_dictionaries.measure import DictionaryMeasurements
from mindscope.studies.organism_dictionaries.modalities import (
    LEAST_FIRING,
    MOST_ELSEWHERE,
    PERMUTATIONS,
)
from mindscope.studies.organism_dictionaries.results import (
    GROUP_COLUMNS,
    MODALITY_COLUMNS,
    ModalityRates,
    SwitchEffect,
)

EFFECT_COLUMNS = (
    "concept", "latent", "F1", "ablated", "control", "added", "control", "strengths", "prompts with, without",
)  # fmt: skip


def dictionaries_report(model: Model, measured: DictionaryMeasurements) -> Report:
    """Evaluations, the concepts that single latents stand for, and what these latents do."""
    facts = {"model": model.name, "fingerprint": model.fingerprint, "losses": "of the tokens of answers"}
    report = evaluation_report(measured.evaluations, facts, TEST_BED)
    if measured.tables:
        _concepts(report, measured)
    if measured.effects:
        _effects(report, measured.effects)
    if measured.modalities:
        _modalities(report, measured.modalities)
    return report


def summary(effects: Sequence[SwitchEffect]) -> list[list[Any]]:
    """A row for each group of concepts: concepts, mean rates of ablating and adding, and of the controls."""
    rows = []
    for group in dict.fromkeys(effect.group for effect in effects):
        members = [effect for effect in effects if effect.group == group]
        rows.append([group, len(members), *(_mean(members, name) for name in RATES)])
    return [*rows, ["all", len(effects), *(_mean(effects, name) for name in RATES)]]


RATES = ("ablated", "ablated_control", "added", "added_control")
SUMMARY_COLUMNS = ("group", "concepts", "ablated", "control", "added", "control")


def _mean(effects: Sequence[SwitchEffect], name: str) -> float | None:
    values = [value for effect in effects if (value := getattr(effect, name)) is not None]
    return sum(values) / len(values) if values else None


def concept_rows(measured: DictionaryMeasurements) -> list[list[Any]]:
    """A row for each concept, the best first: its best latent in any SAE, and how well that stands for it."""
    rows = []
    for name, key in measured.best().items():
        single = measured.tables[key].best[name]
        beside = [best[name].f1 if name in best else None for best in measured.baselines.values()]
        rows.append(
            [
                name,
                f"{key}/{single.feature}",
                single.f1,
                *beside,
                single.precision,
                single.recall,
                single.positive,
            ]
        )
    return sorted(rows, key=lambda row: (-row[2], row[0]))


def concept_columns(measured: DictionaryMeasurements) -> list[str]:
    """Their columns: the F1 of every baseline stands behind the latent's."""
    return ["concept", "latent", "F1", *measured.baselines, "precision", "recall", "texts"]


def group_rows(measured: DictionaryMeasurements) -> list[list[Any]]:
    """For each group of concepts how many there are, how many were found, how many have a latent with a high
    F1 at all, over all SAEs, and how many are reached so by each baseline.
    """
    concepts = {
        concept.name: concept.group for table in measured.tables.values() for concept in table.concepts
    }
    known, reached = measured.found(), measured.reaching()
    rows = []
    for group in dict.fromkeys(concepts.values()):
        names = [name for name in measured.best() if concepts[name] == group]
        singles = [
            sum(best[name].f1 >= LEAST for name in names if name in best)
            for best in measured.baselines.values()
        ]
        counts = [sum(name in chosen for name in names) for chosen in (known, reached)]
        rows.append([group, len(names), *counts, *singles])
    return [*rows, ["all", *(sum(row[column] for row in rows) for column in range(1, len(rows[0])))]]


def _concepts(report: Report, measured: DictionaryMeasurements) -> None:
    report.section(
        "What single latents stand for",
        f"Of each concept of the world the latent with the highest F1 on one half of the texts, in any SAE, "
        f"and its F1 on the other half. Reached: {LEAST} or more. Found: that, and more than one token's "
        "presence, one neuron and a random dictionary of the same size reach, each chosen and tested on the "
        "same texts. A text counts by the latent's highest "
        "activation over the tokens where the concept is read.",
    )
    report.table(GROUP_COLUMNS, group_rows(measured))
    report.table(concept_columns(measured), concept_rows(measured), "All concepts")


def _modalities(report: Report, rates: Sequence[ModalityRates]) -> None:
    report.section(
        "Pictures and words",
        f"Of the animals and countries that are drawn, the share that have one latent for their picture and "
        f"their word in three languages: it fires on {LEAST_FIRING:.0%} or more of the prompts that show the "
        f"thing so, and on {MOST_ELSEWHERE:.0%} or fewer of those that show another. Chosen on one half of "
        "the texts, measured on the other. Exchanged: with the pictures of other things, mean and highest of "
        f"{PERMUTATIONS} permutations.",
    )
    report.table(MODALITY_COLUMNS, [own.row() for own in rates])
    found = [[own.dictionary, thing, latent] for own in rates for thing, latent in own.found.items()]
    report.table(("dictionary", "thing", "latent"), found, "The latents")


def _effects(report: Report, effects: Sequence[SwitchEffect]) -> None:
    report.section(
        "What these latents do",
        "Ablated: of prompts that show the concept and were answered so, the share that no longer are once "
        "the projection on the latent's decoder row is held at zero, or a multiple of its usual strength "
        "below. Added: of prompts that do not show it, the share that are answered as if they did once the "
        "latent is added, where the concept that is shown instead has its own latent in its place, and that "
        "one is ablated. Control: another latent of the same dictionary. The layer and the strengths were "
        "chosen on other prompts. A state, country or relation counts by the fact in the "
        "answer, a character by the exact judge (50 of 100).",
    )
    report.table(SUMMARY_COLUMNS, summary(effects), "Means over the concepts of a group")
    rows = [
        [
            effect.concept,
            f"{effect.dictionary}/{effect.latent}",
            effect.f1,
            effect.ablated,
            effect.ablated_control,
            effect.added,
            effect.added_control,
            "−{:g}, {:g}".format(*effect.strengths),
            "{}, {}".format(*effect.prompts),
        ]
        for effect in effects
    ]
    report.table(EFFECT_COLUMNS, rows, "Each concept")
