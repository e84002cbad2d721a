"""Index spaces: what an integer counts on the way from a prompt to a graph, and how it turns into another.

    FeatureIndex  row of `LocalReplacementModel.features`: all active features by (layer, position, latent)
    ColumnIndex   column of `EdgeBlock.features`: the same features by (position, layer, latent), so that what
    a
                  causal row can reach is a prefix; `LocalReplacementModel.column_of[feature]` leads there
    TraceRow      what can be traced: every active feature under its FeatureIndex, then every target
    BlockRow      row of one `EdgeBlock`, in the order in which its rows entered the stream
    GraphRow      row of `AttributionGraph.edges`: the selected features, then the targets
    GraphSource   column of `AttributionGraph.edges`: the selected features, errors, tokens
    GraphNode     a graph's sources, then its targets

A place in the residual stream is a `StreamPoint`; tensors hold its number.
"""

from typing import NamedTuple

from jaxtyping import Int
from torch import Tensor

FeatureIndex = Int[Tensor, "_"]
ColumnIndex = Int[Tensor, "_"]
TraceRow = Int[Tensor, "_"]
BlockRow = Int[Tensor, "_"]
GraphRow = Int[Tensor, "_"]
GraphSource = Int[Tensor, "_"]
PointNumber = Int[Tensor, "_"]


class StreamPoint(NamedTuple):
    """A point of the residual stream between two writes: before a block, or behind its attention.

    Points are numbered in the order in which the stream passes them, 2 * layer + after_attention; the last
    one, behind all blocks, is `StreamPoint(n_layers)`.
    """

    layer: int
    after_attention: bool = False

    @property
    def number(self) -> int:
        return 2 * self.layer + self.after_attention

    @classmethod
    def from_number(cls, number: int) -> "StreamPoint":
        """The point that `number` numbers."""
        layer, after_attention = divmod(number, 2)
        return cls(layer, bool(after_attention))

    @classmethod
    def mlp_input(cls, layer: int, *, parallel: bool) -> "StreamPoint":
        """Where a layer's MLP reads; beside attention in a parallel block, behind it otherwise."""
        return cls(layer, not parallel)

    def address(self, n_layers: int) -> str:
        """The point's address in a model of `n_layers` layers."""
        if self.layer == n_layers:
            return f"resid_post.{n_layers - 1}"
        return f"resid_mid.{self.layer}" if self.after_attention else f"resid_pre.{self.layer}"


def mlp_input_numbers(layers: Int[Tensor, "_"], *, parallel: bool) -> PointNumber:
    """`StreamPoint.mlp_input(layer, ...).number` of many layers."""
    return 2 * layers + (not parallel)
