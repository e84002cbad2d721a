"""The verdicts on layers; published numbers and bars are in `paper.py`.

Coders of a seed learn from the same tokens in the same order, so differences are taken seed by seed.
"""

from collections.abc import Callable, Sequence

from mindscope.studies.common import Claim, CoderScores, SeedEstimate
from mindscope.studies.crosscoders import paper
from mindscope.studies.crosscoders.config import (
    ACAUSAL,
    CAUSAL,
    RANDOM_ACAUSAL,
    RANDOM_SINGLE,
    SHUFFLED,
    SINGLE,
    TOP_ACAUSAL,
    TOP_SINGLE,
    WIDE,
)
from mindscope.studies.crosscoders.pair_claims import list_pair_claims
from mindscope.studies.crosscoders.results import (
    CrosscodersStudy,
    DepthScores,
    LayerCoder,
    LayerSeed,
)


def list_claims(study: CrosscodersStudy) -> list[Claim]:
    """All claims, those on layers first."""
    seeds = study.layers
    return [
        *_claim_loss(seeds),
        _claim_explained(seeds),
        *_claim_depth(seeds),
        *_claim_concepts(seeds),
        *list_pair_claims(study.pairs),
    ]


def numbers_of(seeds: Sequence[LayerSeed], name: str, of: Callable[[LayerCoder], float]) -> list[float]:
    """One number of a coder, by seed."""
    return [of(seed.of(name)) for seed in seeds]


def scores_of(coder: LayerCoder) -> CoderScores:
    """Its scores.

    Raises:
        ValueError: it was not scored.
    """
    if coder.scores is None:
        raise ValueError(f"{coder.name} was not scored")
    return coder.scores


def depth_of(coder: LayerCoder) -> DepthScores:
    """What it writes through depth.

    Raises:
        ValueError: that was not measured.
    """
    if coder.depth is None:
        raise ValueError(f"{coder.name} was not followed through depth")
    return coder.depth


def _claim_loss(seeds: Sequence[LayerSeed]) -> list[Claim]:
    def losses(name: str) -> list[float]:
        return numbers_of(seeds, name, lambda coder: scores_of(coder).loss)

    def errors(name: str) -> list[float]:
        return numbers_of(seeds, name, lambda coder: scores_of(coder).error)

    def active(name: str) -> list[float]:
        return numbers_of(seeds, name, lambda coder: scores_of(coder).active)

    def ratio(a: Sequence[float], b: Sequence[float]) -> SeedEstimate:
        return SeedEstimate.of([x / y for x, y in zip(a, b, strict=True)])

    subject = "loss and sparsity, L1"
    same, null = ratio(losses(ACAUSAL), losses(SINGLE)), ratio(losses(SHUFFLED), losses(SINGLE))
    cost = ratio(losses(ACAUSAL), losses(WIDE))
    fewer, worse = ratio(active(WIDE), active(ACAUSAL)), ratio(errors(ACAUSAL), errors(WIDE))
    behind, ahead = ratio(losses(CAUSAL), losses(ACAUSAL)), ratio(losses(CAUSAL), losses(SINGLE))
    beside = {name: str(SeedEstimate.of(losses(name))) for name in (ACAUSAL, SINGLE, CAUSAL, WIDE)}
    return [
        Claim(
            subject=subject,
            statement="with as many latents a crosscoder has a lower loss than SAEs of the single layers",
            published=paper.LESS_LOSS,
            needed="loss over that of the SAEs: interval under 1, and under that with shuffled layers",
            measured=str(same),
            beside={"layers shuffled": str(null), **beside},
            holds=same.high < min(1.0, null.low),
        ),
        Claim(
            subject=subject,
            statement="with as much arithmetic it has a higher one",
            published=paper.MORE_ARITHMETIC,
            needed="loss over that of SAEs with as many latents each: interval above 1",
            measured=str(cost),
            holds=cost.low > 1,
        ),
        Claim(
            subject=subject,
            statement="it needs far fewer active latents for all layers together, with no higher error",
            published=paper.FEWER_ACTIVE,
            needed="active latents of as much arithmetic's SAEs over its own: interval above "
            f"{paper.FEWER:g}, and its error over theirs: interval under 1",
            measured=f"{fewer} times fewer, error {worse}",
            beside={
                "active": str(SeedEstimate.of(active(ACAUSAL))),
                "of SAEs with as much arithmetic": str(SeedEstimate.of(active(WIDE))),
                "of SAEs with as many latents": str(SeedEstimate.of(active(SINGLE))),
            },
            holds=fewer.low > paper.FEWER and worse.high < 1,
        ),
        Claim(
            subject="weakly causal",
            statement="its loss lies between that of a crosscoder and that of SAEs, with as many latents",
            published=paper.BETWEEN,
            needed="over the crosscoder's: interval above 1; over the SAEs': interval under 1",
            measured=f"{behind}; {ahead}",
            holds=behind.low > 1 and ahead.high < 1,
        ),
    ]


