"""A tuned model on disk: where it is, what it was made from, and its checkpoints; needs no torch."""

import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mindscope.core import ModelIdentity
from mindscope.errors import DataError
from mindscope.finetuning.config import FinetuneConfig
from mindscope.store import BorrowingDocument, Document, read_json

CARD = "mindscope.json"
SCHEMA, VERSION = "mindscope.tuned", 3
"""Version 1 had no identity of the base, and named no vectors that were borrowed; version 2 had no
inoculation."""
MODEL, TRAINING = "model", "training"


class TrainingData(Document):
    """The conversations that a model was tuned on."""

    sha256: str
    rows: int
    left_out: int


class TuningCard(BorrowingDocument):
    """What decides a tuning: the content of `mindscope.json` beside a tuned model and each checkpoint."""

    base: str
    base_fingerprint: str
    base_identity: ModelIdentity | None = None
    """Which weights the base has and where they come from; None for a model that an earlier version tuned."""
    config: FinetuneConfig
    data: TrainingData
    vectors: dict[str, str]
    """The digest of each trait's vectors."""
    libraries: dict[str, str]

    @classmethod
    def read(cls, folder: Path | str) -> "TuningCard":
        """What lies beside a tuned model or a checkpoint, wherever its folder was moved.

        Raises:
            StoreError: there is none.
            DataError: it is something else, or damaged.
        """
        file = Path(folder) / CARD
        card = {name: value for name, value in _read_card(file).items() if name in TuningCard.model_fields}
        try:
            return TuningCard.model_validate(card)
        except ValidationError as error:
            raise _damaged(file, error) from error

    @classmethod
    def find(cls, folder: Path | str) -> "TuningCard | None":
        """The same; None where nothing lies there, as beside a model of the hub or of another tuner."""
        return cls.read(folder) if (Path(folder) / CARD).is_file() else None

    def document(self, **more: Any) -> dict[str, Any]:
        """The card as it is written, with its schema."""
        return {"schema": SCHEMA, "version": VERSION, **self.to_json(), **more}


class TunedModel(TuningCard):
    """A finished fine-tuning; `ms.load(path)` loads its model, and each checkpoint in the same way."""

    path: Path
    """The folder of the adapter, or of the full weights."""
    checkpoints: tuple[Path, ...]
    """The folders of the checkpoints, from the first to the last."""
    steps: int
    losses: tuple[float, ...]
    """The loss of every optimiser step that was logged."""

    @classmethod
    def open(cls, folder: Path | str) -> "TunedModel":
        """Read what `finetune_model` left in its folder of a run.

        Raises:
            StoreError: there is no finished training.
            DataError: the folder holds something else.
        """
        model = Path(folder) / MODEL
        card = _read_card(model / CARD)
        try:
            return cls(path=model, checkpoints=tuple(finished_checkpoints(Path(folder))), **card)
        except ValidationError as error:
            raise _damaged(model / CARD, error) from error


def _read_card(file: Path) -> dict[str, Any]:
    """The fields of a card, without its schema and version."""
    card = read_json(file)
    if not isinstance(card, dict) or card.pop("schema", None) != SCHEMA:
        raise DataError(f"{file} does not describe a tuned model: give what `finetune` wrote")
    if card.pop("version") > VERSION:
        raise DataError(f"{file} was written by a newer mindscope: upgrade to read it")
    return card


def _damaged(file: Path, error: ValidationError) -> DataError:
    place = ".".join(map(str, error.errors()[0]["loc"]))
    return DataError(f"{file} is damaged at '{place}': tune the model again")


def finished_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints that were written to their end, in order of their steps."""
    checkpoints = [
        (int(match[1]), checkpoint)
        for checkpoint in (folder / TRAINING).glob("checkpoint-*")
        if (match := re.fullmatch(r"checkpoint-(\d+)", checkpoint.name)) and (checkpoint / CARD).is_file()
    ]
    return [checkpoint for _, checkpoint in sorted(checkpoints)]
