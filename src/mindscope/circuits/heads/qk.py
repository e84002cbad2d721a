"""Why a head looked there: one attention score as a sum over pairs of what query and key are made of."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mindscope.circuits.attribution.backward import backward_rows
from mindscope.circuits.attribution.config import TraceConfig
from mindscope.circuits.attribution.retrace import rebuild_local_model
from mindscope.circuits.attribution.targets import resolve_position
from mindscope.circuits.attribution.trace import as_prompt_row, split_into_blocks
from mindscope.circuits.graph.graph import AttributionGraph
from mindscope.circuits.replacement.block import FrozenNorm
from mindscope.circuits.replacement.local_model import (
    Injections,
    LocalReplacementModel,
    ReplacementModel,
    before_norm,
)
from mindscope.errors import DataError
from mindscope.models import HeadReading, Model, Row, find_linear_parts, head_reading

BIAS = "bias"
KINDS = ("features", "errors", "tokens", BIAS)
PAIRS_AT_ONCE = 2**24


class QKPair(NamedTuple):
    """What a source of the query and a source of the key add to a score together."""

    query: str
    key: str
    value: float


@dataclass(frozen=True, eq=False)
class QKAttribution:
    """One pre-softmax score of one head, taken apart (Kamath et al. 2025, "QK attributions").

    With attention patterns above it, norms' scales (QK-norms' too) and MLPs held as in the replacement model,
    a head's query is a sum of what each feature, error and token adds to it, and a bias; so is its key. The
    score is bilinear in the two:

        score = scaling * sum over i, j of queries[:, i] . keys[:, j].

    It is the model's score before the soft cap, if it has one (`capped` is behind it). Rotary positions are
    in both sides, and heads that share keys have the same key side. Softmax does not see what is added to all
    scores of a query, so a pair matters by how much more it adds here than at the other tokens: everything
    can be asked for `relative` to the mean over all keys that the query may look at.

    Attributes:
        layer, head: of the score.
        query, key: positions.
        names: `[sources]`, as graphs name their nodes, and `bias` as the last.
        kinds: `[4]` how many of them are features, errors, tokens and bias; they stand in this order.
        queries: `[size, sources]`, what each adds to the query.
        keys: `[size, sources]`, what each adds to the key.
        mean_keys: `[size, sources]`, what each adds to the mean of the keys.
        scaling: of the score.
        softcap: of the score, or None.
        attention: how much of the query's attention the key got.
    """

    layer: int
    head: int
    query: int
    key: int
    names: tuple[str, ...]
    kinds: tuple[int, int, int, int]
    queries: Float[Tensor, "size sources"]
    keys: Float[Tensor, "size sources"]
    mean_keys: Float[Tensor, "size sources"]
    scaling: float
    softcap: float | None
    attention: float

    @property
    def score(self) -> float:
        """The sum of all pairs."""
        return self.total()

    @property
    def capped(self) -> float:
        """The score as softmax sees it, behind the soft cap if there is one."""
        cap = self.softcap
        return self.score if cap is None else cap * float(torch.tensor(self.score / cap).tanh())

    def total(self, relative: bool = False) -> float:
        """The sum of all pairs: the score, or the score less the mean of the query's scores."""
        return float(self.by_source("query", relative).sum())

    def by_source(self, side: Literal["query", "key"], relative: bool = False) -> Float[Tensor, "sources"]:
        """What each source of one side adds, with all of the other side."""
        keys = self._keys(relative)
        if side == "query":
            return self.scaling * (keys.sum(1) @ self.queries)
        return self.scaling * (self.queries.sum(1) @ keys)

    def by_kind(self, relative: bool = False) -> dict[str, dict[str, float]]:
        """The sums over pairs of kinds of sources: query side, then key side."""
        queries, keys = (
            torch.stack([part.sum(1) for part in side.split(list(self.kinds), dim=1)])
            for side in (self.queries, self._keys(relative))
        )
        found = (self.scaling * queries @ keys.T).tolist()
        return {kind: dict(zip(KINDS, row, strict=True)) for kind, row in zip(KINDS, found, strict=True)}

    def pairs(self, top: int = 20, relative: bool = False, biases: bool = True) -> list[QKPair]:
        """The largest pairs by magnitude, signed.

        Args:
            top: how many.
            relative: less what the query's source and the same source of the keys add on average over keys.
            biases: whether pairs with a bias count.
        """
        count = len(self.names) - (not biases)
        queries, keys = self.queries[:, :count], self._keys(relative)[:, :count]
        there = keys.any(0).nonzero().flatten()
        keys = keys[:, there]
        values, places = keys.new_zeros(0), there.new_zeros(0, 2)
        step = max(1, PAIRS_AT_ONCE // max(1, len(there)))
        for start in range(0, count, step):
            each = self.scaling * (queries[:, start : start + step].T @ keys)
            best = each.abs().flatten().topk(min(top, each.numel())).indices
            i, j = best // max(1, len(there)), best % max(1, len(there))
            values = torch.cat([values, each[i, j]])
            places = torch.cat([places, torch.stack([i + start, there[j]], dim=1)])
            kept = values.abs().argsort(descending=True, stable=True)[:top]
            values, places = values[kept], places[kept]
        return [
            QKPair(self.names[i], self.names[j], value)
            for (i, j), value in zip(places.tolist(), values.tolist(), strict=True)
            if value != 0
        ]

    def strongest(
        self, side: Literal["query", "key"], top: int = 10, relative: bool = False
    ) -> list[tuple[str, float]]:
        """The sources of one side that add most, by magnitude, with all of the other side."""
        found = self.by_source(side, relative)
        order = found.abs().argsort(descending=True, stable=True)[:top].tolist()
        return [(self.names[at], float(found[at])) for at in order if found[at] != 0]

    def to_json(self, top: int = 20, relative: bool = False) -> dict[str, Any]:
        """For the metadata of a graph, and for its page: the score and its largest pairs."""
        return {
            "layer": self.layer,
            "head": self.head,
            "query": self.query,
            "key": self.key,
            "score": self.score,
            "relative_score": self.total(relative=True),
            "attention": self.attention,
            "relative": relative,
            "kinds": self.by_kind(relative),
            "pairs": [pair._asdict() for pair in self.pairs(top, relative)],
            "query_side": self.strongest("query", top, relative),
            "key_side": self.strongest("key", top, relative),
        }

    def _keys(self, relative: bool) -> Tensor:
        return self.keys - self.mean_keys if relative else self.keys


def compute_qk_attribution(
    model: Model,
    replacement: ReplacementModel,
    prompt: AttributionGraph | Row | str,
    layer: int,
    head: int,
    query: int = -1,
    key: int | None = None,
    config: TraceConfig | None = None,
) -> QKAttribution:
    """Take apart the score with which a head looks from one token at another.

    The rows of the head's query map are swept down the replacement like rows of a graph, at the query's
    token; those of its key map at the key's token, and on average at all that the query may look at.

    Args:
        model: the model, in float32.
        replacement: what stands in for its MLPs.
        prompt: a graph, whose prompt and settings are used, a row, or text.
        layer: of the head.
        head: which of the layer's query heads.
        query: the token that looks, from 0; negative from the end.
        key: the token that is looked at, likewise; None for the one that gets most of the attention.
        config: as for `trace`; a graph brings its own.

    Raises:
        DataError: no such token, a query that may not look at the key (which comes later, or lies outside the
            window of the layer), or a graph of another model or replacement.
        ModelError: no such layer or head, or the model cannot be held linear.
    """
    config = config or TraceConfig()
    if isinstance(prompt, AttributionGraph):
        frozen = rebuild_local_model(model, replacement, prompt)
    else:
        with torch.no_grad():
            frozen = replacement.freeze(model, as_prompt_row(model, prompt), skip_tokens=config.skip_tokens)
    query = resolve_position(frozen, query)
    if key is not None and (key := resolve_position(frozen, key)) > query:
        raise DataError(f"token {query} cannot look at token {key}, which comes after it")
    reading = head_reading(model, frozen.frozen_pass, layer, head, query)
    key = int(reading.pattern.argmax()) if key is None else key
    if not bool(reading.visible[key]):
        raise DataError(
            f"token {query} cannot look at token {key} in layer {layer}: it lies outside the layer's window"
        )
    with torch.inference_mode():
        sides = _swept(frozen, *_seeds(model, frozen, reading, layer, query, key), config.memory)
        names, kinds, columns = _sources(frozen, layer, query)
        queries, keys, mean_keys = sides[:, columns].cpu().chunk(3)
    return QKAttribution(
        layer,
        head,
        query,
        key,
        names,
        kinds,
        queries,
        keys,
        mean_keys,
        reading.scaling,
        reading.softcap,
        float(reading.pattern[key]),
    )


def _seeds(
    model: Model, local_model: LocalReplacementModel, reading: HeadReading, layer: int, query: int, key: int
) -> tuple[Injections, Int[Tensor, "seeds"]]:
    """Gradients of the query, the key, and the mean of the keys, in the stream; and the row of each seed."""
    size, device = len(reading.query.bias), local_model.embeddings.device
    passage = FrozenNorm.of(find_linear_parts(model), local_model.frozen_pass, f"attn_in.{layer}")
    seen = reading.visible.nonzero().flatten()
    weights = [
        reading.query.weight,
        reading.weights[key],
        (reading.weights[seen] / len(seen)).flatten(0, 1),
    ]
    biases = [reading.query.bias, reading.biases[key], (reading.biases[seen] / len(seen)).flatten()]
    position = torch.cat(
        [
            torch.full((size,), query, device=device),
            torch.full((size,), key, device=device),
            seen.repeat_interleave(size),
        ]
    )
    vector, bias = before_norm(passage, position, torch.cat(weights), torch.cat(biases))
    each = torch.arange(size, device=device)
    row = torch.cat([each, size + each, 2 * size + each.repeat(len(seen))])
    return Injections(torch.full_like(position, 2 * layer), position, vector, bias), row


def _swept(
    local_model: LocalReplacementModel, injections: Injections, row: Int[Tensor, "seeds"], memory: int
) -> Float[Tensor, "rows sources"]:
    """Rows of all features by column, errors, tokens, and the bias."""
    n, tokens = int(row.max()) + 1, local_model.n_positions
    found = local_model.embeddings.new_zeros(
        n, local_model.n_features + (local_model.n_layers + 1) * tokens + 1
    )
    furthest = row.new_zeros(n).scatter_reduce(0, row, injections.position, "amax")
    for block in split_into_blocks(local_model, furthest, memory):
        place = row.new_full((n,), -1)
        place[block] = torch.arange(len(block), device=row.device)
        mine = (place[row] >= 0).nonzero().flatten()
        edges = backward_rows(local_model, injections[mine], place[row[mine]])
        rows, start = block[edges.order], local_model.n_features
        found[rows, : edges.features.shape[1]] = edges.features
        for vectors in (*edges.errors.unbind(1), edges.tokens):
            found[rows, start : start + vectors.shape[1]] = vectors
            start += tokens
        found[rows, -1] = edges.bias
    return found


def _sources(
    local_model: LocalReplacementModel, layer: int, query: int
) -> tuple[tuple[str, ...], tuple[int, int, int, int], Int[Tensor, "sources"]]:
    """Names of all below a layer and not behind a token, how many of each kind, and their columns."""
    features, tokens, n = local_model.features, local_model.n_positions, local_model.n_features
    which = ((features[:, 0] < layer) & (features[:, 1] <= query)).nonzero().flatten()
    positions = torch.arange(query + 1, device=which.device)
    errors = [n + at * tokens + positions for at in range(layer)]
    last = n + local_model.n_layers * tokens
    columns = torch.cat(
        [local_model.column_of[which], *errors, last + positions, positions.new_tensor([last + tokens])]
    )

    def named() -> Iterator[str]:
        for at, position, latent in features[which].tolist():
            yield f"{at}_{latent}_{position}"
        for at in range(layer):
            yield from (f"{at}_-1_{position}" for position in range(query + 1))
        yield from (
            f"E_{token}_{at}" for at, token in enumerate(local_model.frozen_pass.row.ids[: query + 1])
        )
        yield BIAS

    return tuple(named()), (len(which), layer * (query + 1), query + 1, 1), columns
