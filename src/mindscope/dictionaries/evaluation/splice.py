"""A dictionary in the model: what it writes takes the place of what the model computed."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mindscope.dictionaries.dictionary import Dictionary
from mindscope.errors import DataError
from mindscope.models import Model, rewritten


@contextmanager
def spliced(model: Model, dictionary: Dictionary, keep: Bool[Tensor, "rows columns"]) -> Iterator[None]:
    """Replace the activations at all its writes by its reconstructions, where `keep` is True.

    Each reconstruction is made of what passes by in the same pass: behind a replaced layer the dictionary
    reads what the replacement led to. For forward passes of the rows that `keep` is of.

    Raises:
        DataError: it writes a site before it has read all it needs for that.
        ModelError: a site is no place that can be written.
    """
    ends = [site.address for site in dictionary.writes]
    starts = [site.address for site in dictionary.reads]
    waiting: dict[int, list[Tensor]] = {}
    done: set[int] = set()
    current: Mapping[str, Tensor] = {}

    def run(index: int, seen: Mapping[str, Tensor]) -> None:
        """Let one coder write, for all its targets."""
        wiring, coder = dictionary.wiring[index], dictionary.coders[index]
        lacking = [starts[at] for at in wiring.reads if starts[at] not in seen]
        if lacking:
            raise DataError(
                f"it writes {ends[wiring.writes[0]]} before it reads {lacking[0]}: such a dictionary cannot "
                "be spliced into a forward pass"
            )
        parts = [seen[starts[at]].flatten(0, 1).float() for at in wiring.reads]
        read = torch.cat(parts, dim=1).to(dictionary.b_dec)
        centred = read - _bias(dictionary, wiring.reads) if dictionary.apply_b_dec_to_input else read
        written = coder.decode(coder.encode(centred, dictionary.activation, dictionary.k))
        if coder.W_skip is not None:
            written = written + read @ coder.W_skip
        widths = [dictionary.writes[at].width for at in wiring.writes]
        for at, part in zip(wiring.writes, written.split(widths, dim=1), strict=True):
            waiting.setdefault(at, []).append(part)
        done.add(index)

    def rewrite(address: str, hidden: Tensor, seen: Mapping[str, Tensor]) -> Tensor:
        nonlocal current
        if seen is not current:  # a new pass
            current = seen
            waiting.clear()
            done.clear()
        write = ends.index(address)
        for index, wiring in enumerate(dictionary.wiring):
            if write in wiring.writes and index not in done:
                run(index, seen)
        found = sum(waiting.pop(write), start=_bias(dictionary, (write,)))
        return torch.where(keep[..., None].to(hidden.device), found.view_as(hidden).to(hidden), hidden)

    with rewritten(model, starts, ends, rewrite):
        yield


@contextmanager
def ablated(
    model: Model,
    dictionary: Dictionary,
    keep: Bool[Tensor, "rows columns"],
    values: Float[Tensor, "d_out"] | None = None,
) -> Iterator[None]:
    """Replace the activations at its writes by `values` (such as their means), or by zeros, where `keep`."""
    ends = [site.address for site in dictionary.writes]
    widths = [site.width for site in dictionary.writes]
    fixed = torch.zeros(sum(widths)) if values is None else values
    by_address = dict(zip(ends, fixed.split(widths), strict=True))

    def rewrite(address: str, hidden: Tensor, seen: Mapping[str, Tensor]) -> Tensor:
        value = by_address[address].to(hidden)
        return torch.where(keep[..., None].to(hidden.device), value, hidden)

    with rewritten(model, [], ends, rewrite):
        yield


def _bias(dictionary: Dictionary, writes: Sequence[int]) -> Tensor:
    parts = dictionary.b_dec.split([site.width for site in dictionary.writes])
    return torch.cat([parts[at] for at in writes])
