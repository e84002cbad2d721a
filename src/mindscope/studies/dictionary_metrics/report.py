"""The page of the study."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mindscope.reports import Report, ScatterPoints, dots_by_group, scatter
from mindscope.studies.common import Claim, SeedEstimate, add_claims, begin_page, end_page
from mindscope.studies.dictionary_metrics.agreement import MetricWorth, leave_out_dead, rank_metrics
from mindscope.studies.dictionary_metrics.claims import PROBES, USUAL
from mindscope.studies.dictionary_metrics.results import DictionaryMetricsStudy

WORTH_COLUMNS = (
    "metric",
    "rank correlation with recovery",
    "at one size",
    "noise of draws",
    "noise of training",
    "smallest difference",
    "spread between kinds",
    "pairs told rightly",
    "wrongly",
)


def worth_table(worths: Sequence[MetricWorth]) -> list[list[Any]]:
    """A row for each metric, under :data:`WORTH_COLUMNS`."""
    return [
        [
            worth.metric,
            str(worth.agreement),
            str(worth.within_methods),
            worth.draw_noise,
            worth.train_noise,
            worth.smallest_difference,
            worth.spread,
            str(worth.right),
            str(worth.wrong),
        ]
        for worth in worths
    ]


def build_page(
    study: DictionaryMetricsStudy,
    claims: Sequence[Claim],
    facts: Mapping[str, Any],
    seconds: Mapping[str, float],
) -> Report:
    """Claims, what each metric is worth, metrics against recovery, the dictionaries."""
    worths = rank_metrics(study.worlds)
    report = begin_page(
        "Which metrics of dictionaries to believe",
        f"{study.atoms} atoms in {study.width} dimensions, {len(study.worlds)} worlds: every metric against "
        "what was recovered",
        "Synthetic atoms. Loss recovered, detection and fuzzing need a language model and are not here.",
    )
    add_claims(report, claims, "Intervals are Student's, over worlds.")
    report.section(
        "What a metric is worth",
        "Recovery is the F1 of the best latent of an atom on samples it was not chosen on, less that of the "
        "best single dimension. Noise of draws: other samples, the same dictionary. Noise of training: "
        "another seed, the same kind. The smallest difference is what one training each must differ by. "
        "Pairs are of kinds, a method and a size: a metric tells a pair apart where it differs by more.",
    )
    report.figure(
        dots_by_group(
            {worth.metric: worth.by_world for worth in reversed(worths)},
            "rank correlation with recovery",
            mark=0.0,
        ),
        "How each metric ranks dictionaries, against what they recovered; a dot is a world.",
    )
    report.table(list(WORTH_COLUMNS), worth_table(worths))
    living = leave_out_dead(study.worlds)
    left, whole = (len(world.dictionaries) for world in (living[0], study.worlds[0]))
    if 0 < left < whole:
        report.table(
            list(WORTH_COLUMNS),
            worth_table(rank_metrics(living)),
            f"The same without kinds that died in training: {left} of {whole} dictionaries a world.",
        )
    report.section("Metrics against recovery", "A dot is a dictionary, a colour a method; all worlds.")
    for name in dict.fromkeys((worths[0].metric, PROBES, USUAL, worths[-1].metric)):
        report.figure(_draw_metric(study, name), f"{name}, and recovery.")
    _add_dictionaries(report, study)
    return end_page(report, facts, seconds)


def _draw_metric(study: DictionaryMetricsStudy, name: str) -> Any:
    everything = [each for world in study.worlds for each in world.dictionaries]
    series = []
    for method in dict.fromkeys(each.method for each in everything):
        own = [each for each in everything if each.method == method]
        values = [[v for v in each.metrics[name] if v is not None] for each in own]
        series.append(
            ScatterPoints(
                method,
                [float(np.mean(drawn)) if drawn else None for drawn in values],
                [each.recovery for each in own],
            )
        )
    return scatter(series, name, "recovery", fit=False)


def _add_dictionaries(report: Report, study: DictionaryMetricsStudy) -> None:
    baseline = SeedEstimate.of([world.baseline for world in study.worlds], "worlds")
    active = SeedEstimate.of([world.active for world in study.worlds], "worlds")
    report.section(
        "Dictionaries",
        f"Means over trainings, intervals over worlds. {active} atoms are there at a time; the best single "
        f"dimension has an F1 of {baseline}.",
    )
    kinds = list(
        dict.fromkeys((each.method, each.latents) for world in study.worlds for each in world.dictionaries)
    )

    def over_worlds(kind: tuple[str, int], value: Any) -> str:
        means = [
            float(
                np.mean([value(each) for each in world.dictionaries if (each.method, each.latents) == kind])
            )
            for world in study.worlds
        ]
        return str(SeedEstimate.of(means, "worlds"))

    report.table(
        ["method", "latents", "recovery", "matched cosine", "L0", "explained variance"],
        [
            [
                *kind,
                over_worlds(kind, lambda each: each.recovery),
                over_worlds(kind, lambda each: each.matched),
                over_worlds(kind, lambda each: -np.mean(each.metrics["sparsity (-L0)"])),
                over_worlds(kind, lambda each: np.mean(each.metrics["explained variance"])),
            ]
            for kind in kinds
        ],
    )
