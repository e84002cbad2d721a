"""One attention score taken apart: sums by source and by kind of source, and the largest pairs."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.circuits.graph.findings import QKPair, QKScore

BIAS = "bias"
"""What stands for biases among the names of sources."""
KINDS = ("features", "errors", "tokens", BIAS)
PAIRS_AT_ONCE = 2**24
"""How many pairs of sources are in memory at a time."""


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
        kinds: `[4]` how many of them are features, errors, tokens and bias; sources come in this order.
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
        # The sum over the other side's sources is that side's whole vector: [size] @ [size, sources].
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
        sums = (self.scaling * queries @ keys.T).tolist()
        return {kind: dict(zip(KINDS, row, strict=True)) for kind, row in zip(KINDS, sums, strict=True)}

    def pairs(self, top: int = 20, relative: bool = False, biases: bool = True) -> list[QKPair]:
        """The largest pairs by magnitude, signed.

        Args:
            top: how many.
            relative: less what the query's source and the same source of the keys add on average over keys.
            biases: whether pairs with a bias count.
        """
        count = len(self.names) - (not biases)
        queries, keys = self.queries[:, :count], self._keys(relative)[:, :count]
        # A source behind the key's token gives nothing to the key: its column is left out.
        giving = keys.any(0).nonzero().flatten()
        keys = keys[:, giving]
        values, places = keys.new_zeros(0), giving.new_zeros(0, 2)
        # There are too many pairs to hold: query sources in steps, of which the best so far are kept.
        step = max(1, PAIRS_AT_ONCE // max(1, len(giving)))
        for start in range(0, count, step):
            products = self.scaling * (queries[:, start : start + step].T @ keys)
            best = products.abs().flatten().topk(min(top, products.numel())).indices
            i, j = best // max(1, len(giving)), best % max(1, len(giving))
            values = torch.cat([values, products[i, j]])
            places = torch.cat([places, torch.stack([i + start, giving[j]], dim=1)])
            kept = values.abs().argsort(descending=True, stable=True)[:top]
            values, places = values[kept], places[kept]
        return [
            QKPair(query=self.names[i], key=self.names[j], value=value)
            for (i, j), value in zip(places.tolist(), values.tolist(), strict=True)
            if value != 0
        ]

    def strongest(
        self, side: Literal["query", "key"], top: int = 10, relative: bool = False
    ) -> list[tuple[str, float]]:
        """The sources of one side that add most, by magnitude, with all of the other side."""
        sums = self.by_source(side, relative)
        order = sums.abs().argsort(descending=True, stable=True)[:top].tolist()
        return [(self.names[source], float(sums[source])) for source in order if sums[source] != 0]

    def summarise(self, top: int = 20, relative: bool = False) -> QKScore:
        """The score and its largest parts, as a graph and its page keep them.

        Args:
            top: pairs, and sources of each side.
            relative: whether parts are less the mean over all keys that the query may look at.
        """
        return QKScore(
            layer=self.layer,
            head=self.head,
            query=self.query,
            key=self.key,
            score=self.score,
            relative_score=self.total(relative=True),
            attention=self.attention,
            relative=relative,
            kinds=self.by_kind(relative),
            pairs=tuple(self.pairs(top, relative)),
            query_side=tuple(self.strongest("query", top, relative)),
            key_side=tuple(self.strongest("key", top, relative)),
        )

    def _keys(self, relative: bool) -> Tensor:
        return self.keys - self.mean_keys if relative else self.keys
