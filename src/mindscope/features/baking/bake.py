"""A checkpoint that does what edits do, kept once it is seen to do it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mindscope.errors import DataError, ModelError
from mindscope.features.baking.results import BakedCheckpoint, BakedComparison
from mindscope.models import (
    Edit,
    Model,
    Row,
    change_weights,
    compare_logprobs,
    first_difference,
    open_changed,
    save_changed,
)
from mindscope.store import replacing_folder, write_json

CARD, SCHEMA = "mindscope.json", "mindscope.tuned"
"""The card of a model that comes from another, which says to whoever loads it what its base is."""


def require_replaceable(folder: Path) -> None:
    """Refuse to write where something else lies than an older checkpoint of this kind.

    Raises:
        DataError: the folder holds something else.
    """
    if folder.exists() and not (folder / CARD).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} holds something that is no checkpoint written here: name another folder")


def bake_checkpoint(
    model: Model,
    edits: Sequence[Edit],
    folder: Path,
    rows: Sequence[Row],
    *,
    precision: str = "float32",
    card: Mapping[str, Any] | None = None,
) -> BakedCheckpoint:
    """Write a checkpoint that does what edits do, once it is seen to do it.

    The folder is one like any other: transformers opens it, and so does a server that reads the
    architecture's biases. It appears after the comparison, whole or not at all, and replaces an older one.

    Args:
        model: unsteered, in float32.
        edits: see `models.change_weights`.
        folder: where the checkpoint goes.
        rows: texts on which it is compared with the steered model.
        precision: of the weights on disk: float32, bfloat16 or float16.
        card: what else its `mindscope.json` says, beside the base.

    Raises:
        ModelError: the weights cannot hold the edits, or the checkpoint does something else.
        DataError: the folder holds something that is no such checkpoint.
    """
    require_replaceable(folder)
    if not rows:
        raise ModelError("give at least one text to compare the checkpoint with the steered model on")
    changes = change_weights(model, edits)
    with replacing_folder(folder, over=True) as temporary:
        save_changed(model, changes, temporary, precision=precision)
        baked = open_changed(temporary, changes, model.device)
        compared = compare_logprobs(model, edits, baked, rows)
        comparison = BakedComparison(
            texts=len(rows),
            tokens=compared.n_tokens,
            largest=compared.largest,
            rms=compared.rms,
            steering_rms=compared.steering_rms,
            precision=precision,
        )
        if not comparison.equal:
            raise ModelError(
                f"{model.name} ({model.architecture}) cannot hold these edits: with them in its weights "
                f"log-probabilities differ from the steered model's by up to {comparison.largest:.2g} nats, "
                f"first at {first_difference(model, edits, baked, rows[0])}, where the architecture computes "
                "with more than what is written to the stream; steer at run time"
            )
        identity = model.identity
        document = {
            "schema": SCHEMA,
            "base": model.name,
            "base_fingerprint": identity.fingerprint,
            "base_identity": identity.model_dump(mode="json"),
            "baked": list(changes.sentences),
            **(card or {}),
        }
        write_json(temporary / CARD, document)
    return BakedCheckpoint(
        folder=str(folder),
        architecture=changes.architecture.__name__,
        changes=changes.sentences,
        comparison=comparison,
    )
