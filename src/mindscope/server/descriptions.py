"""What was measured and found, as it goes over the wire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mindscope.server.api.fields import AppliedField, EventField, MovedField, RateField

if TYPE_CHECKING:
    import numpy as np

    from mindscope.features import Direction
    from mindscope.monitoring import AlarmEvent, Calibration
    from mindscope.server.engine.answer_job import AnswerEnd
    from mindscope.server.engine.registry import NamedEdit


def describe_event(event: AlarmEvent, label: str | None = None) -> EventField:
    """An event as it goes over the wire."""
    return EventField(
        kind=event.kind,
        feature=label or event.feature,
        token=event.token,
        value=short_number(event.value),
        level=short_number(event.level),
    )


def describe_rate(calibration: Calibration) -> RateField:
    """What alarms are worth."""
    low, high = calibration.interval
    return RateField(
        false_alarms=calibration.rate,
        over=calibration.over,
        low=low,
        high=high,
        conversations=len(calibration),
    )


def describe_effects(
    edits: Sequence[NamedEdit], end: AnswerEnd, pushes: dict[str, Direction]
) -> list[AppliedField]:
    """What was measured at every place, along each vector that was to be written there."""
    fields: list[AppliedField] = []
    for effect in end.effects:
        moved: dict[str, MovedField] = {}
        vectors = {named.name: named.edit.vector for named in edits if named.edit.address == effect.address}
        vectors |= {name: one.vector for name, one in pushes.items() if one.address == effect.address}
        for name, vector in vectors.items():
            norm = vector.float().norm()
            along = effect.mean_change((vector.float() / norm).cpu())
            if along is not None:
                moved[name] = MovedField(along=short_number(along), norm=short_number(norm.item()))
        fields.append(
            AppliedField(
                address=effect.address,
                prompt_tokens=effect.n_prompt,
                answer_tokens=effect.n_answer,
                moved=moved,
            )
        )
    return fields


def short_number(value: float) -> float:
    """To four digits."""
    return float(f"{value:.4g}")


def short_numbers(values: np.ndarray) -> list[float]:
    """A column of readings to four digits, which are all that JSON then spells; formatted in one go."""
    numbers = values.tolist()
    return [float(text) for text in ("%.4g " * len(numbers) % tuple(numbers)).split()]
