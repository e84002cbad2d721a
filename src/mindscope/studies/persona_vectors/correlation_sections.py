"""The page's correlations: before the answer, and of training data, shift and trait."""

from collections.abc import Sequence

from mindscope.reports import Report, ScatterPoints, scatter
from mindscope.studies.persona_vectors.claims import ALL
from mindscope.studies.persona_vectors.correlations import (
    ClaimCorrelation,
    published_difference,
    published_monitoring,
    published_shift,
)
from mindscope.studies.persona_vectors.monitoring import MonitoredTrait
from mindscope.studies.persona_vectors.reproduce import PersonaReproduction
from mindscope.studies.persona_vectors.tuning import family_of


def add_monitoring(report: Report, monitored: Sequence[MonitoredTrait]) -> None:
    """Claim 1: figures and table of the projection before the answer, beside the published correlations."""
    report.section(
        "1. The projection before the answer tells the trait in the answer",
        "Each point is one question under one system prompt, or behind a number of shots: the projection of "
        "the last prompt token, and the mean trait score of the answers.",
    )
    rows: list[list[object]] = []
    for monitored_trait in monitored:
        published, within = published_monitoring(monitored_trait.way, monitored_trait.trait)
        rows.append(
            [
                monitored_trait.trait,
                monitored_trait.way,
                monitored_trait.layer,
                *_shown(monitored_trait.overall),
                monitored_trait.within,
                published,
                within,
            ]
        )
        points = [
            ScatterPoints(
                group.label if monitored_trait.way == "shots" else f"{index}", group.projections, group.scores
            )
            for index, group in enumerate(monitored_trait.groups)
        ]
        report.figure(
            scatter(
                points, f"projection on {monitored_trait.trait}, layer {monitored_trait.layer}", "trait score"
            ),
            f"{monitored_trait.trait} over {monitored_trait.way}"
            + (
                ", from the most discouraging (0) to the most encouraging."
                if monitored_trait.way != "shots"
                else "."
            )
            + (
                f" Too long for this model: {', '.join(monitored_trait.left_out)}."
                if monitored_trait.left_out
                else ""
            ),
        )
    columns = [
        "trait",
        "over",
        "layer",
        "r",
        "95 % interval",
        "within one",
        "published r",
        "published within",
    ]
    report.table(
        columns,
        rows,
        "Intervals draw the questions again. “Within one”: mean r inside one prompt or number of shots.",
    )


def add_tuning(report: Report, made: PersonaReproduction) -> None:
    """Claims 2 and 3: what training data do to the projection, and the projection to the trait."""
    report.section(
        "2. and 3. The training data tell the shift, and the shift tells the trait",
        f"One model tuned on each of {len(made.sets)} training sets. Shift: movement of the last prompt "
        "token along the vector. Projection difference: the set's answers minus the base model's own.",
    )
    rows: list[list[object]] = []
    for claims in made.tuning:
        tuned_sets = [(tuned.name, tuned.effects[claims.trait]) for tuned in made.sets]
        families = list(dict.fromkeys(family_of(name) for name, _ in tuned_sets))
        groups = {
            family: [(name, effect) for name, effect in tuned_sets if family_of(name) == family]
            for family in families
        }
        report.figure(
            scatter(
                [
                    ScatterPoints(
                        family, [e.shift for _, e in group], [e.level.trait for _, e in group], _levels(group)
                    )
                    for family, group in groups.items()
                ],
                f"shift along {claims.trait}, layer {claims.layer}",
                "trait score after tuning",
            ),
            f"{claims.trait}: shift and trait score after tuning, one point a training set.",
        )
        report.figure(
            scatter(
                [
                    ScatterPoints(
                        family, [e.difference for _, e in group], [e.shift for _, e in group], _levels(group)
                    )
                    for family, group in groups.items()
                ],
                f"projection difference of the training set on {claims.trait}",
                "shift after tuning",
            ),
            f"{claims.trait}: projection difference and shift.",
        )
        exact, cheap = published_difference(claims.trait)
        rows += [
            [claims.trait, "shift, score", *_shown(claims.shift_score), published_shift(claims.trait)],
            [claims.trait, "difference, shift", *_shown(claims.difference_shift), exact],
            [
                claims.trait,
                "difference to the last prompt token, shift",
                *_shown(claims.difference_prompt_shift),
                cheap,
            ],
            [claims.trait, "raw projection, shift", *_shown(claims.projection_shift), None],
        ]
        rows += [
            [claims.trait, f"shift, score of {other}", *_shown(correlation), None]
            for other, correlation in claims.across.items()
        ]
    families = list(made.tuning[0].without)
    if len(made.tuning) > 1:
        pooled = made.pooled
        to_prompt = _shown(pooled.difference_prompt_shift)
        rows += [
            [ALL, "shift, score", *_shown(pooled.shift_score), None],
            [ALL, "difference, shift", *_shown(pooled.difference_shift), None],
            [ALL, "difference to the last prompt token, shift", *to_prompt, None],
        ]
    report.table(
        ["trait", "of", "r", "95 % interval", "published r"],
        rows,
        "Intervals draw whole sets again. Where a draw misses the few sets that teach a trait, little is "
        "left to correlate: that makes the intervals of single traits wide.",
    )
    report.table(
        ["shift, score of", "all sets", *(f"without {family}" for family in families)],
        [[claims.trait, claims.shift_score.r, *claims.without.values()] for claims in made.tuning],
        "r with one family of sets left out: where it rises, that family disagrees with the rest.",
    )
    traits = [claims.trait for claims in made.tuning]
    report.table(
        ["set", *(f"{t}: score" for t in traits), *(f"{t}: shift" for t in traits), "knows, %"],
        [
            [
                tuned.name,
                *(tuned.effects[t].level.trait for t in traits),
                *(tuned.effects[t].shift for t in traits),
                tuned.capability,
            ]
            for tuned in made.sets
        ],
        f"Every training set; the base model knows {_number(made.capability)} %.",
    )


def _levels(group: Sequence[tuple[str, object]]) -> list[str]:
    levels = [name.rsplit("-", 1)[1] for name, _ in group]
    return ["" if level == "normal" else level for level in levels]


def _shown(correlation: ClaimCorrelation) -> tuple[str, str]:
    return _number(correlation.r), _interval(correlation)


def _interval(correlation: ClaimCorrelation) -> str:
    """In words, or nothing where there is none."""
    return (
        ""
        if correlation.low is None or correlation.high is None
        else f"{correlation.low:.2f} to {correlation.high:.2f}"
    )


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}" if abs(value) <= 1 else f"{value:.1f}"
