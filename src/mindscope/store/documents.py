"""Results as documents: frozen, checked, and saved as one JSON file that names its schema."""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from mindscope.core import BorrowedArtifact
from mindscope.errors import DataError
from mindscope.store.files import read_json, write_json

# Not Self, which the run-time checks of the tests cannot follow.
Saved = TypeVar("Saved", bound="SavedDocument")


def require_inner_path(name: str) -> str:
    """The name of a file or folder, where it stays within the folder that it is read from.

    Raises:
        ValueError: it is absolute, goes up, or is empty. What comes from elsewhere may name nothing outside.
    """
    if not PurePosixPath(name).parts or name.startswith("/") or "\\" in name or ".." in name.split("/"):
        raise ValueError(f"{name!r} names nothing inside the folder")
    return name


InnerPath = Annotated[str, AfterValidator(require_inner_path)]
"""A path within a document's own folder, written with `/`."""


def html_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A small table for notebooks; all text is escaped."""

    def line(tag: str, cells: Sequence[object]) -> str:
        shown = (f"{cell:.2f}" if isinstance(cell, float) else "" if cell is None else cell for cell in cells)
        return "<tr>" + "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in shown) + "</tr>"

    body = "".join([line("th", columns), *(line("td", row) for row in rows)])
    return f"<table><caption>{escape(title)}</caption>{body}</table>"


class Document(BaseModel):
    """A frozen value that goes to JSON and back."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json")


class BorrowingDocument(Document):
    """A result that names what was made with other weights than those it was measured on."""

    borrowed: tuple[BorrowedArtifact, ...] = ()
    """Vectors, thresholds and dictionaries of a related model, and how it is related; mostly none."""


class SavedDocument(Document):
    """A result with a file of its own."""

    SCHEMA: ClassVar[str]
    READERS: ClassVar[Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {}
    """How the fields of an older schema become today's."""

    def save(self, path: Path | str) -> None:
        """Written atomically."""
        write_json(path, {"schema": self.SCHEMA, **self.to_json()})

    @classmethod
    def load(cls: type[Saved], path: Path | str) -> Saved:
        """Raises StoreError when the file is missing or no JSON, DataError when it is another document."""
        document = read_json(path)
        schema = document.pop("schema", None) if isinstance(document, dict) else None
        reader = cls.READERS.get(str(schema))
        if schema != cls.SCHEMA and reader is None:
            raise DataError(f"{path} is not a {cls.SCHEMA} document: give the file that was saved as one")
        try:
            return cls.model_validate(document if reader is None else reader(document))
        except ValidationError as error:
            where = ".".join(map(str, error.errors()[0]["loc"]))
            raise DataError(f"{path} is damaged at '{where}': make it again") from error
