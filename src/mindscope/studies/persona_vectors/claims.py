"""Which claims hold: thresholds that were set before measuring, and what was measured."""

from collections.abc import Iterator

from mindscope.studies.common import Claim
from mindscope.studies.persona_vectors.correlations import (
    ClaimCorrelation,
    published_difference,
    published_monitoring,
    published_shift,
)
from mindscope.studies.persona_vectors.prevention import TraitPrevention
from mindscope.studies.persona_vectors.reproduce import PersonaReproduction

MONITORING, SHIFT, DIFFERENCE = 0.7, 0.8, 0.75
"""The least r of the projection with the score, the shift with the score, the difference with the shift."""
PREVENTED, LOSS = 0.3, 2.0
"""Preventative steering leaves at most this share of the trait score, and costs at most this many points."""


SHIFT_CLAIM = "shift tells the trait after tuning"
DIFFERENCE_CLAIM = "projection difference tells the shift"
CHOICE_CLAIM = "tuning on top samples brings more of the trait than on random, and these than on bottom"
ALL = "all together"


def list_claims(made: PersonaReproduction) -> list[Claim]:
    """Every claim that was tested, trait by trait."""
    return [
        *_correlations(made),
        *(claim for prevention in made.prevention for claim in _prevention(prevention)),
        *_chosen(made),
    ]


def _correlations(made: PersonaReproduction) -> Iterator[Claim]:
    for monitored in made.monitoring:
        yield _claim_r(
            f"projection before the answer tells the trait, over {monitored.way}",
            monitored.trait,
            monitored.overall,
            MONITORING,
            published_monitoring(monitored.way, monitored.trait)[0],
        )
    for tuning in made.tuning:
        shift, (exact, _) = published_shift(tuning.trait), published_difference(tuning.trait)
        yield _claim_r(SHIFT_CLAIM, tuning.trait, tuning.shift_score, SHIFT, shift)
        yield _claim_r(DIFFERENCE_CLAIM, tuning.trait, tuning.difference_shift, DIFFERENCE, exact)
    if len(made.tuning) > 1:  # of one trait they would be the same points again
        yield _claim_r(SHIFT_CLAIM, ALL, made.pooled.shift_score, SHIFT)
        yield _claim_r(DIFFERENCE_CLAIM, ALL, made.pooled.difference_shift, DIFFERENCE)


def _claim_r(
    statement: str,
    subject: str,
    correlation: ClaimCorrelation,
    needed: float,
    published: float | None = None,
) -> Claim:
    measured = "no variation" if correlation.r is None else f"{correlation.r:.3f}"
    if correlation.low is not None and correlation.high is not None:
        measured += f" ({correlation.low:.2f} to {correlation.high:.2f})"
    return Claim(
        statement=statement,
        subject=subject,
        needed=f"r at least {needed:g}",
        measured=measured,
        published=None if published is None else f"r {published:.3f}",
        holds=correlation.r is not None and correlation.r >= needed,
    )


def _prevention(made: TraitPrevention) -> Iterator[Claim]:
    best, bare = made.best_prevention(), made.unprevented.level.trait
    cost = made.cost(best)
    share = best.level.trait / bare if bare else float("inf")
    yield Claim(
        statement="preventative steering keeps the trait away and the knowledge in",
        subject=made.trait,
        needed=f"at most {PREVENTED:.0%} of the score, at most {LOSS:g} points lost",
        measured=f"{best.level.trait:.1f} of {bare:.1f} ({share:.0%}), "
        + ("no test" if cost is None else f"{cost:.1f} points lost")
        + f" ({best.curve}, {best.coefficient:g})",
        holds=share <= PREVENTED and (cost is None or cost <= LOSS),
    )
    if cost is None:
        return
    against = made.cost_of_steering_to(PREVENTED * bare)
    yield Claim(
        statement="steering afterwards to the same level costs more knowledge than preventing",
        subject=made.trait,
        needed=f"more than {cost:.1f} points at a score of {PREVENTED * bare:.1f} or less",
        measured="not measured: no coefficient tried reaches that score"
        if against is None
        else f"{against:.1f} points",
        holds=against is not None and against > cost,
    )


def _chosen(made: PersonaReproduction) -> Iterator[Claim]:
    for outcome in made.chosen:
        top, random, bottom = (outcome.levels[choice].trait for choice in ("top", "random", "bottom"))
        yield Claim(
            statement=CHOICE_CLAIM,
            subject=outcome.trait,
            needed="top > random > bottom",
            measured=f"{top:.1f}, {random:.1f}, {bottom:.1f}",
            holds=top > random > bottom,
        )
