"""The verdicts; published numbers and bars are in `paper.py`. Seeds are the independent units."""

from collections.abc import Callable, Sequence

import numpy as np

from mindscope.studies.common import Claim, SeedEstimate
from mindscope.studies.scaling import paper
from mindscope.studies.scaling.laws import SeedLaws
from mindscope.studies.scaling.near_claims import list_near_claims
from mindscope.studies.scaling.presence import fit_presence, shuffled_slopes
from mindscope.studies.scaling.results import (
    ClampedName,
    ClampScores,
    ClampSeed,
    LawSeed,
    ModelScalingStudy,
    NameSeed,
    ScalingStudy,
)

HIGH = 97.5
"""The percentile of a null that an estimate must pass."""


def list_claims(study: ScalingStudy) -> list[Claim]:
    """All claims on the organism."""
    return [
        *list_law_claims(study.laws),
        *list_name_claims(study.names),
        *list_near_claims(study.near),
        *list_clamp_claims(study.clamped),
    ]


def list_model_claims(study: ModelScalingStudy) -> list[Claim]:
    """Those that need no known names."""
    return [*list_law_claims(study.laws), *list_near_claims(study.near)]


def list_law_claims(seeds: Sequence[LawSeed]) -> list[Claim]:
    """The optimal loss, latents and steps against compute; larger runs predicted."""
    laws = [SeedLaws.fit(seed, number) for number, seed in enumerate(seeds)]
    slope = SeedEstimate.of([law.loss.exponent for law in laws])
    straight = SeedEstimate.of([law.loss.straight for law in laws])
    latents = SeedEstimate.of([law.latents.exponent for law in laws])
    steps = SeedEstimate.of([1 - law.latents.exponent for law in laws])
    null = float(np.percentile(np.mean([law.dealt_latents for law in laws], axis=0), HIGH))
    inside = sum(optimum.inside for law in laws for optimum in law.optima)
    optima = sum(len(law.optima) for law in laws)
    return [
        Claim(
            subject="loss against compute",
            statement="with the best size and steps, the loss falls as a power of compute",
            published=paper.LOSS_LAW,
            needed=f"exponent: interval under 0; straight in logarithms: interval above {paper.STRAIGHT:.0%}",
            measured=f"exponent {slope}, straight {straight}",
            holds=slope.high < 0 and straight.low > paper.STRAIGHT,
        ),
        Claim(
            subject="optimum against compute",
            statement="the best number of latents and of steps both grow as powers of compute",
            published=paper.OPTIMA,
            needed="both exponents: intervals above 0; the mean of that of latents above 97.5% of means of "
            "sizes dealt to other computes",
            measured=f"latents {latents}, steps {steps}",
            beside={
                f"dealt to other computes, {HIGH:g}%": f"{null:.3g}",
                "optima inside the sizes": f"{inside} of {optima}",
            },
            holds=latents.low > 0 and steps.low > 0 and latents.mean > null,
        ),
        Claim(
            subject="optimum against compute",
            statement="latents grow more quickly than steps",
            published=paper.OPTIMA,
            needed="exponent of latents less that of steps: interval above 0",
            measured=str(more := SeedEstimate.of([2 * law.latents.exponent - 1 for law in laws])),
            holds=more.low > 0,
        ),
        *(_claim_prediction(seeds, laws, number) for number in range(len(seeds[0].larger))),
    ]


def _claim_prediction(seeds: Sequence[LawSeed], laws: Sequence[SeedLaws], number: int) -> Claim:
    """Of the runs whose compute no law was fitted on; the others are told."""
    run = seeds[0].larger[number]
    most = max(optimum.compute for law in laws for optimum in law.optima)
    off = [law.predictions(seed.larger[number]) for law, seed in zip(laws, seeds, strict=True)]
    by = {name: SeedEstimate.of([own[name] for own in off]) for name in off[0]}
    gains = [SeedEstimate.of([own[name] - own["law"] for own in off]) for name in ("last", "shuffled")]
    larger = run.compute >= 2 * most
    return Claim(
        subject=f"{run.latents} latents, {run.compute / most:.3g} times the compute",
        statement="the law, extended, predicts the loss of a larger run",
        published=paper.CHOSEN,
        needed="error of the last loss, and of lines through shuffled losses, less the law's: intervals "
        "above 0"
        if larger
        else None,
        measured=f"off by {by['law']} (log of the ratio)",
        beside={
            "the last loss": str(by["last"]),
            "shuffled": str(by["shuffled"]),
            "a line over log compute": str(by["line"]),
            "a power law above a floor": str(by["floor"]),
        },
        holds=all(gain.low > 0 for gain in gains) if larger else None,
    )


