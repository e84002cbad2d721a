"""The page of the study."""

from collections.abc import Mapping, Sequence
from typing import Any

from mindscope.jobs import TEST_BED
from mindscope.reports import Report, bars_by_group, heatmap
from mindscope.studies.classifiers.claims import auroc_table
from mindscope.studies.classifiers.results import ClassifiersStudy
from mindscope.studies.common import Claim, SeedEstimate, add_claims, begin_page, end_page


def build_page(
    study: ClassifiersStudy, claims: Sequence[Claim], facts: Mapping[str, Any], seconds: Mapping[str, float]
) -> Report:
    """Claims, the shifts in one figure, the planted cue, lengths."""
    report = begin_page(
        "Features as classifiers",
        f"Bricken et al. 2024, rerun on {study.model}, layer {study.layer}: harmful requests, of a cartoon",
        TEST_BED,
    )
    add_claims(report, claims, "Intervals are Student's, over draws of texts.")
    first = study.shifts[0]
    report.section(
        "Out of distribution",
        "Classifiers are fitted on plain requests and read on others. From the second column on schemes are "
        "ones that were held out. Look-alikes ask in the same words for things that harm nobody; style is "
        "behind a character's system prompt; long is behind harmless turns; stories get past the model's own "
        "refusal.",
    )
    report.figure(
        heatmap(auroc_table(study).mean(0), first.inputs, first.sets, limit=1.0),
        "AUROC, a mean over draws; rows are what the classifier sees.",
    )
    report.table(
        ["input", *first.sets],
        [
            [
                name,
                *(
                    str(SeedEstimate.of(column.tolist(), "draws"))
                    for column in auroc_table(study)[:, number].T
                ),
            ]
            for number, name in enumerate(first.inputs)
        ],
    )
    _add_planted(report, study)
    _add_lengths(report, study)
    return end_page(report, facts, seconds)


def _add_planted(report: Report, study: ClassifiersStudy) -> None:
    report.section(
        "A planted cue",
        "In training every harmful request begins with a greeting and no harmless question does. Here it "
        "stands on the other side. Features that are about it are told on harmless questions alone.",
    )
    parts = {
        "planted": ("features", "raw"),
        "cue taken out": ("features_without", "raw_without"),
        "something else": ("features_without_others", "raw_without_random"),
        "never planted": ("clean", None),
    }
    values = {
        label: [
            None
            if name is None
            else SeedEstimate.of([100 * getattr(draw, name) for draw in study.planted], "draws")
            for name in names
        ]
        for label, names in parts.items()
    }
    report.figure(
        bars_by_group(
            ["features", "raw activations"],
            {label: [each and each.mean for each in row] for label, row in values.items()},
            "AUROC, %",
            errors={
                label: ([each and each.low for each in row], [each and each.high for each in row])
                for label, row in values.items()
            },
            ylim=(0, 105),
        ),
        "Stories about other schemes without the cue, against harmless questions with it.",
    )
    report.table(
        ["draw", "place of the first", "features about the cue", "before", "without them"],
        [
            [
                number,
                draw.cue_rank,
                ", ".join(map(str, draw.cue_features)),
                draw.features,
                draw.features_without,
            ]
            for number, draw in enumerate(study.planted)
        ],
    )


def _add_lengths(report: Report, study: ClassifiersStudy) -> None:
    readings = study.lengths[0].readings
    report.section(
        "Short and long",
        "A probe of single tokens, fitted on short texts. Thresholds are set on short harmless texts at "
        f"{study.false_alarms:.0%} false alarms.",
    )
    parts = {
        "alarms_short": "false alarms, short",
        "alarms_long": "false alarms, long",
        "recall_long": "recall, long",
    }
    table = {
        label: [
            SeedEstimate.of([getattr(draw, name)[place] for draw in study.lengths], "draws")
            for place in range(len(readings))
        ]
        for name, label in {**parts, "auroc_short": "AUROC, short", "auroc_long": "AUROC, long"}.items()
    }
    report.figure(
        bars_by_group(
            readings,
            {label: [100 * value.mean for value in table[label]] for label in parts.values()},
            "texts, %",
            errors={
                label: (
                    [100 * max(value.low, 0) for value in table[label]],
                    [100 * min(value.high, 1) for value in table[label]],
                )
                for label in parts.values()
            },
            ylim=(0, 108),
        ),
        "What becomes of a threshold when conversations are longer.",
    )
    report.table(
        ["reading", *table],
        [
            [reading, *(str(column[place]) for column in table.values())]
            for place, reading in enumerate(readings)
        ],
    )
