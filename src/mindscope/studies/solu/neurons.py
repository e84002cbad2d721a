"""What a neuron's strongest firings have in common, and whether that tells when it fires.

1. Half of the held-out rows is read: of each row the token where the neuron is highest, of these rows the
   twenty strongest. The rule that explains most of them beyond its share among all tokens is the neuron's:
   one token, here, up to three places before, or the next one.
2. On the other half the rule is tried blind: the share of the twenty strongest firings there that it explains
   (purity). From 80 % on the neuron counts as interpretable, which is what the paper asked people to judge.
3. Detection: in rows of that half, the rule's balanced accuracy at telling tokens on which the neuron is
   above half of its highest activation from all others. Strong firings alone do not say what
   weaker ones are about.

Neurons are read before an extra LayerNorm, as in the paper. The control is a random rotation of them: as much
information in directions that no activation function knows of. They are brought to one variance for it, else
every direction is about the few loudest neurons.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from mindscope.studies.common import TinyTransformers
from mindscope.studies.solu.paper import EXPLAINED, STRONGEST
from mindscope.studies.solu.results import NeuronScores

OFFSETS = (0, -1, -2, -3, 1)
"""Of the token that a rule names, from where the neuron fires; of rules as good the first is taken."""
ACTIVE = 0.5
"""The share of its highest activation from which on a neuron counts as firing, in detection."""
ROWS_AT_ONCE = 64


@dataclass(frozen=True)
class NeuronReading:
    """Neurons of all layers side by side.

    Attributes:
        before: as the activation function has them.
        behind: what they hand to the output weights; their LayerNorm where there is one.
    """

    before: Float[Tensor, "seeds rows tokens neurons"]
    behind: Float[Tensor, "seeds rows tokens neurons"]


@dataclass(frozen=True)
class NeuronFirings:
    """Where in each row each neuron is highest, the row's last token left out: nothing follows it.

    Attributes:
        ids: the rows.
        values: how high.
        places: on which token.
    """

    ids: Int[Tensor, "rows tokens"]
    values: Float[Tensor, "rows neurons"]
    places: Int[Tensor, "rows neurons"]


@dataclass(frozen=True)
class NeuronRules:
    """For each neuron the offset and the token of its rule."""

    offsets: Int[Tensor, "neurons"]
    tokens: Int[Tensor, "neurons"]


@torch.no_grad()
def read_neurons(models: TinyTransformers, ids: Int[Tensor, "rows tokens"]) -> NeuronReading:
    """All models' neurons on the same rows."""
    before: list[Tensor] = []
    behind: list[Tensor] = []

    def keep(_: int, neurons: Tensor, handed: Tensor) -> Tensor:
        before.append(neurons)
        behind.append(handed)
        return handed

    models.run(ids.expand(models.config.seeds, -1, -1), edit=keep)
    return NeuronReading(torch.cat(before, -1), torch.cat(behind, -1))


def draw_rotations(
    before: Float[Tensor, "seeds rows tokens neurons"], seed: int
) -> Float[Tensor, "seeds neurons neurons"]:
    """A random rotation of neurons that are brought to one variance; by seed, since variances differ."""
    n_neurons = before.shape[-1]
    drawn = torch.randn(n_neurons, n_neurons, generator=torch.Generator().manual_seed(seed))
    spreads = before.flatten(1, 2).std(1).clamp(min=1e-12)
    return torch.linalg.qr(drawn).Q / spreads[..., None]


def find_firings(
    models: TinyTransformers, ids: Int[Tensor, "rows tokens"], turns: Float[Tensor, "seeds neurons neurons"]
) -> tuple[list[NeuronFirings], list[NeuronFirings]]:
    """By seed the firings of the neurons, and of their rotation."""
    parts: tuple[list[tuple[Tensor, Tensor]], ...] = ([], [])
    for chunk in ids.split(ROWS_AT_ONCE):
        before = read_neurons(models, chunk).before[:, :, :-1]
        for part, view in zip(parts, (before, before @ turns[:, None]), strict=True):
            highest = view.max(2)
            part.append((highest.values, highest.indices))
    views = []
    for part in parts:
        values, places = (torch.cat(side, 1) for side in zip(*part, strict=True))
        views.append([NeuronFirings(ids, *own) for own in zip(values, places, strict=True)])
    return views[0], views[1]


def find_rules(firings: NeuronFirings, vocabulary: int) -> NeuronRules:
    """The rule of every neuron."""
    contexts = _strongest_contexts(firings, vocabulary).permute(1, 2, 0)  # neurons x offsets x firings
    counts = torch.zeros(*contexts.shape[:2], vocabulary + 1)
    counts.scatter_add_(2, contexts, torch.ones(contexts.shape))
    common = torch.bincount(firings.ids.flatten(), minlength=vocabulary + 1) / firings.ids.numel()
    best = (counts / contexts.shape[2] - common).flatten(1).argmax(1)
    return NeuronRules(best // (vocabulary + 1), best % (vocabulary + 1))


def explain_firings(rules: NeuronRules, firings: NeuronFirings, vocabulary: int) -> Float[Tensor, "neurons"]:
    """The share of each neuron's strongest firings that its rule explains."""
    contexts = _strongest_contexts(firings, vocabulary)
    own = contexts.gather(2, rules.offsets.expand(len(contexts), -1)[..., None])[..., 0]
    return (own == rules.tokens).float().mean(0)


def match_rules(
    rules: NeuronRules, ids: Int[Tensor, "rows tokens"], vocabulary: int
) -> Bool[Tensor, "rows places neurons"]:
    """Whether each neuron's rule is true at each token but the rows' last."""
    places = torch.arange(ids.shape[1] - 1).expand(len(ids), -1)
    tokens = torch.stack([_token_at(ids, places, offset, vocabulary) for offset in OFFSETS], -1)
    return tokens[..., rules.offsets] == rules.tokens


def detect_firings(
    matches: Bool[Tensor, "rows places neurons"], activations: Float[Tensor, "rows places neurons"]
) -> Float[Tensor, "neurons"]:
    """The rules' balanced accuracy at telling where neurons fire; NaN of a neuron that fires nowhere."""
    said, values = matches.flatten(0, 1), activations.flatten(0, 1)
    highest = values.amax(0)
    fires = (values > ACTIVE * highest) & (highest > 0)
    caught = (said & fires).sum(0) / fires.sum(0)
    quiet = (~said & ~fires).sum(0) / (~fires).sum(0)
    return (caught + quiet) / 2


def score_firings(
    rules: NeuronRules, explained: Float[Tensor, "neurons"], detected: Float[Tensor, "neurons"]
) -> NeuronScores:
    """The scores of one model."""
    clear = explained >= EXPLAINED
    told = zip(rules.offsets[clear].tolist(), rules.tokens[clear].tolist(), strict=True)
    return NeuronScores(
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


def _strongest_contexts(firings: NeuronFirings, vocabulary: int) -> Int[Tensor, "firings neurons offsets"]:
    tokens = torch.stack(
        [_token_at(firings.ids, firings.places, offset, vocabulary) for offset in OFFSETS], -1
    )
    top = firings.values.topk(min(STRONGEST, len(firings.values)), dim=0).indices
    return tokens.gather(0, top[..., None].expand(-1, -1, len(OFFSETS)))


def _token_at(ids: Tensor, places: Tensor, offset: int, vocabulary: int) -> Tensor:
    """The tokens so far from places; before a row begins, one more than any id."""
    back = -min(OFFSETS)
    return F.pad(ids, (back, 0), value=vocabulary).gather(1, places + back + offset)
