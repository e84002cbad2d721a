"""The verdicts on pairs of models; published numbers and bars are in `paper.py`."""

import math
from collections.abc import Callable, Sequence

from mindscope.studies.common import Claim, SeedEstimate
from mindscope.studies.crosscoders import paper
from mindscope.studies.crosscoders.config import L1, L1_SHARED, L1_TWICE, PAIRS, TOP, TOP_TWICE
from mindscope.studies.crosscoders.results import PairScores, PairSeed

NONE = "no such latents in some seeds"


def list_pair_claims(seeds: Sequence[PairSeed]) -> list[Claim]:
    """All claims on pairs."""
    return [*_claim_numbers(seeds), *_claim_exclusive(seeds), *_claim_artefacts(seeds)]


def pair_numbers(
    seeds: Sequence[PairSeed], name: str, of: Callable[[PairScores], float | None]
) -> list[float]:
    """One number of a crosscoder by seed; of the seeds that have it."""
    return [value for seed in seeds if (value := of(seed.of(name))) is not None]


def density_ratio(pair: PairScores) -> float | None:
    """How many times as dense exclusive latents are as shared ones, as a logarithm to the base of 10."""
    exclusive, shared = pair.density
    return math.log10(exclusive / shared) if exclusive and shared else None


def imbalance(pair: PairScores) -> float | None:
    """The difference between both models' numbers of exclusive latents, as a share of all of them."""
    base, tuned = pair.exclusive
    return abs(base - tuned) / (base + tuned) if base + tuned else None


def share_exclusive(pair: PairScores) -> float:
    """Exclusive latents as a share of those that are active."""
    return sum(pair.exclusive) / max(1, pair.alive)


def _claim_numbers(seeds: Sequence[PairSeed]) -> list[Claim]:
    def shares(name: str) -> list[float]:
        return pair_numbers(seeds, name, share_exclusive)

    claims = []
    for own, twice in ((L1, L1_TWICE), (TOP, TOP_TWICE)):
        more = SeedEstimate.of_differences(shares(own), shares(twice))
        claims.append(
            Claim(
                subject=f"exclusive latents, {own}",
                statement="two models have more of them than the same model twice",
                needed="share of active latents, less that of the same model twice: interval above 0",
                measured=str(more),
                beside={name: str(SeedEstimate.of(shares(name))) for name in PAIRS} if own == L1 else {},
                holds=more.low > 0,
            )
        )
    unequal = pair_numbers(seeds, L1, imbalance)
    counts = ", ".join("{} and {}".format(*seed.of(L1).exclusive) for seed in seeds)
    return [
        *claims,
        _claim(
            seeds,
            unequal,
            f"exclusive latents, {L1}",
            "both models have nearly as many",
            f"difference as a share of all of them: interval under {paper.UNEQUAL:g}",
            lambda estimate: estimate.high < paper.UNEQUAL,
            published=paper.SYMMETRIC,
            beside={
                "base and tuned": counts,
                "the same model twice": ", ".join(
                    "{} and {}".format(*seed.of(L1_TWICE).exclusive) for seed in seeds
                ),
            },
        ),
    ]


