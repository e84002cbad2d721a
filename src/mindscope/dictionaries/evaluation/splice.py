"""A dictionary in the model: what it writes takes the place of what the model computed."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mindscope.dictionaries.dictionary import Dictionary
from mindscope.errors import DataError
from mindscope.features import Site
from mindscope.models import Model, rewritten

Given = Mapping[Site, Float[Tensor, "rows columns _"]]
"""What other models have at sites that a dictionary reads, for rows side by side, padded to the right."""


@contextmanager
def spliced(
    model: Model, dictionary: Dictionary, keep: Bool[Tensor, "rows columns"], given: Given | None = None
) -> Iterator[None]:
    """Replace the activations at all its writes by its reconstructions, where `keep` is True.

    Each reconstruction is made of what passes by in the same pass: behind a replaced layer the dictionary
    reads what the replacement led to. For forward passes of the rows that `keep` is of. Of a crosscoder
    between models the part of this model is spliced in; what it reads of the others is given.

    Args:
        model: one of the dictionary's.
        dictionary: whose reconstructions are written.
        keep: where.
        given: the activations of the other models on the same rows.

    Raises:
        DataError: it writes a site before it has read all it needs for that, or another model's activations
            are missing.
        ModelError: a site cannot be written.
    """
    name = name_of_model(dictionary, model)
    given = given or {}
    if missing := [site for site in dictionary.reads if site.model != name and site not in given]:
        raise DataError(
            f"this dictionary reads {missing[0].name}, of another model, too: give its activations on these "
            "rows"
        )
    own = [site.model == name for site in dictionary.writes]
    ends = {site.address: number for number, site in enumerate(dictionary.writes) if own[number]}
    starts = [site.address for site in dictionary.reads if site.model == name]
    waiting: dict[int, list[Tensor]] = {}
    done: set[int] = set()
    current: Mapping[str, Tensor] = {}

    def read(site: Site, seen: Mapping[str, Tensor], write: int) -> Tensor:
        """What stands at a site, `[rows * columns, width]`."""
        if site.model != name:
            return given[site].flatten(0, 1).float()
        if site.address not in seen:
            raise DataError(
                f"it writes {dictionary.writes[write].address} before it reads {site.address}: such a "
                "dictionary cannot be spliced into a forward pass"
            )
        return seen[site.address].flatten(0, 1).float()

    def run(index: int, seen: Mapping[str, Tensor]) -> None:
        """Let one coder write, for all its targets in this model."""
        wiring, coder = dictionary.wiring[index], dictionary.coders[index]
        parts = [read(dictionary.reads[number], seen, wiring.writes[0]) for number in wiring.reads]
        x = torch.cat([part.to(dictionary.b_dec) for part in parts], dim=1)
        centred = x - _bias(dictionary, wiring.reads) if dictionary.apply_b_dec_to_input else x
        written = coder.decode(coder.encode(centred, dictionary.activation, dictionary.k))
        if coder.W_skip is not None:
            written = written + x @ coder.W_skip
        widths = [dictionary.writes[number].width for number in wiring.writes]
        for number, part in zip(wiring.writes, written.split(widths, dim=1), strict=True):
            if own[number]:
                waiting.setdefault(number, []).append(part)
        done.add(index)

    def rewrite(address: str, hidden: Tensor, seen: Mapping[str, Tensor]) -> Tensor:
        nonlocal current
        if dictionary.normalisation is not None:  # an sae: what it reads is what stands there
            written = dictionary(hidden.flatten(0, 1).to(dictionary.b_dec))
            return torch.where(keep[..., None].to(hidden.device), written.view_as(hidden).to(hidden), hidden)
        if seen is not current:  # a new pass
            current = seen
            waiting.clear()
            done.clear()
        write = ends[address]
        for index, wiring in enumerate(dictionary.wiring):
            if write in wiring.writes and index not in done:
                run(index, seen)
        written = sum(waiting.pop(write), start=_bias(dictionary, (write,)))
        return torch.where(keep[..., None].to(hidden.device), written.view_as(hidden).to(hidden), hidden)

    with rewritten(model, starts, list(ends), rewrite):
        yield


@contextmanager
def ablated(
    model: Model,
    dictionary: Dictionary,
    keep: Bool[Tensor, "rows columns"],
    values: Float[Tensor, "d_out"] | None = None,
) -> Iterator[None]:
    """Replace the activations at its writes by `values` (such as their means), or by zeros, where `keep`.

    Of a crosscoder between models, at its writes in this model.
    """
    name = name_of_model(dictionary, model)
    widths = [site.width for site in dictionary.writes]
    fixed = torch.zeros(sum(widths)) if values is None else values
    by_address = {
        site.address: part
        for site, part in zip(dictionary.writes, fixed.split(widths), strict=True)
        if site.model == name
    }

    def rewrite(address: str, hidden: Tensor, seen: Mapping[str, Tensor]) -> Tensor:
        value = by_address[address].to(hidden)
        return torch.where(keep[..., None].to(hidden.device), value, hidden)

    with rewritten(model, [], list(by_address), rewrite):
        yield


def name_of_model(dictionary: Dictionary, model: Model) -> str:
    """What a dictionary calls a model; DataError for a model that it has no site of."""
    for name, fingerprint in dictionary.models.items():
        if fingerprint == model.fingerprint or (fingerprint is None and len(dictionary.models) == 1):
            return name
    raise DataError(f"this dictionary has no site of {model.name}: give one of the models it was trained on")


def _bias(dictionary: Dictionary, writes: Sequence[int]) -> Tensor:
    parts = dictionary.b_dec.split([site.width for site in dictionary.writes])
    return torch.cat([parts[number] for number in writes])
