"""What a job is: a specification, a place for its work, someone who is told how it goes, and a document.

Every command's work is a function

    def extract(spec: ExtractSpec, *, run: RunFolder, reporter: Reporter) -> PersonaExtraction: ...

which a command line, a server, a gate, an agent's tool and a study call alike. A specification is one value
that goes to JSON and back; what a job makes is a frozen document with a schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeVar, runtime_checkable

from pydantic import BaseModel, ValidationError

from mindscope.core import FrozenSettings, split_problem
from mindscope.errors import DataError
from mindscope.jobs.inputs import InputKind, require_input
from mindscope.store import (
    MirroredFolder,
    Run,
    display_path,
    find_start,
    local_copy,
    object_address,
    path_exists,
)

if TYPE_CHECKING:
    from mindscope.engines import Engine

Config = TypeVar("Config", bound=BaseModel)


class JobSpec(FrozenSettings):
    """What a job is to do. Each field's docstring is its help on the command line: a full sentence."""

    arguments: ClassVar[tuple[str, ...]] = ()
    """Fields that a command line takes by their place, in order; the last may be a tuple."""
    options: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Other spellings of fields, such as `{"coefficient": ("--coefficient", "-c")}`."""

    hidden: ClassVar[tuple[str, ...]] = ()
    """Fields that a command line does not offer, because the job leaves them no choice."""

    inputs: ClassVar[Mapping[str, InputKind]] = {}
    """Fields that name files or folders to be read, and what is in them; that is looked at first."""

    def require_inputs(self) -> None:
        """Look at what is to be read before anything is loaded.

        Raises:
            DataError: a file or folder is not there.
            StoreError: it holds something else than the field wants; see `require_input`.
        """
        for field, kind in self.inputs.items():
            value = getattr(self, field)
            for path in value if isinstance(value, tuple) else (value,):
                if path is None:
                    continue
                where = field.upper() if field in self.arguments else f"--{field.replace('_', '-')}"
                shown = display_path(path)
                if kind in ("file", "folder") and object_address(path) is not None:
                    raise DataError(f"{where}: {shown} is in an object store: copy it here first")
                if not path_exists(path):
                    raise DataError(f"{where}: no such file or folder: {shown}")
                require_input(local_copy(path), kind)

    def run_path(self) -> Path:
        """Where the work is kept if nobody says."""
        return Path("runs") / type(self).__name__.removesuffix("Spec").lower()

    def config(self, kind: type[Config], **changes: Any) -> Config:
        """The configuration whose fields this specification has; `changes` take the place of some."""
        known = {name: getattr(self, name) for name in kind.model_fields if name in type(self).model_fields}
        return build_config(kind, known | changes)


def build_config(kind: type[Config], values: Mapping[str, Any]) -> Config:
    """A configuration out of its fields.

    Raises:
        DataError: one line that names the field and what is wrong with it.
    """
    try:
        return kind(**values)
    except ValidationError as error:
        place, message = split_problem(error)
        raise DataError(f"{place}: {message}" if place else message) from None


@runtime_checkable
class Reporter(Protocol):
    """Who is told how a job goes: a terminal, a browser, a log."""

    def progress(self, done: int, total: int, label: str) -> None:
        """`done` of `total` pieces are through; `label` says what they are."""
        ...

    def say(self, text: str) -> None:
        """One line that is not a result."""
        ...


class SilentReporter:
    """Tells nobody."""

    def progress(self, done: int, total: int, label: str) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""


@dataclass(frozen=True)
class RunFolder:
    """Where a job keeps its work, and how the job can be asked for again."""

    path: Path
    command: tuple[str, ...] = ()
    """The arguments after `mindscope` that ask for it; empty where a program did."""
    mirror: MirroredFolder | None = None
    """The folder of an object store that is to hold the work as well."""

    @classmethod
    def of(cls, path: Path | str, command: tuple[str, ...] = ()) -> Self:
        """A folder, or the address of one in an object store: then work is done on a copy of it here.

        Raises:
            DataError: the store cannot be reached, or its package is missing.
        """
        address = object_address(path)
        if address is None:
            return cls(Path(path), command)
        mirror = MirroredFolder(address)
        mirror.pull()
        return cls(mirror.path, command, mirror)

    def push(self) -> None:
        """Put into the object store, if there is one, what was written after the run was closed."""
        if self.mirror is not None:
            self.mirror.push()

    @cached_property
    def started(self) -> datetime:
        """What the run is taken to begin at, the same when it is resumed: the day that templates see.

        Rows are rendered with it before the run is opened: `model.with_template(clock=run.started)`.
        """
        return find_start(self.path)

    def open(
        self,
        *,
        kind: str,
        config: Mapping[str, Any],
        reporter: Reporter,
        model: Engine | None = None,
        seed: int = 0,
    ) -> Run:
        """Open the run, or go on with it, for the model that it reads: see `store.Run.open`."""
        run = Run.open(
            self.path,
            kind=kind,
            config=config,
            fingerprint=None if model is None else model.fingerprint,
            seed=seed,
            command=self.command,
            identity=None if model is None else model.identity.model_dump(mode="json"),
            started=self.started,
            mirror=self.mirror,
        )
        if run.resumed:
            reporter.say(f"going on with {self.path}")
        return run
