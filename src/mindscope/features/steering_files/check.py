"""Whether a steering file does to a model what it says it does; if not, which nearby fault would explain it.

1. The vectors must fit the model, and its prompts' tokens must be the recorded ones.
2. Unsteered, the model must give the recorded log-probabilities: else it is another one.
3. Steered, they must change as recorded. The error is the root mean square of the difference from the
   recorded changes, as a share of the changes' own.
4. If they do not, the file's edits are tried with one thing changed at a time: another layer, another place
   in the block, another operation, another number, other tokens. What then gives the recorded changes is
   what is wrong with the file. If nothing does, the vector is another.
5. A fault whose changes are nearer to the recorded ones than the precision's noise is not told, and is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from mindscope.core import find_relation
from mindscope.errors import DataError, ModelError
from mindscope.features.steering_files.faults import (
    FACTORS,
    errors_of_kind,
    is_scalable,
    list_faults,
    measure_faults,
    refine_coefficient,
    relative_error,
    root_mean_square,
    scale_fault,
)
from mindscope.features.steering_files.probes import (
    all_points,
    expected_changes,
    measure_probes,
    recorded_unsteered,
)
from mindscope.features.steering_files.results import (
    CHECKS,
    CheckName,
    FileCheck,
    ProbeResolution,
    SteeringFileReport,
    SteeringProbe,
)
from mindscope.models import Edit, Model, split_address

if TYPE_CHECKING:
    from mindscope.features.steering_files.steering_file import SteeringFile

NOISE = {"float32": 1e-4, "bfloat16": 0.2, "float16": 0.03}
"""Nats: what rounding may do to the log-probabilities of likely tokens, as a root mean square. Twice or
more of the largest that was seen; `docs/steering_files.md` has the measurement."""
LEAST_TOLERANCE = 1e-3
"""Of an error. Two machines in float32 differ by less than a tenth of it."""
EXPLAINS = 0.25
"""A fault explains the recorded changes if it leaves less than this share of the file's own error."""
NEAREST = (0.9, 1.1)
"""The factors of a wrong coefficient that the resolution is about."""
EFFECT: tuple[CheckName, ...] = ("place", "layer", "operation", "coefficient", "positions")


def check_steering_file(file: SteeringFile, model: Model, name: str) -> SteeringFileReport:
    """Hold a steering file against a model.

    Args:
        file: what it says of itself.
        model: in any precision; float32 tells the most.
        name: of the file, for the report.

    Returns:
        One line for every check, in order; `agrees` is False where one failed.
    """
    tolerance = _tolerance(file, model)
    found: dict[CheckName, FileCheck] = {}
    error: float | None = None

    def note(kind: CheckName, passed: bool | None, finding: str) -> None:
        found[kind] = FileCheck(name=kind, passed=passed, finding=finding)

    if _fits(file, model, note):
        unsteered, steered = measure_probes(model, file.probes, [[], file.edits])
        same_model = _check_model(file, model, unsteered, note)
        error = relative_error(steered - unsteered, file.probes)
        if not same_model:
            for kind in EFFECT:
                note(kind, None, "not looked at: the probes are another model's")
        elif error <= tolerance:
            _note_resolution(file, tolerance, note)
        else:
            _explain(file, model, unsteered, error, tolerance, note)
        precision = str(model.dtype).removeprefix("torch.")
        note(
            "precision",
            error <= tolerance if same_model else None,
            f"{precision}: the changes differ from the recorded ones by {error:.2%} of their size; "
            f"rounding makes up to {tolerance:.2%}",
        )
    checks = [
        found.get(kind, FileCheck(name=kind, passed=None, finding="not looked at: nothing was measured"))
        for kind in CHECKS
    ]
    return SteeringFileReport(
        file=name, model=model.name, checks=tuple(checks), error=error, tolerance=tolerance
    )


def measure_resolution(
    model: Model, edits: Sequence[Edit], probes: Sequence[SteeringProbe]
) -> ProbeResolution:
    """How far the nearest fault of each kind is from the recorded changes; None where there is none.

    Raises:
        DataError: the edits change nothing behind any of the probes.
    """
    if not expected_changes(probes).abs().max() > NOISE["float32"]:
        raise DataError(
            "the steering changes nothing behind the probe prompts, so a file of it could not be tested: "
            "take another coefficient, layer or positions"
        )
    faults = [fault for fault in list_faults(model, edits) if fault.kind != "coefficient"]
    faults += [scale_fault(edits, factor) for factor in NEAREST if is_scalable(edits)]
    errors = measure_faults(model, probes, faults)
    # The same effect at another place is no fault: what an MLP gives out is added behind its block.
    told = [(f, e) for f, e in zip(faults, errors, strict=True) if f.kind != "place" or e > LEAST_TOLERANCE]
    faults, errors = [fault for fault, _ in told], [error for _, error in told]
    nearest = {kind: min(errors_of_kind(faults, errors, kind), default=None) for kind in EFFECT}
    return ProbeResolution(**nearest)


