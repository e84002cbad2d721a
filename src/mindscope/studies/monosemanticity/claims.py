"""The verdicts; published numbers and bars are in `paper.py`.

All views of one transformer read the same rows, so that differences are taken seed by seed; intervals are
over seeds. Universality is of each transformer beside the next one, in a ring.
"""

from collections.abc import Callable, Sequence

from mindscope.studies.common import EXPLAINED, STRONGEST, Claim, SeedEstimate
from mindscope.studies.monosemanticity import paper
from mindscope.studies.monosemanticity.config import NEURONS, SHUFFLED, MonosemanticityConfig, say_size
from mindscope.studies.monosemanticity.measures import say_random
from mindscope.studies.monosemanticity.phenomena_claims import (
    claim_automata,
    claim_splits,
    claim_universality,
)
from mindscope.studies.monosemanticity.results import MonosemanticityStudy, SeedReading, ViewScores


def list_claims(study: MonosemanticityStudy, config: MonosemanticityConfig) -> list[Claim]:
    """All claims, in the order of the paper."""
    return [
        *_claim_loss(study, config),
        *_claim_rules(study, config),
        *_claim_concepts(study, config),
        *_claim_effects(study, config),
        *claim_splits(study, config),
        *claim_universality(study, config),
        *claim_automata(study),
    ]


def concept_means(readings: Sequence[SeedReading], view: str) -> list[float]:
    """Of each seed the F1 of a concept's best feature, a mean over concepts."""
    return [sum(own.of(view).concepts) / len(own.of(view).concepts) for own in readings]


def _claim_loss(study: MonosemanticityStudy, config: MonosemanticityConfig) -> list[Claim]:
    focus, sizes = say_size(config.focus), [say_size(size) for size in config.sizes]

    def recovered(view: str, *, beyond_mean: bool = False) -> list[float]:
        return [own.recovered(view, beyond_mean=beyond_mean) for own in study.effects]

    own, guess = SeedEstimate.of(recovered(focus)), SeedEstimate.of(recovered(say_random(config.focus)))
    grows = SeedEstimate.of_differences(recovered(sizes[-1]), recovered(sizes[0]))
    return [
        Claim(
            subject="loss",
            statement="features carry most of what the MLP does for the loss",
            published=paper.RECOVERED,
            needed=f"share recovered with {focus}: interval above {paper.RECOVERED_LEAST:g}, and above that "
            "of random directions, as many of which are active",
            measured=str(own),
            beside={
                "random directions": str(guess),
                "beyond each neuron's mean": str(SeedEstimate.of(recovered(focus, beyond_mean=True))),
                "nats that the MLP is worth": str(
                    SeedEstimate.of([own.zero - own.loss for own in study.effects])
                ),
            },
            holds=own.low > paper.RECOVERED_LEAST and own.low > guess.high,
        ),
        Claim(
            subject="loss",
            statement="larger dictionaries carry more of it",
            published=paper.RECOVERED,
            needed=f"{sizes[-1]} less {sizes[0]}: interval above 0",
            measured=str(grows),
            beside={size: str(SeedEstimate.of(recovered(size))) for size in sizes},
            holds=grows.low > 0,
        ),
    ]


def _claim_rules(study: MonosemanticityStudy, config: MonosemanticityConfig) -> list[Claim]:
    focus, guess = say_size(config.focus), say_random(config.focus)
    smallest = say_size(config.sizes[0])
    width, largest = config.model.width * config.model.expansion, config.sizes[-1]
    kinds = {
        view: SeedEstimate.of([own.of(view).rules.rules for own in study.readings])
        for view in (*map(say_size, config.sizes), NEURONS, say_random(largest))
    }
    many, chance = kinds[say_size(largest)], kinds[say_random(largest)]

    def claim(statement: str, what: str, score: Callable[[ViewScores], float], published: str) -> Claim:
        views = (focus, smallest, NEURONS, guess, SHUFFLED)
        values = {view: [score(own.of(view)) for own in study.readings] for view in views}
        more, chance = (
            SeedEstimate.of_differences(values[focus], values[NEURONS]),
            SeedEstimate.of_differences(values[focus], values[guess]),
        )
        return Claim(
            subject="reading",
            statement=statement,
            published=published,
            needed=f"{what}, {focus}, less neurons, and less random directions: intervals above 0",
            measured=f"{more}; less random directions {chance}",
            beside={view: str(SeedEstimate.of(own)) for view, own in values.items()},
            holds=more.low > 0 and chance.low > 0,
        )

    return [
        Claim(
            subject="reading",
            statement="there are more features than neurons",
            published=paper.MORE_FEATURES,
            needed=f"different rules of interpretable {say_size(largest)}: interval above {width}, the "
            "number of neurons, and above that of as many random directions",
            measured=str(many),
            beside={view: str(estimate) for view, estimate in kinds.items()},
            holds=many.low > width and many.low > chance.high,
        ),
        claim(
            "features are more often interpretable than neurons",
            f"share whose rule explains {EXPLAINED:.0%} of the {STRONGEST} strongest firings in other rows",
            lambda view: view.rules.interpretable,
            paper.INTERPRETABLE,
        ),
        claim(
            "their rules tell better when they fire",
            "balanced accuracy on other rows",
            lambda view: view.rules.detected,
            paper.INTERPRETABLE,
        ),
        _claim_shuffled(study, focus),
    ]


