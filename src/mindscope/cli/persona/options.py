"""What the `mindscope persona` commands work with: model, trait, run folder, configuration."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mindscope.cli.session import open_run
from mindscope.errors import DataError
from mindscope.jobs import find_trait, find_vectors, load_model

if TYPE_CHECKING:
    from pydantic import BaseModel

    from mindscope.models import Model
    from mindscope.personas import PersonaVectors, Trait
    from mindscope.store import Run

    Config = TypeVar("Config", bound=BaseModel)


class PersonaJob:
    """What a command works with: the model, the trait and the run folder."""

    def __init__(self, model: str, trait: str, run: Path | None, dtype: str, device: str) -> None:
        self.trait: Trait = find_trait(trait, model)
        self.folder: Path = run or Path("runs") / re.sub(r"[^\w-]+", "-", self.trait.name)
        self.model: Model = load_model(model, dtype, device)

    def open(self) -> Run:
        return open_run(
            self.folder,
            kind="persona",
            config={"dtype": str(self.model.dtype).removeprefix("torch.")},
            fingerprint=self.model.fingerprint,
        )

    def vectors(self, file: Path | None) -> PersonaVectors:
        """Those of `file`, or what `extract` left in the run."""
        from mindscope.store import part_of

        path = file or self.folder / part_of("extract", self.trait.name) / "vectors.safetensors"
        if not path.exists():
            raise DataError(
                f"there are no vectors in {path}: run `mindscope persona extract` first, or give --vectors"
            )
        found = find_vectors(path, self.model)
        if len(found) != 1:
            raise DataError(f"{path} holds the vectors of {len(found)} traits: name one file")
        return found[0]


def configure(kind: type[Config], **given: Any) -> Config:
    """A configuration out of the options that were given; the others keep its own defaults."""
    from pydantic import ValidationError

    try:
        return kind(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])).replace("_", "-")
        raise DataError(f"--{name}: {first['msg'].removeprefix('Value error, ')}") from None


def numbers(text: str, kind: type[int] | type[float]) -> tuple[float, ...]:
    try:
        return tuple(kind(part) for part in text.split(","))
    except ValueError:
        raise DataError(
            f"{text!r} is no list of numbers: write for example 0.5,1,2 (layers are whole)"
        ) from None
