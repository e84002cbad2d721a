"""A tuned model on disk: where it is, what it was made from, and its checkpoints."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindscope.errors import DataError
from mindscope.store import read_json

CARD = "mindscope.json"
SCHEMA, VERSION = "mindscope.tuned", 1
MODEL, TRAINING = "model", "training"


@dataclass(frozen=True)
class TunedModel:
    """What a fine-tuning left behind.

    Attributes:
        path: the folder of the adapter or the full weights; `ms.load(path)` loads it.
        checkpoints: the folders of the way there, in order; they load in the same way.
        card: base, base fingerprint, configuration, data digest, library versions, steps and losses; the
            content of `mindscope.json` in `path`.
    """

    path: Path
    checkpoints: tuple[Path, ...]
    card: dict[str, Any]

    @classmethod
    def open(cls, folder: Path | str) -> "TunedModel":
        """What `finetune` left in its folder of a run.

        Raises:
            StoreError: there is no finished training.
            DataError: the folder holds something else.
        """
        model = Path(folder) / MODEL
        card = read_json(model / CARD)
        if not isinstance(card, dict) or card.get("schema") != SCHEMA:
            raise DataError(f"{model / CARD} does not describe a tuned model: give what `finetune` wrote")
        if card["version"] > VERSION:
            raise DataError(f"{model / CARD} was written by a newer mindscope: upgrade to read it")
        return cls(model, tuple(finished_checkpoints(Path(folder))), card)

    def to_json(self) -> dict[str, Any]:
        return {"path": str(self.path), "checkpoints": [str(each) for each in self.checkpoints], **self.card}


def finished_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints that were written to their end, in order of their steps."""
    found = [
        (int(match[1]), each)
        for each in (folder / TRAINING).glob("checkpoint-*")
        if (match := re.fullmatch(r"checkpoint-(\d+)", each.name)) and (each / CARD).is_file()
    ]
    return [each for _, each in sorted(found)]
