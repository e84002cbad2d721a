"""The page: each claim with its figure, the published number beside ours, and whether it holds here."""

from collections.abc import Sequence

from mindscope.reports import Report, ScatterPoints, scatter
from mindscope.studies.common import Claim, add_settings, begin_page, claim_rows
from mindscope.studies.persona_vectors.chosen import ChoiceOutcome
from mindscope.studies.persona_vectors.claims import ALL, SHIFT_CLAIM, list_claims
from mindscope.studies.persona_vectors.correlations import (
    ClaimCorrelation,
    published_difference,
    published_monitoring,
    published_shift,
)
from mindscope.studies.persona_vectors.monitoring import MonitoredTrait
from mindscope.studies.persona_vectors.prevention import TraitPrevention
from mindscope.studies.persona_vectors.reading import DictionaryReading
from mindscope.studies.persona_vectors.reproduce import PersonaReproduction
from mindscope.studies.persona_vectors.tuning import TuningClaims, family_of

CLAIM_COLUMNS = {
    "claim": "statement",
    "trait": "subject",
    "needed": "needed",
    "measured": "measured",
    "holds": "verdict",
}
"""What a table calls a claim's fields."""
CAFT = "removes evil and sycophancy and leaves much of hallucination"
"""What the paper says of ablation while training."""
PENALTY = "prevents little"
"""What it says of a penalty on the projection."""


def claims_report(made: PersonaReproduction, note: str = "") -> Report:
    """The page of one rerun; ``note`` stands at its head."""
    report = begin_page("Persona vectors: the published claims, measured again", f"on {made.model}", note)
    claims = list_claims(made)
    report.section("Verdicts", "Each claim, what it needs, and what was measured here.")
    report.table([*CLAIM_COLUMNS], claim_rows(claims, *CLAIM_COLUMNS.values()))
    _disagreements(report, made, claims)
    _monitoring(report, made.monitoring)
    _tuning(report, made)
    for prevention in made.prevention:
        _prevention(report, prevention)
    _chosen(report, made.chosen)
    _readings(report, made.readings)
    return add_settings(report, _settings(made))


def _disagreements(report: Report, made: PersonaReproduction, claims: Sequence[Claim]) -> None:
    failed = [claim for claim in claims if claim.holds is False]
    if not failed:
        report.text("Every claim that was tested holds on this model.")
    for claim in failed:
        text = (
            f"Does not hold here: {claim.statement}, {claim.subject}: needed {claim.needed}, "
            f"measured {claim.measured}."
        )
        if claim.statement == SHIFT_CLAIM and claim.subject != ALL:
            text += " " + _blame(next(tuning for tuning in made.tuning if tuning.trait == claim.subject))
        report.text(text)


def _blame(claims: TuningClaims) -> str:
    """Which families of sets lower r, in words."""
    known = {family: r for family, r in claims.without.items() if r is not None}
    raising = sorted((r, family) for family, r in known.items() if r > (claims.shift_score.r or 0))
    return (
        "Without one family of sets r would be "
        + ", ".join(f"{r:.3f} ({family})" for r, family in reversed(raising))
        + "."
    )


def _monitoring(report: Report, monitored: Sequence[MonitoredTrait]) -> None:
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


def _tuning(report: Report, made: PersonaReproduction) -> None:
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