def _claim_exclusive(seeds: Sequence[PairSeed]) -> list[Claim]:
    subject = f"exclusive beside shared latents, {L1}"
    ratios = pair_numbers(seeds, L1, density_ratio)

    def above(estimate: SeedEstimate) -> bool:
        return estimate.low > 0

    # Directions of rarer latents are noisier, also where both models are one.
    cosines = [pair_numbers(seeds, name, lambda pair: pair.cosine) for name in (L1, L1_TWICE)]
    designated = pair_numbers(seeds, L1_SHARED, density_ratio)
    drop = [b - a for a, b in zip(ratios, designated, strict=False)]
    return [
        _claim(
            seeds,
            ratios,
            subject,
            "exclusive latents are active more often",
            "median share of tokens, over that of shared latents, log10: interval above 0",
            above,
            published=paper.DENSER,
            beside={
                name: _told(pair_numbers(seeds, name, density_ratio), seeds) for name in PAIRS if name != L1
            },
        ),
        _claim(
            seeds,
            pair_numbers(seeds, L1, lambda pair: pair.tokens),
            subject,
            "they are active on more things than shared latents that are as dense",
            "bits of which token, less those of the shared latent of nearest density: interval above 0",
            above,
            published=paper.POLYSEMANTIC,
            beside={TOP: _told(pair_numbers(seeds, TOP, lambda pair: pair.tokens), seeds)},
        ),
        _claim(
            seeds,
            pair_numbers(seeds, L1, lambda pair: pair.mirrored),
            subject,
            "those of one model mirror those of the other",
            "highest correlation with the base's, less that with as many shared ones of nearest density: "
            "interval above 0",
            above,
            published=paper.MIRRORED,
        ),
        _claim(
            seeds,
            [a - b for a, b in zip(*cosines, strict=True)] if len({*map(len, cosines)}) == 1 else [],
            subject,
            "shared latents of low cosine are of fewer tokens",
            "rank correlation of the rows' cosine with the bits that tokens take, less that with the same "
            "model twice: interval above 0",
            above,
            published=paper.SINGLE_TOKEN,
            beside={
                name: _told(pair_numbers(seeds, name, lambda pair: pair.cosine), seeds) for name in PAIRS
            },
        ),
        _claim(
            seeds,
            drop if len(ratios) == len(designated) == len(seeds) else [],
            subject,
            "designated shared latents take the density away",
            "log10 of the ratio of densities, less that without them: interval under 0",
            lambda estimate: estimate.high < 0,
            published=paper.DESIGNATED,
            beside={L1_SHARED: _told(designated, seeds)},
        ),
    ]


def _claim_artefacts(seeds: Sequence[PairSeed]) -> list[Claim]:
    def shares(name: str, field: str) -> list[float]:
        return pair_numbers(seeds, name, lambda pair: getattr(pair, field) / max(1, pair.alive))

    def false_share(pair: PairScores) -> float | None:
        return 1 - pair.real / pair.claimed if pair.claimed else None

    more = SeedEstimate.of_differences(shares(L1, "claimed"), shares(TOP, "claimed"))
    false, false_top = (pair_numbers(seeds, name, false_share) for name in (L1, TOP))
    whole = len(false) == len(false_top) == len(seeds)
    return [
        Claim(
            subject="artefacts",
            statement="L1 calls more latents the tuned model's than BatchTopK",
            published=paper.ARTEFACTS,
            needed="share of active latents that norms claim, less BatchTopK's: interval above 0",
            measured=str(more),
            beside={name: ", ".join(_count(seed.of(name)) for seed in seeds) for name in PAIRS},
            holds=more.low > 0,
        ),
        _claim(
            seeds,
            [a - b for a, b in zip(false, false_top, strict=True)] if whole else [],
            "artefacts",
            "more of them are none",
            "share of claimed latents that latent scaling finds in the base, less BatchTopK's: interval "
            "above 0",
            lambda estimate: estimate.low > 0,
            published=paper.REAL,
            beside={L1: _told(false, seeds), TOP: _told(false_top, seeds)},
        ),
    ]


def _count(pair: PairScores) -> str:
    return f"{pair.claimed} claimed ({pair.shrunk} shrunk, {pair.decoupled} decoupled, {pair.real} real)"


def _claim(
    seeds: Sequence[PairSeed],
    values: Sequence[float],
    subject: str,
    statement: str,
    needed: str,
    holds: Callable[[SeedEstimate], bool],
    *,
    published: str,
    beside: dict[str, str] | None = None,
) -> Claim:
    """Of values by seed; where some seed has none the claim is not shown."""
    whole = len(values) == len(seeds)
    return Claim(
        subject=subject,
        statement=statement,
        published=published,
        needed=needed,
        measured=_told(values, seeds),
        beside=beside or {},
        holds=whole and holds(SeedEstimate.of(values)),
    )


def _told(values: Sequence[float], seeds: Sequence[PairSeed]) -> str:
    if not values:
        return NONE
    estimate = str(SeedEstimate.of(values))
    return estimate if len(values) == len(seeds) else f"{estimate}; {NONE}"