def list_name_claims(seeds: Sequence[NameSeed]) -> list[Claim]:
    """Names that have a latent, against how often they are met."""
    fits = [fit_presence(seed, paper.HAS, seed.sizes) for seed in seeds]
    lenient = [fit_presence(seed, paper.LENIENT, seed.sizes) for seed in seeds]
    slopes = [fit.frequency if fit else 0.0 for fit in fits]
    nulls = [shuffled_slopes(seed, paper.HAS) or [0.0] for seed in seeds]
    slope = SeedEstimate.of(slopes)
    null = float(np.mean([np.percentile(own, HIGH) for own in nulls]))
    exponents = [fit.exponent for fit in fits if fit and fit.exponent is not None]
    exponent = SeedEstimate.of(exponents) if len(exponents) == len(seeds) else None
    middle = len(seeds[0].sizes) // 2
    products = [
        threshold * seed.sizes[middle].alive
        for fit, seed in zip(fits, seeds, strict=True)
        if fit and (threshold := fit.threshold(seed.sizes[middle].alive)) is not None
    ]
    product = SeedEstimate.of(products) if len(products) == len(seeds) else None
    parted = [_part_slopes(seed) for seed in seeds]
    return [
        Claim(
            subject="names that have a latent",
            statement="the more often a name is met in training, the likelier it has one",
            published=paper.FREQUENCY,
            needed="slope of the log odds over log frequency: interval above 0, and above 97.5% of those "
            "with frequencies dealt anew",
            measured=str(slope),
            beside={
                f"dealt anew, {HIGH:g}%": f"{null:.3g}",
                **{
                    f"{size.latents} latents": _share(seeds, n, lambda own: own.f1, paper.HAS)
                    for n, size in enumerate(seeds[0].sizes)
                },
                "random directions, largest": _share(seeds, -1, lambda own: own.random, paper.HAS),
                f"F1 of {paper.LENIENT:g}, largest": _share(seeds, -1, lambda own: own.f1, paper.LENIENT),
                f"F1 of {paper.LENIENT:g}, random directions": _share(
                    seeds, -1, lambda own: own.random, paper.LENIENT
                ),
                f"slope with an F1 of {paper.LENIENT:g}": str(
                    SeedEstimate.of([fit.frequency if fit else 0.0 for fit in lenient])
                ),
                "best token": str(
                    SeedEstimate.of([mean_or_zero([f1 >= paper.HAS for f1 in seed.tokens]) for seed in seeds])
                ),
            },
            holds=slope.low > max(0.0, null),
        ),
        Claim(
            subject="names that have a latent",
            statement="the best token of a name tells it alike, however often it was met",
            needed=None,
            measured=str(SeedEstimate.of([own["tokens"] for own in parted]))
            + " more F1 for a name ten times as frequent",
            beside={
                "largest dictionary": str(SeedEstimate.of([own["largest"] for own in parted])),
                "random directions": str(SeedEstimate.of([own["random"] for own in parted])),
            },
            holds=None,
        ),
        Claim(
            subject="threshold frequency",
            statement="it falls as dictionaries grow, about as one over their latents",
            published=paper.THRESHOLD,
            needed="exponent over alive latents: interval within {:g} and {:g}".format(*paper.EXPONENT),
            measured=str(exponent) if exponent else "none in some seeds: frequency does not matter there",
            beside={
                f"{size.latents} latents": _thresholds(seeds, n) for n, size in enumerate(seeds[0].sizes)
            },
            holds=exponent is not None
            and paper.EXPONENT[0] < exponent.low
            and exponent.high < paper.EXPONENT[1],
        ),
        Claim(
            subject="threshold frequency",
            statement="it is slightly under one over alive latents",
            published=paper.INVERSE,
            needed="threshold times alive latents: interval within {:g} and {:g}".format(*paper.UNDER),
            measured=f"{product}, {seeds[0].sizes[middle].latents} latents"
            if product
            else "none in some seeds",
            beside={
                "alive": ", ".join(
                    str(SeedEstimate.of([seed.sizes[n].alive for seed in seeds]))
                    for n in range(len(seeds[0].sizes))
                ),
            },
            holds=product is not None and paper.UNDER[0] < product.low and product.high < paper.UNDER[1],
        ),
    ]


def _part_slopes(seed: NameSeed) -> dict[str, float]:
    """How much more F1 a name ten times as frequent has."""
    least = min(share for share in seed.frequencies if share > 0) / 2
    logs = np.log10([share or least for share in seed.frequencies])
    parts = {"tokens": seed.tokens, "largest": seed.sizes[-1].f1, "random": seed.sizes[-1].random}
    return {name: float(np.polyfit(logs, values, 1)[0]) for name, values in parts.items()}


