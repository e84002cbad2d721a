"""What strongest firings have in common, and whether that tells when a neuron or a feature fires.

1. Half of the held-out rows is read: of each row the token where the feature is highest, of these rows the
   twenty strongest. The rule that explains most of them beyond its share among all tokens is the feature's:
   one token, here, up to three places before, or the next one.
2. On the other half the rule is tried blind: the share of the twenty strongest firings there that it explains
   (purity). From 80 % on the feature counts as interpretable, which is what Elhage et al. 2022, "Softmax
   Linear Units", asked people to judge of neurons.
3. Detection: in rows of that half, the rule's balanced accuracy at telling tokens on which the feature is
   above half of its highest activation from all others. Strong firings alone do not say what weaker ones are
   about.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from mindscope.store import Document

OFFSETS = (0, -1, -2, -3, 1)
"""Of the token that a rule names, from where the neuron fires; of rules as good the first is taken."""
ACTIVE = 0.5
"""The share of its highest activation from which on a feature counts as firing, in detection."""
EXPLAINED = 0.8
"""The share of the strongest firings that one rule must explain: the instruction to the paper's people."""
STRONGEST = 20
"""Firings that are looked at: the paper's."""


class RuleScores(Document):
    """How easily the neurons or features of one model are read."""

    interpretable: float
    """The share whose rule explains at least 80 % of the strongest firings in other rows."""
    rules: int
    """How many different rules they have."""
    explained: float
    """The share of those firings that the rule explains, a mean over features."""
    detected: float
    """The rule's balanced accuracy at telling where the feature fires, a mean over features that do."""


@dataclass(frozen=True)
class StrongFirings:
    """Where in each row each feature is highest, the row's last token left out: nothing follows it.

    Attributes:
        ids: the rows.
        values: how high.
        places: on which token.
    """

    ids: Int[Tensor, "rows tokens"]
    values: Float[Tensor, "rows features"]
    places: Int[Tensor, "rows features"]


@dataclass(frozen=True)
class FiringRules:
    """For each feature the offset and the token of its rule."""

    offsets: Int[Tensor, "features"]
    tokens: Int[Tensor, "features"]


def find_rules(firings: StrongFirings, vocabulary: int) -> FiringRules:
    """The rule of every feature."""
    contexts = _strongest_contexts(firings, vocabulary).permute(1, 2, 0)  # features x offsets x firings
    counts = torch.zeros(*contexts.shape[:2], vocabulary + 1)
    counts.scatter_add_(2, contexts, torch.ones(contexts.shape))
    common = torch.bincount(firings.ids.flatten(), minlength=vocabulary + 1) / firings.ids.numel()
    best = (counts / contexts.shape[2] - common).flatten(1).argmax(1)
    return FiringRules(best // (vocabulary + 1), best % (vocabulary + 1))


def explain_firings(rules: FiringRules, firings: StrongFirings, vocabulary: int) -> Float[Tensor, "features"]:
    """The share of each feature's strongest firings that its rule explains."""
    contexts = _strongest_contexts(firings, vocabulary)
    own = contexts.gather(2, rules.offsets.expand(len(contexts), -1)[..., None])[..., 0]
    return (own == rules.tokens).float().mean(0)


def match_rules(
    rules: FiringRules, ids: Int[Tensor, "rows tokens"], vocabulary: int
) -> Bool[Tensor, "rows places features"]:
    """Whether each feature's rule is true at each token but the rows' last."""
    places = torch.arange(ids.shape[1] - 1).expand(len(ids), -1)
    tokens = torch.stack([_token_at(ids, places, offset, vocabulary) for offset in OFFSETS], -1)
    return tokens[..., rules.offsets] == rules.tokens


def detect_firings(
    matches: Bool[Tensor, "rows places features"], activations: Float[Tensor, "rows places features"]
) -> Float[Tensor, "features"]:
    """The rules' balanced accuracy at telling where features fire; NaN of a feature that fires nowhere."""
    said, values = matches.flatten(0, 1), activations.flatten(0, 1)
    highest = values.amax(0)
    fires = (values > ACTIVE * highest) & (highest > 0)
    caught = (said & fires).sum(0) / fires.sum(0)
    quiet = (~said & ~fires).sum(0) / (~fires).sum(0)
    return (caught + quiet) / 2


def score_firings(
    rules: FiringRules, explained: Float[Tensor, "features"], detected: Float[Tensor, "features"]
) -> RuleScores:
    """The scores of one model."""
    clear = explained >= EXPLAINED
    told = zip(rules.offsets[clear].tolist(), rules.tokens[clear].tolist(), strict=True)
    return RuleScores(
        interpretable=float(clear.float().mean()),
        rules=len(set(told)),
        explained=float(explained.mean()),
        detected=float(detected.nanmean()),
    )


def say_rule(offset: int, token: str) -> str:
    """A rule in words; `offset` is its number among OFFSETS."""
    match OFFSETS[offset]:
        case 0:
            return f"on {token}"
        case 1:
            return f"before {token}"
        case -1:
            return f"behind {token}"
        case back:
            return f"{-back} behind {token}"


def _strongest_contexts(firings: StrongFirings, vocabulary: int) -> Int[Tensor, "firings features offsets"]:
    tokens = torch.stack(
        [_token_at(firings.ids, firings.places, offset, vocabulary) for offset in OFFSETS], -1
    )
    top = firings.values.topk(min(STRONGEST, len(firings.values)), dim=0).indices
    return tokens.gather(0, top[..., None].expand(-1, -1, len(OFFSETS)))


def _token_at(ids: Tensor, places: Tensor, offset: int, vocabulary: int) -> Tensor:
    """The tokens so far from places; before a row begins, one more than any id."""
    back = -min(OFFSETS)
    return F.pad(ids, (back, 0), value=vocabulary).gather(1, places + back + offset)