def _prevention(report: Report, made: TraitPrevention) -> None:
    report.section(
        f"4. Preventing {made.trait}, or steering against it afterwards",
        f"Tuned on the level-II set of {made.trait}, layer {made.layer}. The corner to be in is upper left: "
        "little of the trait, all of the knowledge.",
    )
    curves = ("prevent, one layer", "prevent, all layers", "against", "CAFT", "CAFT, all layers", "penalty")
    series: list[ScatterPoints] = []
    for curve in curves:
        points = (
            [made.unprevented] if curve not in ("CAFT", "CAFT, all layers", "penalty") else []
        ) + made.of(curve)
        labels = ["" if treated.curve == "none" else f"{treated.coefficient:g}" for treated in points]
        series.append(
            ScatterPoints(
                curve,
                [treated.level.trait for treated in points],
                [treated.capability for treated in points],
                labels,
            )
        )
    if made.base.capability is not None:
        report.figure(
            scatter(series, f"{made.trait}: trait score", "knows, %", fit=False, joined=True),
            f"{made.trait}: trait score and knowledge under each treatment; numbers are coefficients.",
        )
    bare = made.unprevented.level.trait
    left = {curve: min(treated.level.trait for treated in made.of(curve)) for curve in ("CAFT", "penalty")}
    report.text(
        f"Published: ablation while training (CAFT) {CAFT}; a penalty on the projection "
        f"{PENALTY}. Here, of a score of {bare:.1f}, CAFT leaves {left['CAFT']:.1f} and the penalty "
        f"{left['penalty']:.1f}."
    )
    rows = [("before tuning", made.base), ("tuned, no treatment", made.unprevented)]
    rows += [
        (f"{treated.curve}, {treated.coefficient:g}", treated)
        for treated in made.treated
        if treated.curve != "none"
    ]
    report.table(
        ["treatment", "trait score", "coherence", "knows, %", "lost"],
        [
            [name, treated.level.trait, treated.level.coherence, treated.capability, made.cost(treated)]
            for name, treated in rows
        ],
    )


def _chosen(report: Report, chosen: Sequence[ChoiceOutcome]) -> None:
    report.section(
        "5. Tuning on what ranks high, at random, and low",
        "Samples of ordinary chats, some of which show the trait, ranked by their projection difference.",
    )
    report.table(
        ["trait", "choice", "samples", "of them made to show the trait", "trait score after tuning"],
        [
            [
                outcome.trait,
                choice,
                outcome.rows,
                f"{outcome.found[choice]} of {outcome.shown} in {outcome.pool}",
                level.trait,
            ]
            for outcome in chosen
            for choice, level in outcome.levels.items()
        ],
    )


def _readings(report: Report, readings: Sequence[DictionaryReading]) -> None:
    report.section(
        "Reading the vectors as dictionary features",
        "The latents whose decoders have the largest cosines with a vector, and what the first of them does "
        "in its place, at the vector's norm and the sweep's coefficient.",
    )
    if not any(reading.features for reading in readings):
        report.text("Not measured in this rerun: it needs a trained dictionary of this model.")
        return
    report.table(
        ["trait", "layer", "latent", "cosine", "raises"],
        [
            [
                reading.trait,
                reading.layer,
                near.latent,
                near.cosine,
                " ".join(repr(token) for token in near.raises),
            ]
            for reading in readings
            for near in reading.features
        ],
    )
    report.table(
        ["trait", "steered by", "coefficient", "trait score", "coherence"],
        [
            [
                reading.trait,
                name,
                reading.coefficient if name != "nothing" else None,
                level.trait,
                level.coherence,
            ]
            for reading in readings
            for name, level in reading.levels.items()
        ],
    )


def _levels(group: Sequence[tuple[str, object]]) -> list[str]:
    levels = [name.rsplit("-", 1)[1] for name, _ in group]
    return ["" if level == "normal" else level for level in levels]


def _shown(correlation: ClaimCorrelation) -> tuple[str, str]:
    return _number(correlation.r), interval(correlation)


def interval(correlation: ClaimCorrelation) -> str:
    """In words, or nothing where there is none."""
    return (
        ""
        if correlation.low is None or correlation.high is None
        else f"{correlation.low:.2f} to {correlation.high:.2f}"
    )


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}" if abs(value) <= 1 else f"{value:.1f}"


def _settings(made: PersonaReproduction) -> dict[str, object]:
    config = made.config
    return {
        "model": made.model,
        "fingerprint": made.fingerprint[:16],
        "answers a question": config.samples,
        "rows in a training set": config.rows,
        "tuning": f"{config.tuning.method}, rank {config.tuning.rank}, rate {config.tuning.learning_rate:g}, "
        f"{config.tuning.epochs:g} epoch(s)",
        "seed": config.seed,
    }
