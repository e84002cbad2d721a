"""The verdicts on neighbourhoods and on splitting."""

from collections.abc import Callable, Sequence

from mindscope.studies.common import Claim, SeedEstimate
from mindscope.studies.scaling import paper
from mindscope.studies.scaling.results import NearScores, NearSeed

FEW = "too few latents fire in some seeds"


def list_near_claims(seeds: Sequence[NearSeed]) -> list[Claim]:
    """Nearest latents beside others, and children in larger dictionaries."""
    sizes = range(len(seeds[0].near))
    claims = [_claim_near(seeds, number) for number in sizes]
    if any(scores.kind is not None for seed in seeds for scores in seed.near):
        claims += [_claim_kind(seeds, number) for number in sizes]
    return [*claims, *(_claim_split(seeds, number) for number in range(1, len(seeds[0].split)))]


def gaps(seeds: Sequence[NearSeed], number: int, a: str, b: str) -> SeedEstimate | None:
    """One number less another of one size, seed by seed; None where a seed has not both."""
    pairs = [(getattr(seed.near[number], a), getattr(seed.near[number], b)) for seed in seeds]
    known = [x - y for x, y in pairs if x is not None and y is not None]
    return SeedEstimate.of(known) if len(known) == len(seeds) else None


def _told(seeds: Sequence[NearSeed], number: int, of: Callable[[NearScores], float | None]) -> str:
    known = [value for seed in seeds if (value := of(seed.near[number])) is not None]
    return str(SeedEstimate.of(known)) if known else "none"


def _claim_near(seeds: Sequence[NearSeed], number: int) -> Claim:
    gap = gaps(seeds, number, "near", "far")
    random = gaps(seeds, number, "random_near", "random_far")
    unlearnt = gaps(seeds, number, "tokens_near", "tokens_far")
    return Claim(
        subject=f"neighbourhoods, seen from {seeds[0].near[number].latents} latents",
        statement=f"the {paper.NEIGHBOURS} nearest latents of the largest dictionary fire on like tokens",
        published=paper.NEAR,
        needed="how alike tokens are, less that with all others: interval above 0, and above that of random "
        "dictionaries",
        measured=str(gap) if gap else FEW,
        beside={
            "random dictionaries": str(random) if random else FEW,
            "rows that are activations of tokens": str(unlearnt) if unlearnt else FEW,
            "nearest": _told(seeds, number, lambda own: own.near),
            "all others": _told(seeds, number, lambda own: own.far),
            "cosine of rows": _told(seeds, number, lambda own: own.cosine),
        },
        holds=gap is not None and gap.low > max(0.0, random.high if random else 0.0),
    )


def _claim_kind(seeds: Sequence[NearSeed], number: int) -> Claim:
    gap = gaps(seeds, number, "kind", "kind_far")
    return Claim(
        subject=f"neighbourhoods, seen from {seeds[0].near[number].latents} latents",
        statement="nearest latents that stand for something else stand for something of the same kind",
        published=paper.NEAR,
        needed="share of the same kind, less that of all other labelled latents: interval above 0",
        measured=str(gap) if gap else FEW,
        beside={
            "nearest": _told(seeds, number, lambda own: own.kind),
            "all others": _told(seeds, number, lambda own: own.kind_far),
            "labelled": _told(seeds, number, lambda own: float(own.labelled)),
        },
        holds=gap is not None and gap.low > 0,
    )


def _claim_split(seeds: Sequence[NearSeed], number: int) -> Claim:
    again, other = seeds[0].split[0], seeds[0].split[number]

    def estimate(n: int, field: str) -> SeedEstimate:
        return SeedEstimate.of([getattr(seed.split[n], field) for seed in seeds])

    more = SeedEstimate.of([seed.split[number].children - seed.split[0].children for seed in seeds])
    return Claim(
        subject=f"{again.latents} latents in {other.latents}",
        statement="a latent of a small dictionary splits into several of a larger",
        published=paper.SPLIT,
        needed="children of a latent: interval above 1, and above those in a dictionary of its own size",
        measured=str(estimate(number, "children")),
        beside={
            "own size, other first weights": str(estimate(0, "children")),
            "more than there": str(more),
            "with two or more": str(estimate(number, "several")),
            "own size, with two or more": str(estimate(0, "several")),
        },
        holds=estimate(number, "children").low > 1 and more.low > 0,
    )
