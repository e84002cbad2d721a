"""The verdicts on what the paper calls phenomenology: splitting, universality, automata."""

from collections.abc import Callable, Sequence

from mindscope.studies.common import Claim, SeedEstimate
from mindscope.studies.monosemanticity import paper
from mindscope.studies.monosemanticity.config import NEURONS, SHUFFLED, MonosemanticityConfig, say_size
from mindscope.studies.monosemanticity.measures import say_random
from mindscope.studies.monosemanticity.results import MonosemanticityStudy, SeedAutomata, SeedSplits


def claim_splits(study: MonosemanticityStudy, config: MonosemanticityConfig) -> list[Claim]:
    """That features split, and into what."""
    small, large, guess = say_size(config.sizes[0]), say_size(config.sizes[-1]), say_random(config.sizes[-1])

    def scores(field: str, other: str) -> list[float | None]:
        return [getattr(own.of(small, other), field) for own in study.splits]

    split, chance = scores("split", large), scores("split", guess)
    more = SeedEstimate.of_differences([own or 0.0 for own in split], [own or 0.0 for own in chance])
    return [
        Claim(
            subject="splitting",
            statement="features of a small dictionary split into several of a large one",
            published=paper.SPLITTING,
            needed=f"share of {small} linked with two or more of {large}, less that with random directions: "
            "interval above 0",
            measured=str(more),
            beside={
                "split": _estimate(split),
                "with random directions": _estimate(chance),
                "links of each": _estimate(scores("children", large)),
                **{
                    f"split, {pair.small} into {pair.large}": _estimate(
                        [own.of(pair.small, pair.large).split for own in study.splits]
                    )
                    for pair in study.splits[0].pairs
                    if (pair.small, pair.large) not in ((small, large), (small, guess))
                },
            },
            holds=more.low > 0,
        ),
        _claim_links(
            study.splits,
            "siblings",
            (small, large, guess),
            ("what one feature splits into points one way", paper.CLUSTERED),
            "cosine of directions linked with one feature, less that of all linked ones, less the same with "
            "random directions: interval above 0",
            rises=True,
        ),
        _claim_links(
            study.splits,
            "bits",
            (small, large, guess),
            ("and is more specific", "runs with more features tend to be more specific"),
            "bits of which token, less those of the feature that it is linked with, less the same with "
            "random directions: interval under 0",
            rises=False,
        ),
    ]


def _claim_links(
    splits: Sequence[SeedSplits],
    field: str,
    views: tuple[str, str, str],
    said: tuple[str, str],
    needed: str,
    *,
    rises: bool,
) -> Claim:
    """A claim about linked features; where random directions have no links, without them."""
    small, large, guess = views
    own, chance = ([getattr(one.of(small, view), field) for one in splits] for view in (large, guess))
    present = [value for value in own if value is not None]
    compared = [a - (b or 0.0) for a, b in zip(own, chance, strict=True) if a is not None]
    statement, published = said
    more = SeedEstimate.of(compared) if len(present) == len(own) else None
    return Claim(
        subject="splitting",
        statement=statement,
        published=published,
        needed=needed,
        measured="no links in some seeds" if more is None else str(more),
        beside={"linked features": _estimate(own), "random directions": _estimate(chance)},
        holds=more is not None and (more.low > 0 if rises else more.high < 0),
    )


def claim_universality(study: MonosemanticityStudy, config: MonosemanticityConfig) -> list[Claim]:
    """That other seeds have the same features."""
    focus, smallest, guess = say_size(config.focus), say_size(config.sizes[0]), say_random(config.focus)
    views = list(dict.fromkeys([focus, smallest, NEURONS, guess, SHUFFLED]))

    def medians(view: str, field: str = "nearest") -> list[float]:
        return [getattr(own.of(view), field) for own in study.universality]

    near = {view: medians(view) for view in views}
    beside = {view: str(SeedEstimate.of(own)) for view, own in near.items()}
    beside["other order of tokens"] = str(SeedEstimate.of(medians(focus, "permuted")))
    more, equal, chance = (
        SeedEstimate.of_differences(near[view], near[other])
        for view, other in ((focus, NEURONS), (smallest, NEURONS), (focus, guess))
    )
    closer, data = (
        SeedEstimate.of_differences(near[focus], medians(focus, "neurons")),
        SeedEstimate.of_differences(near[focus], near[SHUFFLED]),
    )
    what = "median correlation with the nearest of another seed"
    return [
        Claim(
            subject="universality",
            statement="transformers of other seeds have more similar features than neurons",
            published=paper.UNIVERSAL,
            needed=f"{what}, {focus} less neurons, {smallest} less as many neurons, and {focus} less random "
            "directions: intervals above 0",
            measured=f"{more}; as many {equal}; less random directions {chance}",
            beside=beside,
            holds=more.low > 0 and equal.low > 0 and chance.low > 0,
        ),
        Claim(
            subject="universality",
            statement="features are nearer to the other model's features than to their own model's neurons",
            published=paper.OWN_NEURONS,
            needed="median correlation with the nearest feature, less that with the nearest own neuron: "
            "interval above 0",
            measured=str(closer),
            beside={"own neurons": str(SeedEstimate.of(medians(focus, "neurons")))},
            holds=closer.low > 0,
        ),
        Claim(
            subject="universality",
            statement="this is the models' doing, and not the text's alone",
            needed="less that of transformers with shuffled weights: interval above 0",
            measured=str(data),
            beside={view: beside[view] for view in (focus, SHUFFLED)},
            holds=data.low > 0,
        ),
    ]


def claim_automata(study: MonosemanticityStudy) -> list[Claim]:
    """That features call up others."""

    def estimate(score: Callable[[SeedAutomata], float]) -> SeedEstimate:
        return SeedEstimate.of([score(own) for own in study.automata])

    effects, effects_other = estimate(lambda own: own.effects), estimate(lambda own: own.effects_other)
    lift = estimate(lambda own: own.lift - own.lift_other)
    return [
        Claim(
            subject="automata",
            statement="a feature makes those fire on the next token whose tokens its logit weights raise",
            published=paper.AUTOMATA,
            needed="correlation over features of the measured effect on the next token with what weights "
            f"say: interval above {paper.PREDICTED_LEAST:g}, and above that with another feature's",
            measured=str(effects),
            beside={"another feature's": str(effects_other)},
            holds=effects.low > paper.PREDICTED_LEAST and effects.low > effects_other.high,
        ),
        Claim(
            subject="automata",
            statement="in text the first of these follows the feature",
            published=paper.AUTOMATA,
            needed="log2 of how much more often than elsewhere it is active behind it, less that of another "
            "feature's first: interval above 0",
            measured=str(lift),
            beside={
                "its own": str(estimate(lambda own: own.lift)),
                "another feature's": str(estimate(lambda own: own.lift_other)),
                "features that call up themselves first": str(estimate(lambda own: own.loops)),
            },
            holds=lift.low > 0,
        ),
    ]


def _estimate(values: Sequence[float | None]) -> str:
    present = [value for value in values if value is not None]
    text = str(SeedEstimate.of(present)) if present else "no links"
    return text if len(present) == len(values) or not present else f"{text}; no links in some seeds"
