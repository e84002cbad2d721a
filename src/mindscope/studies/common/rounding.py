"""Numbers as files and figures need them: rounded."""

from jaxtyping import Float
from torch import Tensor


def as_row(values: Float[Tensor, "values"]) -> tuple[float, ...]:
    """Values to six digits."""
    return tuple(float(f"{value:.6g}") for value in values.tolist())


def as_rows(values: Float[Tensor, "rows columns"]) -> tuple[tuple[float, ...], ...]:
    """A matrix to six digits."""
    return tuple(as_row(row) for row in values)


def round_known(value: float | None) -> float | None:
    """A number to five places; None where there is none."""
    return None if value is None else round(value, 5)