def _thresholds(seeds: Sequence[NameSeed], number: int) -> str:
    """Of the dictionaries of one size alone, where frequencies reach it."""
    reached = []
    for seed in seeds:
        size = seed.sizes[number]
        fit = fit_presence(seed, paper.HAS, [size])
        value = fit.threshold(size.alive) if fit else None
        if value is not None and min(seed.frequencies) <= value <= max(seed.frequencies):
            reached.append(value)
    return str(SeedEstimate.of(reached)) if reached else "beyond the frequencies"


def _share(seeds: Sequence[NameSeed], number: int, of: Callable, bar: float) -> str:
    return str(
        SeedEstimate.of([mean_or_zero([f1 >= bar for f1 in of(seed.sizes[number])]) for seed in seeds])
    )


def list_clamp_claims(seeds: Sequence[ClampSeed]) -> list[Claim]:
    """What answers are about with the latent of a name clamped."""
    if any(not seed.names for seed in seeds):
        return [
            Claim(
                subject="clamped",
                statement="answers name what the latent stands for",
                published=paper.STEERED,
                needed="a latent that stands for a name, in every seed",
                measured="there is none in some seeds",
                holds=False,
            )
        ]
    claims = [claim for strength in paper.STRENGTHS for claim in _claim_clamp(seeds, strength)]
    return [*claims, _report_weaker(seeds)]


def _claim_clamp(seeds: Sequence[ClampSeed], strength: float) -> list[Claim]:
    def shares(arm: Callable[[ClampedName], Sequence[ClampScores]], field: str) -> SeedEstimate:
        return clamp_estimate(seeds, arm, strength, field)

    names = shares(lambda own: own.clamped, "names")
    stranger, random = shares(lambda own: own.stranger, "names"), shares(lambda own: own.random, "names")
    whole = shares(lambda own: own.clamped, "coherence")
    untouched = SeedEstimate.of([mean_or_zero([own.untouched.names for own in seed.names]) for seed in seeds])
    subject = f"clamped to {strength:g} times the highest"
    return [
        Claim(
            subject=subject,
            statement="answers to questions about other things name what the latent stands for",
            published=paper.STEERED,
            needed="share of answers: interval above those of another latent clamped alike and of a random "
            "direction",
            measured=str(names),
            beside={
                "another latent": str(stranger),
                "random direction": str(random),
                "untouched": str(untouched),
                "states what holds for it": str(shares(lambda own: own.clamped, "states")),
            },
            holds=names.low > max(stranger.high, random.high),
        ),
        Claim(
            subject=subject,
            statement="and these answers still hang together",
            published=paper.STEERED,
            needed=f"coherence, of 100: interval above {paper.COHERENT:g}",
            measured=str(whole),
            beside={
                "another latent": str(shares(lambda own: own.stranger, "coherence")),
                "random direction": str(shares(lambda own: own.random, "coherence")),
            },
            holds=whole.low > paper.COHERENT,
        ),
    ]


def _report_weaker(seeds: Sequence[ClampSeed]) -> Claim:
    """The multiple at which answers name it and hang together best."""
    strengths = [scores.strength for scores in seeds[0].names[0].clamped]

    def told(strength: float, field: str) -> SeedEstimate:
        return clamp_estimate(seeds, lambda own: own.clamped, strength, field)

    best = max(strengths, key=lambda s: told(s, "names").mean * told(s, "coherence").mean)
    return Claim(
        subject="clamped",
        statement="the multiple at which answers name it and hang together best",
        needed=None,
        measured=f"{best:g} times: {told(best, 'names')} name it, coherence {told(best, 'coherence')}",
        beside={f"{s:g} times": f"{told(s, 'names')}, coherence {told(s, 'coherence')}" for s in strengths},
        holds=None,
    )


def clamp_estimate(
    seeds: Sequence[ClampSeed],
    arm: Callable[[ClampedName], Sequence[ClampScores]],
    strength: float,
    field: str,
) -> SeedEstimate:
    """A mean over names, seed by seed; names without such a number are left out."""

    def values(seed: ClampSeed) -> list[float]:
        own = (scores for name in seed.names for scores in arm(name) if scores.strength == strength)
        return [value for scores in own if (value := getattr(scores, field)) is not None]

    return SeedEstimate.of([mean_or_zero(values(seed)) for seed in seeds])


def mean_or_zero(values: Sequence[float]) -> float:
    """The mean; 0 of nothing."""
    return sum(values) / len(values) if values else 0.0
