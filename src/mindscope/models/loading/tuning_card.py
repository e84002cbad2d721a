"""What a tuned model's folder says of its base: the part of `mindscope.json` that loading needs."""

from pathlib import Path

from pydantic import ValidationError

from mindscope.core import ModelIdentity
from mindscope.errors import ModelError
from mindscope.models.loading.checks import read_object

CARD = "mindscope.json"
SCHEMA = "mindscope.tuned"


def read_base(folder: Path) -> ModelIdentity | None:
    """The identity of the model that a folder's weights were tuned from; None where nobody wrote it down.

    Raises:
        ModelError: the card is damaged.
    """
    file = folder / CARD
    if not file.is_file():
        return None
    card = read_object(file)
    if card.get("schema") != SCHEMA:
        return None
    try:
        if card.get("base_identity") is not None:
            return ModelIdentity.model_validate(card["base_identity"])
        return ModelIdentity(fingerprint=card["base_fingerprint"], name=card.get("base"))
    except (KeyError, ValidationError) as error:
        raise ModelError(f"{file} does not say what the model was tuned from; tune it again") from error
