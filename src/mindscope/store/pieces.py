"""Documents that are pieces of a run: each is measured once and kept as a file."""

from collections.abc import Callable
from typing import TypeVar

from pydantic import ValidationError

from mindscope.errors import StoreError
from mindscope.store.documents import Document
from mindscope.store.run import Run

Piece = TypeVar("Piece", bound=Document)


def measure_once(run: Run, file: str, kind: type[Piece], measure: Callable[[], Piece]) -> Piece:
    """A piece of the run as it stands in its file, or measured and kept.

    Args:
        run: where it is kept.
        file: its place in the run, such as `cases/rhyme.json`.
        kind: what it is.
        measure: makes it where it is not there yet.

    Raises:
        StoreError: the file holds something else.
    """
    if not run.has(file):
        run.save_json(file, measure().to_json())
    try:
        return kind.model_validate(run.load_json(file))
    except ValidationError as error:
        raise StoreError(
            f"{run.path / file} was written by another version: delete it to measure it again"
        ) from error
