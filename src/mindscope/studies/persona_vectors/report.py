"""The page: each claim with its figure, the published number beside ours, and whether it holds here."""

from collections.abc import Sequence

from mindscope.reports import Report, ScatterPoints, scatter
from mindscope.studies.common import Claim, add_settings, begin_page, claim_rows
from mindscope.studies.persona_vectors.chosen import ChoiceOutcome
from mindscope.studies.persona_vectors.claims import ALL, SHIFT_CLAIM, list_claims
from mindscope.studies.persona_vectors.correlation_sections import add_monitoring, add_tuning
from mindscope.studies.persona_vectors.prevention import TraitPrevention
from mindscope.studies.persona_vectors.reading import DictionaryReading
from mindscope.studies.persona_vectors.reproduce import PersonaReproduction
from mindscope.studies.persona_vectors.tuning import TuningClaims

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
    add_monitoring(report, made.monitoring)
    add_tuning(report, made)
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
