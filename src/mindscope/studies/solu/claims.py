"""The verdicts; published numbers and bars are in `paper.py`.

Kinds start from the same weights and read the same rows, so differences are taken seed by seed, and their
intervals are over seeds.
"""

from collections.abc import Callable, Sequence

from mindscope.studies.common import EXPLAINED, STRONGEST, Claim, RuleScores, SeedEstimate
from mindscope.studies.solu import paper
from mindscope.studies.solu.config import (
    GELU,
    GELU_NORM,
    ORGANISM,
    RELU,
    SOLU,
    SOLU_NORM,
    TEXTS,
)
from mindscope.studies.solu.results import KindScores, SoluStudy


def list_claims(study: SoluStudy) -> list[Claim]:
    """All claims, text by text."""
    claims = []
    for text in TEXTS:
        kinds = {scores.kind: scores for scores in study.kinds if scores.text == text}
        claims += [
            *_claim_loss(text, kinds),
            *_claim_neurons(text, kinds),
            *_claim_small(text, kinds),
        ]
        if text == ORGANISM:
            claims += _claim_concepts(text, kinds)
    return claims


def differences(a: Sequence[float], b: Sequence[float]) -> list[float]:
    """Seed by seed."""
    return [x - y for x, y in zip(a, b, strict=True)]


def scores_of(kind: KindScores, field: str, *, rotated: bool = False) -> list[float]:
    """One score of all seeds."""
    scores: Sequence[RuleScores] = kind.rotated if rotated else kind.own
    return [getattr(own, field) for own in scores]


def share_moved(kind: Sequence[float], other: Sequence[float]) -> float:
    """The share of concepts whose F1 in the other falls short by enough to be called lost there."""
    lost = [own - its >= paper.MOVED for own, its in zip(kind, other, strict=True)]
    return sum(lost) / len(lost)


def _claim_loss(text: str, kinds: dict[str, KindScores]) -> list[Claim]:
    def worse(name: str) -> SeedEstimate:
        return SeedEstimate.of(differences(kinds[name].loss, kinds[GELU].loss))

    near, alone = worse(SOLU_NORM), worse(SOLU)
    return [
        Claim(
            subject=f"loss, {text}",
            statement="SoLU with a LayerNorm predicts as well as GeLU",
            published=paper.NEAR_LOSS,
            needed=f"held-out loss less GeLU's: interval under {paper.NEAR:g} nats",
            measured=f"{near} nats",
            beside={
                f"loss of {GELU}": str(SeedEstimate.of(kinds[GELU].loss)),
                **{name: f"{worse(name)} more" for name in (RELU, GELU_NORM)},
            },
            holds=near.high < paper.NEAR,
        ),
        Claim(
            subject=f"loss, {text}",
            statement="SoLU without it predicts worse",
            published=paper.WORSE_LOSS,
            needed="held-out loss less GeLU's: interval above 0",
            measured=f"{alone} nats",
            beside={GELU_NORM: f"{worse(GELU_NORM)} more"},
            holds=alone.low > 0,
        ),
    ]


