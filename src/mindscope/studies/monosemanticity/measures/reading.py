"""How easily neurons and features are read: rules for their firings, known concepts, favoured tokens.

Rules and their blind tests are those of `common/firing_rules.py`, concepts those of
`common/concept_bench.py`. What a feature's logit weights favour is tested as the paper tests it, with
counting in the place of a language model: of the read half it is known which tokens follow the feature more
often than they come elsewhere, which says nothing of its weights; of 50 tokens that stand 10th to 60th in its
logit weights, and 50 drawn at random, the share is counted of which this says rightly whether they are
favoured. By chance it is a half.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mindscope.studies.common import (
    ConceptBench,
    FiringRules,
    PieceProgress,
    StrongFirings,
    best_f1s,
    detect_firings,
    explain_firings,
    find_rules,
    match_rules,
    pool_texts,
    say_rule,
    score_firings,
)
from mindscope.studies.monosemanticity.measures.views import ReadingView, SeedViews, find_often
from mindscope.studies.monosemanticity.results import FeatureExample, SeedReading, ViewScores

SKIPPED, ASKED = 10, 50
"""Of the tokens favoured most the first ten are left out: in the paper they gave the explanation."""
EXAMPLES = 12
"""Features that are shown."""
FAVOURED = 4
"""Tokens that are shown of each."""


@torch.no_grad()
def measure_reading(
    seed: SeedViews,
    focus: str,
    concepts: ConceptBench,
    words: Sequence[str],
    progress: PieceProgress,
    unasked: Sequence[str] = (),
) -> SeedReading:
    """Score all views of a transformer.

    Args:
        seed: the views.
        focus: names the one whose features are shown.
        concepts: texts with known concepts.
        words: of the vocabulary.
        progress: is told of views.
        unasked: names views whose concepts are not asked for.
    """
    scores: list[ViewScores] = []
    examples: tuple[FeatureExample, ...] = ()
    for done, view in enumerate(seed.views.values()):
        halves = view.read(seed.read)[:, :-1], view.read(seed.test)[:, :-1]
        often = find_often(*halves)
        read, test = (half[..., often] for half in halves)
        rules = find_rules(find_strongest(seed.read, read), seed.vocabulary)
        explained = explain_firings(rules, find_strongest(seed.test, test), seed.vocabulary)
        detected = detect_firings(match_rules(rules, seed.test, seed.vocabulary), test)
        weights = view.logit_weights()[often]
        told = tell_favoured(count_next(seed.read, read > 0, seed.vocabulary), weights)
        scores.append(
            ViewScores(
                view=view.name,
                features=len(often),
                often=int(often.sum()),
                rules=score_firings(rules, explained, detected),
                logits=round(float(told.mean()), 5),
                concepts=_score_concepts(concepts, view) if view.name not in unasked else (),
            )
        )
        if view.name == focus:
            examples = _show_features(often, rules, explained, detected, weights, words)
        progress(done + 1, len(seed.views))
    return SeedReading(views=tuple(scores), examples=examples)


def _score_concepts(concepts: ConceptBench, view: ReadingView) -> tuple[float, ...]:
    """Of each concept the F1 of the best feature of a view."""
    halves = [pool_texts(half, view.read) for half in (concepts.train, concepts.test)]
    return tuple(best_f1s(*concepts.score_readings(*halves)))


def find_strongest(
    ids: Int[Tensor, "rows tokens"], values: Float[Tensor, "rows places features"]
) -> StrongFirings:
    """Where in each row each feature is highest; `places` are all tokens but the last."""
    highest = values.max(1)
    return StrongFirings(ids, highest.values, highest.indices)


def find_view_rules(seed: SeedViews, view: ReadingView) -> FiringRules:
    """The rules of all features of a view."""
    return find_rules(find_strongest(seed.read, view.read(seed.read)[:, :-1]), seed.vocabulary)


def count_next(
    ids: Int[Tensor, "rows tokens"], active: Bool[Tensor, "rows places features"], vocabulary: int
) -> Float[Tensor, "features vocabulary"]:
    """How much more often than elsewhere each token follows where a feature is active; 1 is as often."""
    following, n_features = ids[:, 1:].flatten(), active.shape[2]
    places, features = active.flatten(0, 1).nonzero(as_tuple=True)
    pairs = torch.bincount(features * vocabulary + following[places], minlength=n_features * vocabulary)
    counts = pairs.view(n_features, vocabulary).float()
    common = torch.bincount(following, minlength=vocabulary) / len(following)
    return counts / counts.sum(1, keepdim=True).clamp(min=1) / common.clamp(min=1e-12)


def tell_favoured(
    follows: Float[Tensor, "features vocabulary"], weights: Float[Tensor, "features vocabulary"]
) -> Float[Tensor, "features"]:
    """The share of tokens of which what follows says rightly whether logit weights favour them."""
    generator = torch.Generator().manual_seed(0)
    asked = min(ASKED, weights.shape[1] // 4)
    order = weights.argsort(1, descending=True)
    favoured, rest = order[:, SKIPPED : SKIPPED + asked], order[:, SKIPPED + asked :]
    drawn = torch.rand(rest.shape, generator=generator).argsort(1)[:, :asked]
    others = rest.gather(1, drawn)
    said = follows.gather(1, favoured) > 1, follows.gather(1, others) <= 1
    return torch.cat(said, 1).float().mean(1)


def name_favoured(weights: Float[Tensor, "vocabulary"], words: Sequence[str]) -> tuple[str, ...]:
    """The tokens that logit weights favour most."""
    return tuple(words[int(token)] for token in weights.topk(FAVOURED).indices)


def _show_features(
    often: Bool[Tensor, "features"],
    rules: FiringRules,
    explained: Tensor,
    detected: Tensor,
    weights: Tensor,
    words: Sequence[str],
) -> tuple[FeatureExample, ...]:
    """Features at even steps through their order by what is explained."""
    numbers = often.nonzero()[:, 0].tolist()
    order = explained.argsort(descending=True, stable=True).tolist()
    step = max(1, len(order) // EXAMPLES)
    return tuple(
        FeatureExample(
            feature=numbers[place],
            rule=say_rule(int(rules.offsets[place]), words[int(rules.tokens[place])]),
            explained=round(float(explained[place]), 5),
            detected=None if detected[place].isnan() else round(float(detected[place]), 5),
            favoured=name_favoured(weights[place], words),
        )
        for place in order[::step][:EXAMPLES]
    )
