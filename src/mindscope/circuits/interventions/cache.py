"""What the model computed on prompts, to be held while features are changed."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mindscope.circuits.replacement.feature_io import FeatureIO, concat_reads
from mindscope.models import FrozenPasses, Model, Row, freeze


@dataclass(frozen=True, slots=True, eq=False)
class PassCache:
    """What was computed on rows, each distinct one of which was passed through the model once.

    Attributes:
        held: patterns and scales, and which pass is of which row.
        reads: what the features of each layer read, per layer `[passes, tokens, width]`.
        writes: what is there that they add to, likewise.
    """

    held: FrozenPasses
    reads: Sequence[Float[Tensor, "passes tokens _"]]
    writes: Sequence[Float[Tensor, "passes tokens _"]]


def cache_passes(model: Model, feature_io: FeatureIO, rows: Sequence[Row]) -> PassCache:
    """Pass each distinct row through the model, and keep what interventions hold.

    Raises:
        ModelError: a row does not fit the model, or attention cannot be held in its architecture.
    """
    addresses = [*(address for layer in feature_io.reads for address in layer), *feature_io.writes]
    # Experiments repeat a prompt: rows of the same tokens share a pass.
    pass_of: dict[tuple[int, ...], int] = {}
    for row in rows:
        pass_of.setdefault(row.ids, len(pass_of))
    passes = [freeze(model, Row(ids, len(ids)), list(dict.fromkeys(addresses))) for ids in pass_of]
    activations = [frozen_pass.activations for frozen_pass in passes]
    layers = range(len(feature_io.writes))
    return PassCache(
        FrozenPasses(passes, [pass_of[row.ids] for row in rows]),
        [_pad([concat_reads(feature_io, layer, seen) for seen in activations]) for layer in layers],
        [_pad([seen[feature_io.writes[layer]] for seen in activations]) for layer in layers],
    )


def _pad(activations: Sequence[Float[Tensor, "_ width"]]) -> Float[Tensor, "passes tokens width"]:
    return pad_sequence(list(activations), batch_first=True)