def _claim_neurons(text: str, kinds: dict[str, KindScores]) -> list[Claim]:
    def claim(field: str, statement: str, what: str, published: str | None) -> Claim:
        more = SeedEstimate.of(differences(scores_of(kinds[SOLU_NORM], field), scores_of(kinds[GELU], field)))
        return Claim(
            subject=f"neurons, {text}",
            statement=statement,
            published=published,
            needed=f"{what}, SoLU + LayerNorm less GeLU: interval above 0",
            measured=str(more),
            beside=_beside(kinds, lambda kind: scores_of(kind, field)),
            holds=more.low > 0,
        )

    own, turned = (
        SeedEstimate.of(scores_of(kinds[SOLU_NORM], "interpretable", rotated=side)) for side in (False, True)
    )
    rotated = SeedEstimate.of(
        differences(
            scores_of(kinds[SOLU_NORM], "interpretable"),
            scores_of(kinds[SOLU_NORM], "interpretable", rotated=True),
        )
    )
    return [
        claim(
            "interpretable",
            "more neurons follow one rule",
            f"share whose rule explains {EXPLAINED:.0%} of the {STRONGEST} strongest firings in "
            "rows it was not read from",
            paper.INTERPRETABLE,
        ),
        Claim(
            subject=f"neurons, {text}",
            statement="it is the neurons' doing: a rotation of them does not show it",
            needed="the same share less that of a random rotation, SoLU + LayerNorm: interval above 0",
            measured=f"{rotated}: {own} beside {turned}",
            beside={
                f"{GELU}, rotated": str(
                    SeedEstimate.of(scores_of(kinds[GELU], "interpretable", rotated=True))
                )
            },
            holds=rotated.low > 0,
        ),
        claim(
            "detected",
            "the rule tells better when the neuron fires",
            "balanced accuracy on rows it was not read from",
            None,
        ),
    ]


def _claim_small(text: str, kinds: dict[str, KindScores]) -> list[Claim]:
    def rise(name: str) -> SeedEstimate:
        small = kinds[name].small
        return SeedEstimate.of(differences(small.behind, small.before))

    own = kinds[SOLU_NORM]
    costs = SeedEstimate.of(differences(own.small.cost, kinds[SOLU].small.cost))
    enlarged = rise(SOLU_NORM)
    return [
        Claim(
            subject=f"small activations, {text}",
            statement="LayerNorm enlarges what small activations contribute",
            published=paper.SMUGGLED,
            needed=f"share of the MLP's output from activations under {paper.SMALL:.0%} of their neuron's "
            "highest, behind LayerNorm less before: interval above 0",
            measured=str(enlarged),
            beside={
                "before": str(SeedEstimate.of(own.small.before)),
                "behind": str(SeedEstimate.of(own.small.behind)),
                "of all activations": str(SeedEstimate.of(own.small.count)),
                GELU_NORM: str(rise(GELU_NORM)),
                SOLU: str(SeedEstimate.of(kinds[SOLU].small.before)),
                GELU: str(SeedEstimate.of(kinds[GELU].small.before)),
            },
            holds=enlarged.low > 0,
        ),
        Claim(
            subject=f"small activations, {text}",
            statement="with LayerNorm the loss needs them more than without",
            published="essential to the loss, it is suspected",
            needed="rise of the loss without small activations, SoLU + LayerNorm less SoLU: interval above 0",
            measured=f"{costs} nats",
            beside=_beside(kinds, lambda kind: kind.small.cost, (SOLU_NORM, SOLU, GELU, GELU_NORM)),
            holds=costs.low > 0,
        ),
        _claim_slight(text, own),
    ]


def _claim_slight(text: str, own: KindScores) -> Claim:
    pairs = [
        (level.before[0], level.behind[0])
        for level in own.levels
        if level.before[0] is not None and level.behind[0] is not None
    ]
    needed = (
        f"share of firings at {paper.LEVELS[0]:.0%} to {paper.LEVELS[1]:.0%} of the highest that the rule "
        "explains, behind LayerNorm less before: interval under 0"
    )
    statement = "behind LayerNorm slight firings of interpretable neurons follow their rule less"
    if len(pairs) < len(own.levels):
        return Claim(
            subject=f"small activations, {text}",
            statement=statement,
            published=paper.SLIGHT,
            needed=needed,
            measured=f"interpretable neurons fire so in {len(pairs)} of {len(own.levels)} seeds",
            holds=False,
        )
    drop = SeedEstimate.of([behind - before for before, behind in pairs])
    strong = [level.before[-1] for level in own.levels if level.before[-1] is not None]
    return Claim(
        subject=f"small activations, {text}",
        statement=statement,
        published=paper.SLIGHT,
        needed=needed,
        measured=str(drop),
        beside={
            "before": str(SeedEstimate.of([before for before, _ in pairs])),
            "behind": str(SeedEstimate.of([behind for _, behind in pairs])),
        }
        | ({"strong firings, before": str(SeedEstimate.of(strong))} if strong else {}),
        holds=drop.high < 0,
    )