def _claim_explained(seeds: Sequence[LayerSeed]) -> Claim:
    def explained(name: str) -> list[float]:
        return numbers_of(seeds, name, lambda coder: _mean(scores_of(coder).explained))

    gain = SeedEstimate.of_differences(explained(TOP_ACAUSAL), explained(TOP_SINGLE))
    return Claim(
        subject="explained variance, BatchTopK",
        statement="with as many latents, and as many active in each layer, a crosscoder explains more",
        published=paper.LESS_LOSS,
        needed="explained variance, a mean over layers, less that of SAEs: interval above 0",
        measured=str(gain),
        beside={
            name: str(SeedEstimate.of(explained(name)))
            for name in (TOP_ACAUSAL, TOP_SINGLE, ACAUSAL, CAUSAL, SINGLE, WIDE, SHUFFLED)
        },
        holds=gain.low > 0,
    )


def _claim_depth(seeds: Sequence[LayerSeed]) -> list[Claim]:
    def depths(name: str, field: str) -> list[float]:
        return numbers_of(seeds, name, lambda coder: getattr(depth_of(coder), field))

    def cosines(name: str) -> list[float]:
        own = (depth_of(seed.of(name)).cosine for seed in seeds)
        return [cosine for cosine in own if cosine is not None]

    subject = "through depth"
    single, null = (SeedEstimate.of(depths(name, "single")) for name in (ACAUSAL, SHUFFLED))
    spanning, random = (SeedEstimate.of(depths(name, "spanning")) for name in (ACAUSAL, SHUFFLED))
    kept, chance = cosines(ACAUSAL), cosines(SHUFFLED)
    steady = SeedEstimate.of(kept) if len(kept) == len(seeds) else None
    by_chance = SeedEstimate.of(chance) if chance else None
    return [
        Claim(
            subject=subject,
            statement="most latents are not of a single layer",
            published=paper.DEPTH,
            needed=f"share with {paper.SINGLE_SHARE:.0%} of their norm in one layer: interval under 50%, and "
            "under that with shuffled layers",
            measured=str(single),
            beside={
                "layers shuffled": str(null),
                TOP_ACAUSAL: str(SeedEstimate.of(depths(TOP_ACAUSAL, "single"))),
            },
            holds=single.high < min(0.5, null.low),
        ),
        Claim(
            subject=subject,
            statement="many have a large norm in most layers",
            published=paper.DEPTH,
            needed=f"share with {paper.LARGE:.0%} of their largest norm in more than half of the layers: "
            "interval above 25%, and above that with shuffled layers",
            measured=str(spanning),
            beside={"layers shuffled": str(random)},
            holds=spanning.low > max(0.25, random.high),
        ),
        Claim(
            subject=subject,
            statement="their directions are far more stable than chance",
            published=paper.DRIFT,
            needed="cosine with the layer where the norm is largest, over others where it is large: interval "
            "above that with shuffled layers",
            measured=str(steady) if steady else "no latent is large in two layers in some seeds",
            beside={"layers shuffled": str(by_chance) if by_chance else "none is large in two layers"},
            holds=steady is not None and steady.low > (by_chance.high if by_chance else 0.0),
        ),
        Claim(
            subject=subject,
            statement="but they drift",
            published=paper.DRIFT,
            needed=f"the same cosine: interval under {paper.DRIFTS:g}",
            measured=str(steady) if steady else "no latent is large in two layers in some seeds",
            holds=steady is not None and steady.high < paper.DRIFTS,
        ),
    ]


def _claim_concepts(seeds: Sequence[LayerSeed]) -> list[Claim]:
    def f1s(name: str) -> list[float]:
        return numbers_of(seeds, name, lambda coder: coder.concepts.f1)

    subject = "known concepts"
    tokens = [seed.tokens for seed in seeds]
    beside = {
        coder.name: str(SeedEstimate.of_differences(f1s(coder.name), tokens)) for coder in seeds[0].coders
    } | {"best token, F1": str(SeedEstimate.of(tokens))}
    claims = []
    for kind, own, single in (("L1", ACAUSAL, SINGLE), ("BatchTopK", TOP_ACAUSAL, TOP_SINGLE)):
        beyond, alike = (
            SeedEstimate.of_differences(f1s(own), tokens),
            SeedEstimate.of_differences(f1s(own), f1s(single)),
        )
        random = SeedEstimate.of(
            [max(pair) for pair in zip(f1s(RANDOM_ACAUSAL), f1s(RANDOM_SINGLE), strict=True)]
        )
        told = SeedEstimate.of(f1s(own))
        claims += [
            Claim(
                subject=f"{subject}, {kind}",
                statement="single latents of a crosscoder stand for concepts beyond the best token",
                needed="F1 of a concept's best latent less that of its best token, a mean over concepts: "
                "interval above 0, and the F1 above that of random directions",
                measured=str(beyond),
                beside={"F1": str(told), "random directions, F1": str(random)}
                | (beside if kind == "L1" else {}),
                holds=beyond.low > 0 and told.low > random.high,
            ),
            Claim(
                subject=f"{subject}, {kind}",
                statement="as well as latents of as many SAEs' latents do",
                published=paper.ALIKE,
                needed=f"F1 less that of the SAEs: interval above -{paper.WORSE_CONCEPTS:g}",
                measured=str(alike),
                holds=alike.low > -paper.WORSE_CONCEPTS,
            ),
        ]
    return claims


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
