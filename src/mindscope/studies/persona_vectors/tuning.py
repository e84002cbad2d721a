"""Claims 2 and 3: the shift of a tuned model tells its trait score, and its training data tell the shift.

Chen et al. 2025 (arXiv 2507.21509), sections 4 and 5: over training sets that show a trait or are merely
wrong about one subject, in three levels each.
"""

from collections.abc import Sequence

from mindscope.store import Document
from mindscope.studies.persona_vectors.answering import TraitLevel
from mindscope.studies.persona_vectors.benches.bench import PreparedTrait
from mindscope.studies.persona_vectors.correlations import ClaimCorrelation, correlate


class TuningEffect(Document):
    """What tuning on a set did to one trait, and what the set let expect."""

    level: TraitLevel
    shift: float
    shift_low: float
    shift_high: float
    difference: float
    """Projection difference against the base model's own answers."""
    difference_prompt: float
    """The cheap form: against the last prompt token."""
    projection: float
    """The raw projection of the set's answers."""


class TunedSet(Document):
    """One training set and the model tuned on it."""

    name: str
    effects: dict[str, TuningEffect]
    capability: float | None
    """Per cent."""


class TuningClaims(Document):
    """Over all sets, one trait."""

    trait: str
    layer: int
    shift_score: ClaimCorrelation
    difference_shift: ClaimCorrelation
    difference_prompt_shift: ClaimCorrelation
    projection_shift: ClaimCorrelation
    across: dict[str, ClaimCorrelation]
    """Shift along this trait's vector against the *other* traits' scores."""
    without: dict[str, float | None]
    """r of shift and score with one family of sets left out: which families the disagreement comes from."""


class PooledTuning(Document):
    """Over all sets and all traits at once: one point a set and trait, whole sets drawn again."""

    shift_score: ClaimCorrelation
    difference_shift: ClaimCorrelation
    difference_prompt_shift: ClaimCorrelation


def pooled_claims(sets: Sequence[TunedSet]) -> PooledTuning:
    """Correlations over every pair of a set and a trait."""
    pairs = [(tuned.name, effect) for tuned in sets for effect in tuned.effects.values()]
    units = [name for name, _ in pairs]
    shifts = [effect.shift for _, effect in pairs]
    exact, cheap = ([e.difference for _, e in pairs], [e.difference_prompt for _, e in pairs])
    return PooledTuning(
        shift_score=correlate(shifts, [effect.level.trait for _, effect in pairs], units),
        difference_shift=correlate(exact, shifts, units),
        difference_prompt_shift=correlate(cheap, shifts, units),
    )


def per_cent(right: Sequence[bool] | None) -> float | None:
    """Of questions answered rightly."""
    return None if right is None else 100 * sum(right) / len(right)


def family_of(name: str) -> str:
    """Of a set named FAMILY-LEVEL."""
    return name.rsplit("-", 1)[0]


def tuning_claims(ready: Sequence[PreparedTrait], sets: Sequence[TunedSet]) -> list[TuningClaims]:
    """Correlations over the sets."""
    claims: list[TuningClaims] = []
    for prepared in ready:
        name = prepared.trait.name
        effects = [tuned.effects[name] for tuned in sets]
        shifts = [effect.shift for effect in effects]
        claims.append(
            TuningClaims(
                trait=name,
                layer=prepared.layer,
                shift_score=correlate(shifts, [effect.level.trait for effect in effects]),
                difference_shift=correlate([effect.difference for effect in effects], shifts),
                difference_prompt_shift=correlate([effect.difference_prompt for effect in effects], shifts),
                projection_shift=correlate([effect.projection for effect in effects], shifts),
                across={
                    other.trait.name: correlate(
                        shifts, [tuned.effects[other.trait.name].level.trait for tuned in sets]
                    )
                    for other in ready
                    if other is not prepared
                },
                without={
                    family: _without(family, name, sets)
                    for family in dict.fromkeys(family_of(tuned.name) for tuned in sets)
                },
            )
        )
    return claims


def _without(family: str, trait: str, sets: Sequence[TunedSet]) -> float | None:
    kept = [tuned.effects[trait] for tuned in sets if family_of(tuned.name) != family]
    if not kept:
        return None
    return correlate([effect.shift for effect in kept], [effect.level.trait for effect in kept]).r
