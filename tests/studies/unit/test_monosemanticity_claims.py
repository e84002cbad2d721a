"""The verdicts of the study of Towards Monosemanticity on numbers that are made up."""

from mindscope.studies.common import ConceptTexts, RuleScores
from mindscope.studies.monosemanticity import MonosemanticityConfig, MonosemanticityStudy
from mindscope.studies.monosemanticity import config as names
from mindscope.studies.monosemanticity.claims import list_claims
from mindscope.studies.monosemanticity.measures.views import say_random
from mindscope.studies.monosemanticity.results import (
    AblationScores,
    LinkScores,
    SeedAutomata,
    SeedEffects,
    SeedReading,
    SeedSplits,
    SeedUniversality,
    TrainedDictionaries,
    TrainedTransformers,
    UniversalScores,
    ViewScores,
)

CONFIG = MonosemanticityConfig()
SMALL, FOCUS, LARGE = (names.say_size(size) for size in CONFIG.sizes)
GUESS, WIDE_GUESS = say_random(CONFIG.focus), say_random(CONFIG.sizes[-1])


def study_with(good: float, bad: float) -> MonosemanticityStudy:
    """Features score `good`, neurons and controls `bad`, with little spread over three seeds."""

    def view(name: str, value: float, s: float) -> ViewScores:
        rules = RuleScores(
            interpretable=value + s, explained=value + s, detected=value + s, rules=round(400 * value)
        )
        return ViewScores(
            view=name, features=600, often=500, rules=rules, logits=value + s, concepts=(value + s, value)
        )

    seeds = (0.0, 0.005, 0.01)
    own = dict.fromkeys((SMALL, FOCUS, LARGE), good)
    own |= dict.fromkeys((names.NEURONS, GUESS, WIDE_GUESS, names.SHUFFLED), bad)
    ablation = AblationScores(
        features=9, vocabulary=good, vocabulary_other=bad, tokens=good, tokens_other=bad, cost=0.1
    )
    near = {"deciles": (0.5,) * 11}
    return MonosemanticityStudy(
        transformers=TrainedTransformers(loss=(2.0,) * 3, shuffled=(5.0,) * 3),
        dictionaries=TrainedDictionaries(fits=()),
        texts=ConceptTexts(concepts=("a", "b"), tokens=(0.4, 0.4), rows=(9, 9), too_long=0),
        readings=tuple(
            SeedReading(views=tuple(view(name, value, s) for name, value in own.items()), examples=())
            for s in seeds
        ),
        effects=tuple(
            SeedEffects(
                loss=2.0,
                zero=3.0,
                mean=2.6,
                spliced={
                    SMALL: 3.0 - 0.9 * good - s, FOCUS: 3.0 - good - s, LARGE: 3.0 - 1.05 * good - s,
                    GUESS: 3.0 - bad, WIDE_GUESS: 3.0 - bad,
                },
                ablation=ablation,
            )
            for s in seeds
        ),
        splits=tuple(
            SeedSplits(
                pairs=tuple(
                    LinkScores(
                        small=SMALL, large=large, linked=value, split=value, children=2, siblings=value + s,
                        bits=-value - s,
                    )
                    for large, value in ((LARGE, good), (WIDE_GUESS, bad))
                ),
                families=(),
            )
            for s in seeds
        ),
        universality=tuple(
            SeedUniversality(
                views=tuple(
                    UniversalScores(view=name, nearest=value + s, permuted=0.1, neurons=bad, **near)
                    for name, value in own.items()
                )
            )
            for s in seeds
        ),
        automata=tuple(
            SeedAutomata(
                callers=9, effects=good + s, effects_other=bad, lift=good + s, lift_other=bad, loops=0.1,
                automata=(),
            )
            for s in seeds
        ),
    )  # fmt: skip


def test_verdicts_turn_with_the_numbers():
    published = list_claims(study_with(0.9, 0.2), CONFIG)
    assert [claim.holds for claim in published if claim.holds is not None] == [True] * (len(published) - 1)
    contrary = list_claims(study_with(0.2, 0.9), CONFIG)
    # the loss falls with size whatever the features are
    assert [claim.statement for claim in contrary if claim.holds] == ["larger dictionaries carry more of it"]
    alike = list_claims(study_with(0.45, 0.45), CONFIG)
    assert {claim.statement for claim in alike if claim.holds} == {
        "larger dictionaries carry more of it",
        "they say more than the single token that stands for the concept best",
    }