def _fits(file: SteeringFile, model: Model, note: _Note) -> bool:
    try:
        model.check_edits(file.edits)
    except ModelError as error:
        note("vectors", False, str(error))
        return False
    norms = ", ".join(dict.fromkeys(f"{float(edit.vector.norm()):.4g}" for edit in file.edits))
    note("vectors", True, f"{len(file.edits)} edits, {file.d_model} wide, norms {norms}")
    points = all_points(file.probes)
    if max(max(point.ids + point.tokens) for point in points) >= model.vocab_size:
        note("prompts", False, f"they hold tokens that {model.name} does not have: it is another tokenizer's")
        return False
    rendered = [model.chat([{"role": "user", "content": probe.question}]).ids for probe in file.probes]
    same = rendered == [probe.points[0].ids for probe in file.probes]
    note(
        "prompts",
        same,
        "rendered to the recorded tokens"
        if same
        else "rendered to other tokens: another tokenizer, chat template or --template-option",
    )
    return True


def _check_model(file: SteeringFile, model: Model, unsteered: Tensor, note: _Note) -> bool:
    difference = unsteered - recorded_unsteered(file.probes)
    noise = _noise(file, model)
    apart = root_mean_square(difference)
    alike = apart <= noise
    shown = f"unsteered log-probabilities differ by {apart:.2g} nats (rounding: up to {noise:.2g})"
    if file.made_with.fingerprint == model.fingerprint:
        note("model", alike, f"the same weights; {shown}")
    else:
        relation = find_relation(model.identity, file.made_with)
        note("model", alike, f"made with {file.made_with.short}, relation: {relation}; {shown}")
    return alike


def _note_resolution(file: SteeringFile, tolerance: float, note: _Note) -> None:
    first = file.edits[0]
    point, _ = split_address(first.address)
    layers = sorted({layer for edit in file.edits if (layer := split_address(edit.address)[1]) is not None})
    said = {
        "place": point,
        "layer": ", ".join(map(str, layers)) or "none",
        "operation": first.op,
        "coefficient": f"{first.value:g}",
        "positions": str(first.where),
    }
    for kind in EFFECT:
        nearest = getattr(file.resolution, kind)
        if nearest is None:
            note(kind, True, said[kind])
        elif nearest > 2 * tolerance:
            note(kind, True, f"{said[kind]}; the nearest fault would change the effect by {nearest:.0%}")
        else:
            note(
                kind,
                None,
                f"{said[kind]} as far as this precision tells: the nearest fault would change the effect by "
                f"{nearest:.1%}, rounding by up to {tolerance:.1%}",
            )


def _explain(
    file: SteeringFile, model: Model, unsteered: Tensor, error: float, tolerance: float, note: _Note
) -> None:
    faults = list(list_faults(model, file.edits))
    errors = measure_faults(model, file.probes, faults, unsteered)
    # Of places with the same effect, the first: beyond rounding there is no better one.
    best = next(i for i, own in enumerate(errors) if own <= 1.01 * min(errors) + LEAST_TOLERANCE / 10)
    fault, least = faults[best], errors[best]
    if (is_scalable(file.edits) and least > EXPLAINS * error) or fault.kind == "coefficient":
        tried = [(1.0, error), *zip(FACTORS, errors_of_kind(faults, errors, "coefficient"), strict=True)]
        scaled, remaining = refine_coefficient(model, file, unsteered, sorted(tried))
        if remaining < least:
            fault, least = scaled, remaining
    if least > max(2 * tolerance, EXPLAINS * error):
        note(
            "vectors",
            False,
            "no nearby layer, place, operation, number or tokens give the recorded "
            "changes: the vector is another, or more than one thing is wrong",
        )
        for kind in EFFECT:
            note(kind, None, "not told")
        return
    for kind in EFFECT:
        note(kind, True, f"as recorded, once the {fault.kind} is")
    note(fault.kind, False, f"{fault.says} (leaves {least:.2%} of the effect unexplained)")


def _noise(file: SteeringFile, model: Model) -> float:
    """Nats: of the log-probabilities, both of the file and of this model."""
    precision = str(model.dtype).removeprefix("torch.")
    return NOISE.get(precision, NOISE["bfloat16"]) + NOISE.get(file.precision, NOISE["bfloat16"])


def _tolerance(file: SteeringFile, model: Model) -> float:
    return max(
        LEAST_TOLERANCE, _noise(file, model) / max(root_mean_square(expected_changes(file.probes)), 1e-12)
    )


if TYPE_CHECKING:
    from collections.abc import Callable

    _Note = Callable[[CheckName, bool | None, str], None]
