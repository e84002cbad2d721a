"""Small transformers, several seeds side by side, whose attention can be seen, held and taken apart.

What a head knows of positions is a learnt bias for every distance (Raffel et al. 2020). Like the paper's
positions, which are added to queries and keys alone, it does not enter the residual stream, so that no head
can copy a position onwards. Blocks read an RMS-normed stream. With smeared keys (the paper's Argument 2) a
head's key is

    k_j = sigma(alpha) k_j + (1 - sigma(alpha)) k_{j-1},

with alpha learnt, the first key as it is: one layer then suffices for induction. What an MLP's neurons hand
to its output weights can be read and changed on the way (`NeuronEdit`).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from mindscope.studies.common.small_models.tiny_config import Activation, TinyConfig

NeuronEdit = Callable[[int, Tensor, Tensor], Tensor]
"""Called with a layer's number, its neurons' activations `[seeds, rows, tokens, neurons]`, and what they hand
to the output weights, which is the same or their LayerNorm; answers with what they are to hand on."""
NORM_EPS = 1e-12
"""Far under any variance of SoLU's small activations, so that the LayerNorm behind them is one of x exp(x):
the softmax's denominator then has no effect, as in the paper."""


class TinyTransformers:
    """Models of one configuration, one a seed, along the first axis of every tensor."""

    def __init__(self, config: TinyConfig, vocabulary: int, seed: int) -> None:
        self.config = config
        generator = torch.Generator().manual_seed(seed)

        def draw(*shape: int, scale: float) -> Tensor:
            return (torch.randn(config.seeds, *shape, generator=generator) * scale).requires_grad_()

        d, heads = config.width, config.heads
        self.embedding = draw(vocabulary, d, scale=1.0)
        self.unembedding = draw(d, vocabulary, scale=d**-0.5)
        self.layers: list[dict[str, Tensor]] = []
        for _ in range(config.layers):
            layer = {name: draw(d, d, scale=d**-0.5) for name in ("query", "key", "value", "output")}
            layer["distance"] = torch.zeros(config.seeds, heads, config.context).requires_grad_()
            if config.smeared:
                layer["smear"] = torch.full((config.seeds, heads), 2.0).requires_grad_()
            if config.mlp:
                neurons = config.expansion * d
                layer["up"] = draw(d, neurons, scale=d**-0.5)
                layer["down"] = draw(neurons, d, scale=neurons**-0.5)
            self.layers.append(layer)

    def parameters(self) -> list[Tensor]:
        """All weights."""
        own = [self.embedding, self.unembedding]
        return own + [part for layer in self.layers for part in layer.values()]

    def run(
        self,
        ids: Int[Tensor, "seeds rows tokens"],
        *,
        held: Sequence[Tensor] | None = None,
        silenced: Sequence[tuple[int, int]] = (),
        edit: NeuronEdit | None = None,
    ) -> tuple[Float[Tensor, "seeds rows tokens vocabulary"], list[Tensor]]:
        """Logits and every layer's attention pattern, `[seeds, rows, heads, queries, keys]`.

        Args:
            ids: of tokens.
            held: patterns of an earlier run, to attend by.
            silenced: (layer, head) whose results are zero.
            edit: reads what neurons hand on, or changes it.
        """
        x, patterns = self._stream(ids, held, silenced, edit)
        return _norm(x) @ self.unembedding[:, None], patterns

    def stream(self, ids: Int[Tensor, "seeds rows tokens"]) -> Float[Tensor, "seeds rows tokens width"]:
        """The residual stream behind the last block, normed as the unembedding reads it."""
        return _norm(self._stream(ids, None, ())[0])

    def _stream(
        self,
        ids: Int[Tensor, "seeds rows tokens"],
        held: Sequence[Tensor] | None,
        silenced: Sequence[tuple[int, int]],
        edit: NeuronEdit | None = None,
    ) -> tuple[Float[Tensor, "seeds rows tokens width"], list[Tensor]]:
        seeds, _, tokens = ids.shape
        shift = torch.arange(seeds)[:, None, None] * self.embedding.shape[1]
        x = F.embedding(ids + shift, self.embedding.flatten(0, 1))
        back = torch.arange(tokens)[:, None] - torch.arange(tokens)
        later = back < 0
        patterns = []
        for number, layer in enumerate(self.layers):
            normed = _norm(x)
            values = self._split(normed @ layer["value"][:, None])
            if held is None:
                query, key = (self._split(normed @ layer[name][:, None]) for name in ("query", "key"))
                if "smear" in layer:
                    share = layer["smear"].sigmoid()[:, None, :, None, None]
                    before = torch.cat([key[..., :1, :], key[..., :-1, :]], -2)
                    key = share * key + (1 - share) * before
                scores = query @ key.mT / math.sqrt(query.shape[-1])
                scores = scores + layer["distance"][:, None, :, back.clamp(min=0)]
                pattern = scores.masked_fill(later, -torch.inf).softmax(-1)
            else:
                pattern = held[number]
            patterns.append(pattern)
            mixed = pattern @ values
            if heads := [head for at, head in silenced if at == number]:
                mixed = mixed.index_fill(2, torch.tensor(heads), 0.0)
            x = x + mixed.transpose(2, 3).flatten(3) @ layer["output"][:, None]
            if "up" in layer:
                neurons = activate(_norm(x) @ layer["up"][:, None], self.config.activation)
                handed = norm_neurons(neurons) if self.config.normed else neurons
                if edit is not None:
                    handed = edit(number, neurons, handed)
                x = x + handed @ layer["down"][:, None]
        return x, patterns

    def losses(
        self, ids: Int[Tensor, "seeds rows tokens"], **options: Any
    ) -> Float[Tensor, "seeds rows predicted"]:
        """-log p of every token but the first; `options` are those of :meth:`run`."""
        logits, _ = self.run(ids, **options)
        shape = ids[..., 1:].shape
        return F.cross_entropy(
            logits[..., :-1, :].flatten(0, 2), ids[..., 1:].flatten(), reduction="none"
        ).view(shape)

    def copying(self) -> Float[Tensor, "seeds layers heads tokens targets"]:
        """What each head writes, of the token that it attends to, on the logits: the direct path.

        Rows are tokens attended to, columns tokens whose logits are moved, less the mean over all.
        """
        effects = []
        for layer in self.layers:
            values = self._split((_norm(self.embedding) @ layer["value"])[:, None])[:, 0]
            outputs = layer["output"].unflatten(1, (self.config.heads, -1))
            logits = values @ outputs @ self.unembedding[:, None]
            effects.append(logits - logits.mean(-1, keepdim=True))
        return torch.stack(effects, 1)

    def _split(self, x: Tensor) -> Tensor:
        """Heads apart: `[seeds, rows, heads, tokens, size]`."""
        return x.unflatten(-1, (self.config.heads, -1)).transpose(2, 3)


@dataclass(frozen=True)
class NeuronReading:
    """Neurons of all layers side by side.

    Attributes:
        before: as the activation function has them.
        behind: what they hand to the output weights; their LayerNorm where there is one.
    """

    before: Float[Tensor, "seeds rows tokens neurons"]
    behind: Float[Tensor, "seeds rows tokens neurons"]


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


def activate(x: Float[Tensor, "*tokens neurons"], activation: Activation) -> Float[Tensor, "*tokens neurons"]:
    """The neurons' activations."""
    match activation:
        case "gelu":
            return F.gelu(x)
        case "relu":
            return x.relu()
        case "solu":
            return x * x.softmax(-1)


def norm_neurons(neurons: Float[Tensor, "*tokens neurons"]) -> Float[Tensor, "*tokens neurons"]:
    """A LayerNorm over a token's neurons, without weights."""
    return F.layer_norm(neurons, neurons.shape[-1:], eps=NORM_EPS)


def _norm(x: Tensor) -> Tensor:
    return x * x.square().mean(-1, keepdim=True).add(1e-6).rsqrt()
