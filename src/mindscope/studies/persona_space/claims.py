"""What is asked of persona space, what it takes to count as shown, and whether it is.

Lu et al. 2026 (arXiv 2601.10387): 4, 8 and 19 components hold 70 % of the variance of 275 roles, and the
assistant axis has a cosine above 0.71 with the first. Chen et al. 2025 (arXiv 2507.21509) leave open whether
correlations of vectors predict traits shown together, what side effects several vectors have, and what a
persona is made of. Layer and coefficient were chosen on another draw (seed 100), on which rebuilt vectors
were seen as well; bars were set before the draws of the study.
"""

from collections.abc import Sequence

import numpy as np

from mindscope.studies.common import Claim, SeedEstimate
from mindscope.studies.persona_space.draw_means import (
    blended_together,
    centre_groups,
    co_expression,
    correlate_values,
    grips,
    judged_poles,
    shares_of_effect,
    shown_together,
)
from mindscope.studies.persona_space.geometry import PairCorrelation, correlate_pairs, count_dimensions
from mindscope.studies.persona_space.pair_claims import claim_pairs
from mindscope.studies.persona_space.results import PersonaGeometry, PersonaSpaceStudy, RealTraitsStudy

CARRIED = 0.8
"""The share of a vector's effect that a rebuilt one must reach."""
LEFT = 0.2
"""The share that what is left of the vector may still have."""
HELD = 0.7
"""The share of variance by which dimensions are counted, as in Lu et al."""
FIRST = 0.71
"""The cosine of the axis with the first component that they report as exceeded."""
GRIPPED = 0.2
"""A vector has a grip on a voice where it brings out this share of what a system prompt does."""
ADDED = 0.8
"""The cosine of a blend's vector with the sum of two vectors."""
LEAST_JUDGED = 8
"""With fewer traits there are too few pairs to correlate."""


def list_claims(study: PersonaSpaceStudy) -> list[Claim]:
    """All claims."""
    return [
        *_claim_carriers(study),
        _claim_dimensions(study.geometry),
        _claim_first(study.geometry),
        *_claim_axis(study),
        _claim_opposites(study.geometry, study.n_characters, "characters"),
        *_claim_together(study),
        _claim_blends(study),
        *_claim_readers(study),
        *claim_pairs(study),
    ]


