"""How the features of a small dictionary split in larger ones.

The masked cosine of two features is that of their activations on the tokens where the one is active, or on
those where the other is, whichever is higher. From 0.4 on they are linked, as in the paper. A small feature
with several links is split. Beside it stand the same links with as many random directions.
"""

import itertools
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from mindscope.studies.common import FiringRules, PieceProgress, say_rule
from mindscope.studies.monosemanticity.config import MonosemanticityConfig, say_size
from mindscope.studies.monosemanticity.measures.reading import find_view_rules, name_favoured
from mindscope.studies.monosemanticity.measures.views import ReadingView, SeedViews, find_often, say_random
from mindscope.studies.monosemanticity.paper import LINKED
from mindscope.studies.monosemanticity.results import LinkScores, SeedSplits, SplitFamily

FAMILIES = 4
"""Small features that are shown with what they split into."""
MOST_CHILDREN = 4
"""That are shown of each."""


@torch.no_grad()
def measure_splits(
    seed: SeedViews, config: MonosemanticityConfig, words: Sequence[str], progress: PieceProgress
) -> SeedSplits:
    """Each size beside the next, the smallest beside the largest, and random directions in its place."""
    sizes = [say_size(size) for size in config.sizes]
    largest = config.sizes[-1]
    wanted = list(dict.fromkeys([*itertools.pairwise(sizes), (sizes[0], sizes[-1])]))
    wanted.append((sizes[0], say_random(largest)))
    pairs, families = [], ()
    for done, (small, large) in enumerate(wanted):
        scores, links = _measure_pair(seed, seed.views[small], seed.views[large])
        pairs.append(scores)
        if (small, large) == (sizes[0], sizes[-1]):
            families = _show_families(seed, seed.views[small], seed.views[large], links, words)
        progress(done + 1, len(wanted))
    return SeedSplits(pairs=tuple(pairs), families=families)


def masked_cosines(
    small: Float[Tensor, "tokens small"], large: Float[Tensor, "tokens large"]
) -> Float[Tensor, "small large"]:
    """The higher of the two cosines, on the tokens of the one and on those of the other."""
    dots = small.T @ large
    # |large| on the tokens of the small, and the other way round; where a feature masks itself it is whole
    within_small = (small > 0).float().T @ large.square()
    within_large = small.square().T @ (large > 0).float()
    first = dots / (small.square().sum(0)[:, None] * within_small).sqrt().clamp(min=1e-12)
    second = dots / (within_large * large.square().sum(0)).sqrt().clamp(min=1e-12)
    return torch.maximum(first, second)


def token_bits(
    values: Float[Tensor, "tokens features"], tokens: Float[Tensor, "tokens vocabulary"]
) -> Float[Tensor, "features"]:
    """The entropy of the token where each feature is active, by its activation."""
    shares = values.T @ tokens
    shares = shares / shares.sum(1, keepdim=True).clamp(min=1e-12)
    return -(shares * shares.clamp(min=1e-12).log2()).sum(1)


def sibling_cosine(links: Bool[Tensor, "small large"], directions: Float[Tensor, "large _"]) -> float | None:
    """The mean cosine of pairs linked with one small feature, less that of all pairs of linked ones.

    None where no small feature has two links, or all pairs are of one.
    """
    linked = links.any(0)
    own = links[:, linked].float()
    cosines = F.normalize(directions[linked], dim=1)
    cosines = cosines @ cosines.T
    apart = ~torch.eye(len(cosines), dtype=torch.bool)
    together = (own.T @ own > 0) & apart
    if not together.any() or not (apart & ~together).any():
        return None
    return float(cosines[together].mean() - cosines[apart].mean())


def _measure_pair(
    seed: SeedViews, small: ReadingView, large: ReadingView
) -> tuple[LinkScores, Float[Tensor, "small large"]]:
    """Scores of a pair of views, and the masked cosines of all their features, 0 of what is seldom active."""
    halves = [[view.read(rows) for rows in (seed.read, seed.test)] for view in (small, large)]
    often = [find_often(*half) for half in halves]
    first, second = (half[1].flatten(0, 1) for half in halves)
    cosines = torch.zeros(len(often[0]), len(often[1]))
    cosines[often[0][:, None] & often[1]] = masked_cosines(first[:, often[0]], second[:, often[1]]).flatten()
    links = cosines[often[0]] > LINKED
    tokens = F.one_hot(seed.test.flatten(), seed.vocabulary).float()
    bits = [token_bits(values, tokens) for values in (first, second)]
    pairs = (cosines > LINKED).nonzero()
    change = bits[1][pairs[:, 1]] - bits[0][pairs[:, 0]]
    counts = links.sum(1).float()
    near = sibling_cosine(cosines > LINKED, large.directions)
    scores = LinkScores(
        small=small.name,
        large=large.name,
        linked=round(float((counts > 0).float().mean()), 5) if len(counts) else 0.0,
        split=round(float((counts > 1).float().mean()), 5) if len(counts) else 0.0,
        children=round(float(counts.mean()), 5) if len(counts) else 0.0,
        siblings=None if near is None else round(near, 5),
        bits=round(float(change.mean()), 5) if len(pairs) else None,
    )
    return scores, cosines


def _show_families(
    seed: SeedViews, small: ReadingView, large: ReadingView, cosines: Tensor, words: Sequence[str]
) -> tuple[SplitFamily, ...]:
    """Small features that split into features with most rules of their own."""
    rules = [find_view_rules(seed, view) for view in (small, large)]
    weights = large.logit_weights()
    told = [_say_rules(rule, words) for rule in rules]
    families = []
    for feature in range(len(cosines)):
        children = cosines[feature].argsort(descending=True, stable=True)
        children = [child for child in children.tolist() if cosines[feature, child] > LINKED]
        kinds = {told[1][child]: child for child in reversed(children)}
        shown = sorted(kinds.values(), key=children.index)[:MOST_CHILDREN]
        families.append((len(kinds), feature, shown))
    families.sort(key=lambda one: (-one[0], one[1]))
    return tuple(
        SplitFamily(
            feature=feature,
            rule=told[0][feature],
            children=tuple(
                (
                    child,
                    told[1][child],
                    round(float(cosines[feature, child]), 3),
                    name_favoured(weights[child], words),
                )
                for child in shown
            ),
        )
        for count, feature, shown in families[:FAMILIES]
        if count > 1
    )


def _say_rules(rules: FiringRules, words: Sequence[str]) -> list[str]:
    return [
        say_rule(int(offset), words[int(token)])
        for offset, token in zip(rules.offsets, rules.tokens, strict=True)
    ]
