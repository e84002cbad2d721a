"""Whose vectors, graphs and activations these are: they belong to exactly the weights they were made with."""

from collections.abc import Callable
from typing import Any, Protocol

from mindscope.errors import DataError, MindscopeError

SHOWN = 12
"""Characters of a fingerprint in a message: enough to tell two by eye."""


class NamedModel(Protocol):
    """A model that says which weights it has."""

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> Any:
        """A text; it may be computed when it is first asked for."""
        ...


def require_same_model(
    subject: str,
    fingerprint: str | None,
    model: NamedModel,
    remedy: str = "load the model it was made with",
    error: Callable[[str], MindscopeError] = DataError,
) -> None:
    """Raise unless `fingerprint` is the model's; None and "" are of no model in particular, and pass.

    Args:
        subject: what belongs to a model, up to its preposition: "the graph is of".
        fingerprint: of the model that it belongs to.
        model: the model that it is to be used with.
        remedy: what to do where it is not the same.
        error: what is raised; a StoreError where a file is at fault.

    Raises:
        DataError: or what `error` makes.
    """
    if fingerprint and fingerprint != model.fingerprint:
        raise error(
            f"{subject} another model (fingerprint {fingerprint[:SHOWN]}) than {model.name} "
            f"({model.fingerprint[:SHOWN]}): {remedy}"
        )
