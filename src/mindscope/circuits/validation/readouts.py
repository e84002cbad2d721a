"""What a graph's targets are in any forward pass of the model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from mindscope.circuits.attribution.retrace import resolve_graph_targets
from mindscope.circuits.attribution.targets import TargetSpec
from mindscope.circuits.graph.graph import AttributionGraph
from mindscope.circuits.index_spaces import StreamPoint
from mindscope.circuits.replacement.local_model import LocalReplacementModel
from mindscope.models import Model, find_linear_parts

FINAL_NORM = "final_norm"


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

    def read_value(self, activations: Mapping[str, Tensor]) -> Float[Tensor, "batch"]:
        """What it reads in the rows of a pass, activations by address."""
        return activations[self.address][:, self.position].float() @ self.vector + self.bias

    def read_logit(self, model: Model, activations: Mapping[str, Tensor]) -> Float[Tensor, "batch"]:
        """The logit less the mean of all, before any soft cap, with the final norm's scale of this pass."""
        assert self.scale is not None
        stream = activations[self.address][:, self.position].float()
        normed = activations[FINAL_NORM][:, self.position]
        scale = find_linear_parts(model).norms[FINAL_NORM].scale(stream, normed)
        # The vector has the prompt's own scale in it, which makes way for the one of this pass.
        return (stream @ self.vector) * scale / self.scale + self.bias


def build_readouts(
    model: Model, local_model: LocalReplacementModel, graph: AttributionGraph, spec: TargetSpec | None
) -> list[TargetReadout]:
    """What reads the targets of a graph.

    Args:
        model: the model.
        local_model: of the graph's prompt.
        graph: whose targets.
        spec: what they were traced with; None where the graph says all about them.

    Raises:
        DataError: the graph does not say enough, or `spec` resolves to other targets.
    """
    resolved = resolve_graph_targets(model, local_model, graph, spec)
    injections = resolved.injections
    final_scale = local_model.frozen_pass.scales.get(FINAL_NORM)
    rows = zip(
        resolved.targets,
        injections.point.tolist(),
        injections.position.tolist(),
        injections.vector,
        injections.bias.tolist(),
        strict=True,
    )
    return [
        TargetReadout(
            StreamPoint.from_number(number).address(local_model.n_layers),
            position,
            vector,
            bias,
            None if final_scale is None or target.layer is not None else float(final_scale[position]),
        )
        for target, number, position, vector, bias in rows
    ]


def list_readout_addresses(readouts: Sequence[TargetReadout]) -> list[str]:
    """What has to be read for the readouts."""
    norms = [FINAL_NORM] if any(readout.scale for readout in readouts) else []
    return [*(readout.address for readout in readouts), *norms]