def _claim_shuffled(study: MonosemanticityStudy, focus: str) -> Claim:
    more = SeedEstimate.of_differences(
        *([own.of(view).rules.interpretable for own in study.readings] for view in (focus, SHUFFLED))
    )
    return Claim(
        subject="reading",
        statement="features of a transformer with shuffled weights are as easily read",
        needed=None,
        published=paper.SHUFFLED_READING,
        measured=f"interpretable share, {focus}, less those: {more}",
        holds=None,
    )


def _claim_concepts(study: MonosemanticityStudy, config: MonosemanticityConfig) -> list[Claim]:
    focus, smallest, guess = say_size(config.focus), say_size(config.sizes[0]), say_random(config.focus)
    tokens = sum(study.texts.tokens) / len(study.texts.tokens)
    means = {
        view: concept_means(study.readings, view)
        for view in (*map(say_size, config.sizes), NEURONS, guess, SHUFFLED)
    }
    beside = {view: str(SeedEstimate.of(own)) for view, own in means.items()} | {
        "best token": f"{tokens:.3g}"
    }
    equal = SeedEstimate.of_differences(means[smallest], means[NEURONS])
    controls = {
        view: SeedEstimate.of_differences(means[focus], means[view]) for view in (NEURONS, guess, SHUFFLED)
    }
    beyond = SeedEstimate.of([own - tokens for own in means[focus]])
    what = "F1 of a concept's best reading on texts that it was not chosen on, a mean over concepts"
    return [
        Claim(
            subject="concepts",
            statement="known concepts stand on features rather than on as many neurons",
            published=paper.INVISIBLE,
            needed=f"{what}, {smallest} less neurons: interval above 0",
            measured=str(equal),
            beside=beside,
            holds=equal.low > 0,
        ),
        Claim(
            subject="concepts",
            statement="and rather than on random directions or a shuffled transformer's features",
            published=paper.INVISIBLE,
            needed=f"{focus} less neurons, random directions, a shuffled transformer's: intervals above 0",
            measured="; ".join(f"less {view} {own}" for view, own in controls.items()),
            holds=all(own.low > 0 for own in controls.values()),
        ),
        Claim(
            subject="concepts",
            statement="they say more than the single token that stands for the concept best",
            needed=f"{focus} less the best token: interval above 0",
            measured=str(beyond),
            beside={"best token": f"{tokens:.3g}"},
            holds=beyond.low > 0,
        ),
    ]


def _claim_effects(study: MonosemanticityStudy, config: MonosemanticityConfig) -> list[Claim]:
    def claim(field: str, statement: str, what: str) -> Claim:
        own, other = (
            SeedEstimate.of([getattr(effects.ablation, name) for effects in study.effects])
            for name in (field, f"{field}_other")
        )
        cost = SeedEstimate.of([effects.ablation.cost for effects in study.effects])
        return Claim(
            subject="effects",
            statement=statement,
            published=paper.ABLATION,
            needed=f"{what}: interval above {paper.PREDICTED_LEAST:g}, and above that with another feature's "
            "logit weights",
            measured=str(own),
            beside={"another feature's": str(other), "loss rises where it is active": f"{cost} nats"},
            holds=own.low > paper.PREDICTED_LEAST and own.low > other.high,
        )

    focus = say_size(config.focus)
    logits = {
        view: [own.of(view).logits for own in study.readings]
        for view in (focus, NEURONS, say_random(config.focus), SHUFFLED)
    }
    more = {view: SeedEstimate.of_differences(logits[focus], logits[view]) for view in (NEURONS, SHUFFLED)}
    return [
        claim(
            "vocabulary",
            "taking a feature out moves the logits that its logit weights say",
            "correlation over the vocabulary",
        ),
        claim(
            "tokens",
            "and the log-probability of the token that follows",
            "correlation over tokens with the activation times the logit weight",
        ),
        Claim(
            subject="effects",
            statement="the tokens that logit weights favour follow where the feature is active",
            published=paper.LOGITS,
            needed="share of tokens told rightly, less neurons, and less a shuffled transformer's features: "
            "intervals above 0",
            measured="; ".join(f"less {view} {own}" for view, own in more.items()),
            beside={view: str(SeedEstimate.of(own)) for view, own in logits.items()},
            holds=all(own.low > 0 for own in more.values()),
        ),
    ]
