"""What the model computed on prompts, to be held while features are changed."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mindscope.circuits.replacement.feature_io import Access, joined
from mindscope.models import Held, Model, Row, freeze


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """What was computed on rows, each distinct one of which was passed through the model once.

    Attributes:
        held: patterns and scales, and which pass is of which row.
        reads: what the features of each layer read, per layer `[passes, tokens, width]`.
        writes: what is there that they add to, likewise.
    """

    held: Held
    reads: Sequence[Float[Tensor, "passes tokens d_in"]]
    writes: Sequence[Float[Tensor, "passes tokens d_out"]]


def recorded(model: Model, access: Access, rows: Sequence[Row]) -> Record:
    """Pass each distinct row through the model, and keep what interventions hold.

    Raises:
        ModelError: a row does not fit the model, or attention cannot be held in its architecture.
    """
    addresses = [*(address for layer in access.reads for address in layer), *access.writes]
    number: dict[tuple[int, ...], int] = {}
    for row in rows:
        number.setdefault(row.ids, len(number))
    passes = [freeze(model, Row(ids, len(ids)), list(dict.fromkeys(addresses))) for ids in number]
    layers = range(len(access.writes))
    return Record(
        Held(passes, [number[row.ids] for row in rows]),
        [_padded([joined(access, layer, one.activations) for one in passes]) for layer in layers],
        [_padded([one.activations[access.writes[layer]] for one in passes]) for layer in layers],
    )


def _padded(activations: Sequence[Float[Tensor, "_ width"]]) -> Float[Tensor, "passes tokens width"]:
    return pad_sequence(list(activations), batch_first=True)
