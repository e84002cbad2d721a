"""The chat template of a model whose tokenizer has none, out of the file of its processor."""

from pathlib import Path
from typing import Any

from transformers.utils.hub import cached_file

from mindscope.core import parse_json
from mindscope.errors import ModelError

_PROCESSOR_FILE = "chat_template.json"


def adopt_template(tokenizer: Any, name: str, revision: str | None = None) -> None:
    """Give a tokenizer without a chat template the one that lies beside it in `chat_template.json`.

    Models with a processor for pictures keep it there, in a file that tokenizers do not read.

    Raises:
        ModelError: the file is not what it should be.
    """
    if tokenizer.chat_template:
        return
    file = cached_file(
        name,
        _PROCESSOR_FILE,
        revision=revision,
        _raise_exceptions_for_gated_repo=False,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    if file is None:
        return
    try:
        tokenizer.chat_template = parse_json(Path(file).read_text("utf-8"))["chat_template"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ModelError(f"{file} holds no chat_template: download it again, or remove it") from None