def _claim_concepts(text: str, kinds: dict[str, KindScores]) -> list[Claim]:
    own, gelu = kinds[SOLU_NORM].concepts, kinds[GELU].concepts
    if own is None or gelu is None:
        raise ValueError("the organism's concepts were not measured")
    known = {name: kind.concepts for name, kind in kinds.items() if kind.concepts is not None}

    def standing(field: str, statement: str, what: str) -> Claim:
        more = SeedEstimate.of(differences(getattr(own, field), getattr(gelu, field)))
        beside = {name: str(SeedEstimate.of(getattr(part, field))) for name, part in known.items()}
        needed, holds = f"{what}, SoLU + LayerNorm less GeLU: interval above 0", more.low > 0
        if field == "standing":
            # As many in any other basis would say nothing of neurons.
            rotated = SeedEstimate.of(differences(own.standing, own.standing_rotated))
            needed, holds = f"{needed}, and less its own rotation", holds and rotated.low > 0
            beside |= {"less its own rotation": str(rotated)} | {
                f"{name}, rotated": str(SeedEstimate.of(known[name].standing_rotated))
                for name in (SOLU_NORM, GELU)
            }
        return Claim(
            subject=f"concepts, {text}",
            statement=statement,
            needed=needed,
            measured=str(more),
            beside=beside,
            holds=holds,
        )

    ours, theirs = (list(zip(*part.best, strict=True)) for part in (own, gelu))
    # A GeLU model beside the next one: what another seed alone moves.
    null = [share_moved(a, b) for a, b in zip(theirs, [*theirs[1:], theirs[0]], strict=True)]
    lost = [share_moved(b, a) for a, b in zip(ours, theirs, strict=True)]
    gained = [share_moved(a, b) for a, b in zip(ours, theirs, strict=True)]

    def moved(shares: list[float], statement: str, side: str) -> Claim:
        more = SeedEstimate.of(differences(shares, null))
        return Claim(
            subject=f"concepts, {text}",
            statement=statement,
            published=paper.HIDDEN,
            needed=f"share of concepts whose best neuron has an F1 {side} by {paper.MOVED:g} or more, less "
            "that between two GeLU models: interval above 0",
            measured=str(more),
            beside={
                "share": str(SeedEstimate.of(shares)),
                "two GeLU models": str(SeedEstimate.of(null)),
                "mean F1 of a concept's best neuron": f"{_mean(own.best)} beside {_mean(gelu.best)}",
                "of a linear reader": f"{_mean(own.readable)} beside {_mean(gelu.readable)}",
            },
            holds=more.low > 0,
        )

    return [
        standing(
            "standing",
            "more neurons have a known concept",
            f"share with an F1 of {paper.STANDS:g} on held-out texts",
        ),
        standing(
            "beyond_tokens",
            "more neurons have one beyond single tokens",
            f"share with an F1 of {paper.STANDS:g} that beats the concept's best token",
        ),
        moved(gained, "some concepts are easier to find than with GeLU", "higher"),
        moved(lost, "others are hidden", "lower"),
    ]


def _mean(rows: Sequence[Sequence[float]]) -> str:
    return f"{sum(map(sum, rows)) / sum(map(len, rows)):.3f}"


def _beside(
    kinds: dict[str, KindScores],
    values: Callable[[KindScores], Sequence[float]],
    names: Sequence[str] = (GELU, RELU, SOLU, SOLU_NORM, GELU_NORM),
) -> dict[str, str]:
    return {name: str(SeedEstimate.of(values(kinds[name]))) for name in names}