def list_real_claims(study: RealTraitsStudy) -> list[Claim]:
    """The claims that need no exact judge, of a model that was loaded."""
    judged = judged_poles(study)
    aurocs = [value for draw in study.judged for value in draw.aurocs if value is not None]
    claims = [
        _claim_dimensions(study.geometry),
        _claim_first(study.geometry),
        _claim_opposites(study.geometry, len(study.voices) // 2, "traits"),
    ]
    if len(judged) < LEAST_JUDGED:
        return [
            *claims,
            Claim(
                subject="traits together",
                statement="cosines of vectors predict which traits are shown together",
                needed=f"{LEAST_JUDGED} traits that a judge can tell from their opposites in every draw",
                measured=f"{len(judged)} of {len(study.voices) - 1}",
                holds=None,
            ),
        ]
    chosen = np.ix_(judged, judged)
    claim = _claim_prediction(
        f"cosines of vectors predict which of {len(judged)} traits are shown together",
        correlate_pairs(
            np.array(study.geometry.cosines)[chosen], co_expression(study), opposites=len(judged) // 2
        ),
    )
    beside = {**claim.beside, "held-out AUROC of the judges": f"{np.mean(aurocs):.2g}"}
    return [*claims, claim.model_copy(update={"beside": beside})]


def _claim_carriers(study: PersonaSpaceStudy) -> list[Claim]:
    k = study.carriers
    column = study.feature_counts.index(k)
    rebuilt, rest, random = (
        SeedEstimate.of(shares_of_effect(study, part)[:, column].tolist(), "characters")
        for part in ("rebuilt", "rest", "random")
    )
    first = next(
        (
            count
            for count, values in zip(study.feature_counts, shares_of_effect(study, "rebuilt").T, strict=True)
            if SeedEstimate.of(values.tolist()).low > CARRIED
        ),
        None,
    )

    def told(name: str) -> np.ndarray:
        return np.mean([getattr(draw, name) for draw in study.persona_carriers], 0)

    lost, lost_others = (
        SeedEstimate.of((1 - told(name) / told("told")).tolist(), "characters")
        for name in ("told_without", "told_without_others")
    )
    coherent = SeedEstimate.of(told("coherence_without").tolist(), "characters")
    return [
        Claim(
            subject=f"{k} features",
            statement="a persona vector rebuilt from its best few dictionary features steers like the whole",
            needed=f"interval above {CARRIED:.0%} of the whole vector's effect, and above that of random "
            "directions",
            measured=f"{rebuilt} of the effect; "
            + (
                f"{CARRIED:.0%} from {first} features on"
                if first
                else f"{CARRIED:.0%} with none of the counts"
            ),
            beside={f"the best {k} of as many random directions": str(random)},
            holds=rebuilt.low > max(CARRIED, random.high),
        ),
        Claim(
            subject=f"all but {k} features",
            statement="what is left of the vector without them steers hardly",
            needed=f"interval under {LEFT:.0%} of the whole vector's effect",
            measured=f"{rest} of the effect",
            holds=rest.high < LEFT,
        ),
        Claim(
            subject=f"{k} features taken out",
            statement="told to play the character, the model does so less without them",
            needed="share of the score that is lost: interval above that without another character's",
            measured=str(lost),
            beside={"without another character's": str(lost_others), "coherence without": str(coherent)},
            holds=lost.low > max(0.0, lost_others.high),
        ),
    ]


def _claim_dimensions(geometry: PersonaGeometry) -> Claim:
    ours, random = (
        SeedEstimate.of([count_dimensions(spectrum, HELD) for spectrum in spectra], "draws")
        for spectra in (geometry.spectra, geometry.random_spectra)
    )
    return Claim(
        subject=f"{len(geometry.cosines)} voices",
        statement="persona space has fewer dimensions than voices",
        published="4, 8 and 19 of 275 roles",
        needed=f"components that hold {HELD:.0%} of the variance of another draw: interval under that of "
        "random vectors",
        measured=f"{ours} components",
        beside={"random vectors": str(random)},
        holds=ours.high < random.low,
    )


def _claim_first(geometry: PersonaGeometry) -> Claim:
    first = SeedEstimate.of([row[0] for row in geometry.axis_cosines], "draws")
    best = [int(np.argmax(row)) + 1 for row in geometry.axis_cosines]
    return Claim(
        subject="assistant axis",
        statement="the axis from other roles to the assistant is the first dimension of persona space",
        published=f"cosine above {FIRST}",
        needed=f"interval above {FIRST}",
        measured=f"cosine {first}; nearest component {_listed(best)}",
        beside={"random directions, 95th percentile": f"{np.mean(geometry.axis_random):.2g}"},
        holds=first.low > FIRST,
    )


def _claim_axis(study: PersonaSpaceStudy) -> list[Claim]:
    geometry = study.geometry
    reads = SeedEstimate.of(geometry.axis_reads, "draws")
    away, toward, none = (
        SeedEstimate.of([100 * getattr(draw, name) for draw in study.steered], "draws")
        for name in ("away", "toward", "away_none")
    )
    random = SeedEstimate.of([100 * float(np.mean(draw.away_random)) for draw in study.steered], "draws")
    return [
        Claim(
            subject="assistant axis",
            statement="how far an answer lies along it says how much of it is the assistant's",
            needed="r with the helpful voice's share of phrases in another draw: interval above the 95th "
            "percentile of random directions",
            measured=str(reads),
            beside={"random directions": str(SeedEstimate.of(geometry.axis_reads_random, "draws"))},
            holds=reads.low > max(geometry.axis_reads_random),
        ),
        Claim(
            subject="assistant axis",
            statement="steering away from the assistant brings out other voices",
            needed="phrases in percent that are not the helpful voice's: interval above that of random "
            "vectors of the same norm",
            measured=str(away),
            beside={"random": str(random), "unsteered": str(none), "toward": str(toward)},
            holds=away.low > random.high,
        ),
    ]


def _claim_opposites(geometry: PersonaGeometry, n: int, unit: str) -> Claim:
    cosines = np.array(geometry.cosines)
    own = cosines[np.arange(n), n + np.arange(n)]
    block = cosines[:n, n:]
    others = (block.sum(1) - own) / (n - 1)
    gap, mean = (SeedEstimate.of(values.tolist(), unit) for values in (own - others, own))
    return Claim(
        subject="opposites",
        statement="a voice and its opposite point in opposite directions",
        needed="cosine less that with other voices' opposites: interval under 0, and the cosine itself too",
        measured=f"{gap}; cosine {mean}",
        beside={"with other opposites": str(SeedEstimate.of(others.tolist(), unit))},
        holds=gap.high < 0 and mean.high < 0,
    )


def _claim_together(study: PersonaSpaceStudy) -> list[Claim]:
    cosines, n = np.array(study.geometry.cosines), study.n_characters
    return [
        _claim_prediction(
            "cosines of vectors predict which other voice is shown under a vector",
            correlate_pairs(cosines, shown_together(study)),
        ),
        _claim_prediction(
            "cosines predict how much of both characters is shown where both are asked for",
            correlate_pairs(cosines[:n, :n], blended_together(study)),
        ),
    ]


def _claim_prediction(statement: str, predicted: PairCorrelation) -> Claim:
    return Claim(
        subject="traits together",
        statement=statement,
        needed="r over pairs: interval above 0, and r above the 95th percentile of shuffled voices",
        measured=f"r {predicted}",
        beside={"shuffled voices": f"{predicted.shuffled:.2g}"},
        holds=predicted.low > 0 and predicted.r > predicted.shuffled,
    )


def _claim_blends(study: PersonaSpaceStudy) -> Claim:
    own, other = (
        SeedEstimate.of([float(np.mean(getattr(draw, name))) for draw in study.blends], "draws")
        for name in ("cosine", "best_other")
    )
    right = [np.mean(np.array(draw.cosine) > np.array(draw.best_other)) for draw in study.blends]
    both = SeedEstimate.of([float(np.mean(draw.both)) for draw in study.blends], "draws")
    return Claim(
        subject="blends",
        statement="the vector of two characters asked for at once is the sum of their vectors",
        needed=f"cosine: interval above {ADDED}, and above that with the nearest sum of another pair",
        measured=f"{own}; nearest for {np.mean(right):.0%} of pairs",
        beside={"nearest other sum": str(other), "lesser of the two scores": str(both)},
        holds=own.low > max(ADDED, other.high),
    )


def _claim_readers(study: PersonaSpaceStudy) -> list[Claim]:
    grip = grips(study)
    linear = np.mean([draw.linear[1:] for draw in study.readers], 0)
    wide = np.mean([draw.wide[1:] for draw in study.readers], 0)
    slack = grip < GRIPPED
    names = [voice for voice, loose in zip(study.voices[1:], slack, strict=True) if loose]
    # Characters and opposites differ in both: over all voices r would be of these two groups.
    inside = correlate_values(
        centre_groups(linear, study.n_characters), centre_groups(grip, study.n_characters), groups=2
    )
    parts = {
        name: SeedEstimate.of(values.tolist(), "voices")
        for name, values in (
            ("linear R², with a grip", linear[~slack]),
            ("linear R², without", linear[slack]),
            ("non-linear beyond linear, without a grip", (wide - linear)[slack]),
            ("non-linear beyond linear, with", (wide - linear)[~slack]),
        )
        if len(values)
    }
    gain = parts.get("non-linear beyond linear, without a grip")
    return [
        Claim(
            subject="linearity",
            statement="the more linearly a voice can be read, the stronger its vector's grip",
            needed="r among characters and among opposites: interval above 0",
            measured=f"r {inside}; no grip on {', '.join(names) or 'none'}",
            beside={
                "r over both groups": str(correlate_values(linear, grip)),
                **{name: str(value) for name, value in parts.items() if name.startswith("linear")},
            },
            holds=inside.low > 0,
        ),
        Claim(
            subject="linearity",
            statement="where a vector has no grip, its voice is read by a non-linear reader alone",
            needed="R² beyond the linear reader: interval above 0.1",
            measured="every vector has a grip" if gain is None else str(gain),
            beside={name: str(value) for name, value in parts.items() if name.endswith("with")},
            holds=None if gain is None else gain.low > 0.1,
        ),
    ]


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
