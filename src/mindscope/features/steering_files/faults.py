"""A steering file's edits with one thing changed at a time, and how near each comes to what was recorded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mindscope.errors import ModelError
from mindscope.features.steering_files.probes import expected_changes, measure_probes
from mindscope.features.steering_files.results import CheckName, SteeringProbe
from mindscope.models import Edit, Model, Op, Where, split_address

if TYPE_CHECKING:
    from mindscope.features.steering_files.steering_file import SteeringFile

PLACES = ("resid_post", "resid_mid", "attn_in", "attn_out", "mlp_in", "mlp_out")
OPERATIONS: tuple[Op, ...] = ("add", "ablate", "clamp", "cap", "replace")
WHERES: tuple[Where, ...] = ("all", "prompt", "answer", "response", "last_prompt")
FACTORS = (-2.0, -1.0, -0.5, 0.1, 0.25, 0.5, 0.8, 0.9, 1.1, 1.25, 1.5, 2.0, 4.0, 10.0)
"""That coefficients are tried with, in order."""
AT_ONCE = 16
"""Faults in one call: each is a row for every probe point."""


@dataclass(frozen=True)
class FileFault:
    """The file's edits with one thing changed."""

    kind: CheckName
    says: str
    edits: tuple[Edit, ...]


def errors_of_kind(faults: Sequence[FileFault], errors: Sequence[float], kind: CheckName) -> list[float]:
    """The errors of those faults that are of a kind, in their order."""
    return [error for fault, error in zip(faults, errors, strict=True) if fault.kind == kind]


def list_faults(model: Model, edits: Sequence[Edit]) -> Iterator[FileFault]:
    """The edits with one thing changed at a time, as far as the model takes them."""
    seen = {_key(edits)}
    for fault in _all_faults(model, edits):
        if _key(fault.edits) in seen or not fault.edits:
            continue
        try:
            model.check_edits(fault.edits)
        except ModelError:
            continue
        seen.add(_key(fault.edits))
        yield fault


def _all_faults(model: Model, edits: Sequence[Edit]) -> Iterator[FileFault]:
    layers = [layer for edit in edits if (layer := split_address(edit.address)[1]) is not None]
    if len(layers) == len(edits) and len(set(layers)) < model.n_layers:
        for shift in sorted(range(-max(layers), model.n_layers - min(layers)), key=abs):
            if shift and min(layers) + shift >= 0 and max(layers) + shift < model.n_layers:
                moved = tuple(replace(edit, address=_moved(edit.address, shift)) for edit in edits)
                shown = ", ".join(str(layer + shift) for layer in dict.fromkeys(layers))
                yield FileFault("layer", f"the recorded changes are those of layer {shown}", moved)
    for place in PLACES:
        moved = tuple(
            replace(edit, address=f"{place}.{layer}")
            for edit, layer in zip(edits, layers, strict=False)
            if len(layers) == len(edits)
        )
        yield FileFault("place", f"the recorded changes are those at {place}", moved)
    for op in OPERATIONS:
        changed = tuple(replace(edit, op=op) for edit in edits)
        yield FileFault("operation", f"the recorded changes are those of the operation {op}", changed)
    if is_scalable(edits):
        for factor in FACTORS:
            yield scale_fault(edits, factor)
    for where in WHERES:
        changed = tuple(replace(edit, where=where) for edit in edits)
        yield FileFault("positions", f"the recorded changes are those at the tokens {where!r}", changed)


def is_scalable(edits: Sequence[Edit]) -> bool:
    """Whether any of the edits has a number that may be wrong."""
    return any(edit.op != "ablate" and edit.value for edit in edits)


def scale_fault(edits: Sequence[Edit], factor: float) -> FileFault:
    """The edits with a coefficient that is so many times too small."""
    scaled = tuple(
        replace(edit, value=edit.value * factor) if edit.op != "ablate" else edit for edit in edits
    )
    says = "the opposite sign" if factor == -1 else f"{factor:.2f} times the coefficient"
    return FileFault("coefficient", f"the recorded changes are those of {says}", scaled)


def _moved(address: str, shift: int) -> str:
    point, layer = split_address(address)
    assert layer is not None
    return f"{point}.{layer + shift}"


def _key(edits: Sequence[Edit]) -> tuple[object, ...]:
    return tuple((edit.address, edit.op, edit.value, edit.where) for edit in edits)


def measure_faults(
    model: Model,
    probes: Sequence[SteeringProbe],
    faults: Sequence[FileFault],
    unsteered: Tensor | None = None,
) -> list[float]:
    """How far each fault's changes are from the recorded ones, as a share of these; `unsteered` is what the
    probes give without edits, where that is known.
    """
    if unsteered is None:
        unsteered = measure_probes(model, probes, [[]])[0]
    errors: list[float] = []
    for start in range(0, len(faults), AT_ONCE):
        programs = [fault.edits for fault in faults[start : start + AT_ONCE]]
        errors += [
            relative_error(steered - unsteered, probes) for steered in measure_probes(model, probes, programs)
        ]
    return errors


def refine_coefficient(
    model: Model, file: SteeringFile, unsteered: Tensor, tried: Sequence[tuple[float, float]]
) -> tuple[FileFault, float]:
    """The best factor of the coefficient, and its error, between the best that was tried and its neighbours.

    Args:
        model: that is steered.
        file: what is recorded.
        unsteered: what the probes give without edits.
        tried: factors with their errors, in the order of the factors.
    """
    place = min(range(len(tried)), key=lambda i: tried[i][1])
    low, high = tried[max(place - 1, 0)][0], tried[min(place + 1, len(tried) - 1)][0]
    best, least = tried[place]
    for _ in range(3):
        grid = torch.linspace(low, high, 9, dtype=torch.float64).tolist()
        scaled = [scale_fault(file.edits, factor) for factor in grid]
        found = measure_faults(model, file.probes, scaled, unsteered)
        place = min(range(len(grid)), key=lambda i: found[i])
        if found[place] < least:
            best, least = grid[place], found[place]
        low, high = grid[max(place - 1, 0)], grid[min(place + 1, len(grid) - 1)]
    return scale_fault(file.edits, best), least


def relative_error(changes: Tensor, probes: Sequence[SteeringProbe]) -> float:
    """The root mean square of what changes differ by from the recorded ones, as a share of these."""
    expected = expected_changes(probes)
    return root_mean_square(changes - expected) / max(root_mean_square(expected), 1e-12)


def root_mean_square(values: Tensor) -> float:
    """In float64, of all values."""
    return float(values.double().square().mean().sqrt())
