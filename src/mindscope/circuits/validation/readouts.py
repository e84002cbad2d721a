"""What a graph's targets are in any forward pass of the model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from mindscope.circuits.attribution.retrace import resolve_graph_targets
from mindscope.circuits.attribution.targets import TargetSpec
from mindscope.circuits.graph.graph import AttributionGraph
from mindscope.circuits.replacement.local_model import LocalReplacementModel
from mindscope.models import Model, find_linear_parts


@dataclass(frozen=True, slots=True, eq=False)
class TargetReadout:
    """Reads one target in the residual stream: vector . stream + bias.

    Attributes:
        address: where in the stream.
        position: of the token.
        vector: `[d_model]`, with the scales that norms had in the prompt's own pass.
        bias: what is added.
        scale: of a logit, the final norm's scale in the prompt's own pass; None for anything else.
    """

    address: str
    position: int
    vector: Float[Tensor, "d_model"]
    bias: float
    scale: float | None

    def read_value(self, seen: Mapping[str, Tensor]) -> Float[Tensor, "batch"]:
        """What it reads in the rows of a pass."""
        return seen[self.address][:, self.position].float() @ self.vector + self.bias

    def read_logit(self, model: Model, seen: Mapping[str, Tensor]) -> Float[Tensor, "batch"]:
        """The logit itself, less the mean of all and before any soft cap: with the final norm's scale now."""
        assert self.scale is not None
        stream = seen[self.address][:, self.position].float()
        now = find_linear_parts(model).norms["final_norm"].scale(stream, seen["final_norm"][:, self.position])
        return (stream @ self.vector) * now / self.scale + self.bias


def build_readouts(
    model: Model, local_model: LocalReplacementModel, graph: AttributionGraph, spec: TargetSpec | None
) -> list[TargetReadout]:
    """What reads the targets of a graph.

    Args:
        model: the model.
        frozen: the graph's prompt.
        graph: whose targets.
        wanted: what they were found with; None where the graph says all about them.

    Raises:
        DataError: the graph does not say enough, or `wanted` finds other targets.
    """
    resolved = resolve_graph_targets(model, local_model, graph, spec)
    seeds, last = resolved.injections, local_model.n_layers
    final = local_model.frozen_pass.scales.get("final_norm")
    found = []
    rows = zip(seeds.point.tolist(), seeds.position.tolist(), seeds.vector, seeds.bias.tolist(), strict=True)
    for target, (join, position, vector, bias) in zip(resolved.targets, rows, strict=True):
        layer, middle = divmod(join, 2)
        address = f"resid_mid.{layer}" if middle else f"resid_pre.{layer}"
        if layer == last:
            address = f"resid_post.{last - 1}"
        scale = None if final is None or target.layer is not None else float(final[position])
        found.append(TargetReadout(address, position, vector, bias, scale))
    return found


def list_readout_addresses(gauges: Sequence[TargetReadout]) -> list[str]:
    """What has to be read."""
    return [*(one.address for one in gauges), *(["final_norm"] if any(one.scale for one in gauges) else [])]
