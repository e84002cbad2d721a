"""Rows to read activations of, out of files of text or conversations; nothing is kept in memory."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from mindscope.data import DataFile
from mindscope.engines import Engine
from mindscope.errors import DataError
from mindscope.models import Row

TextCorpus = Callable[[int], Iterator[Row]]
"""Gives the rows from a number on, which counts from 0; the same ones each time it is called."""

TEXT = "text"
"""The column of a file of plain texts."""


def read_corpus(model: Engine, data: Path | str | DataFile, *, context: int = 256) -> TextCorpus:
    """The rows of a file: `.txt` (texts parted by empty lines), or what `data.read_records` reads.

    A row with a `text` is plain text, any other is a conversation in the model's chat template. Longer ones
    are cut into rows of `context` tokens, so that no token is lost and none stands deeper than that. Where
    the whole row begins with the beginning-of-text token, every piece does: without it models compute
    something else, and some nothing of use.

    Raises:
        DataError: the file cannot be read, or holds something else; with the place.
    """
    file = DataFile.of(data)
    most = min(context, model.context_length or context)
    if file.path.suffix == ".txt":
        if not file.local.is_file():
            raise DataError(f"no such file: {file.path}")
    else:
        file.require()
        file.require_columns()

    def whole() -> Iterator[Row]:
        return _texts(model, file.local) if file.path.suffix == ".txt" else _records(model, file)

    def rows(start: int) -> Iterator[Row]:
        pieces = (piece for row in whole() for piece in cut(row, most, model.tokenizer.bos_token_id))
        return islice(pieces, start, None)

    return rows


def cut(row: Row, length: int, beginning: int | None = None) -> Iterator[Row]:
    """A row as rows of at most `length` tokens, in order.

    Args:
        row: of any length.
        length: at least 2.
        beginning: the token that every piece begins with if the row does; None where the model has none.
    """
    if len(row) <= length:
        yield row
        return
    # Token id 0 is a token like any other: what counts is whether there is one.
    led = beginning is not None and row.ids[0] == beginning
    lead, ids = row.ids[:led], row.ids[led:]
    prompt_length, size = row.prompt_length - min(led, row.prompt_length), length - led
    for start in range(0, len(ids), size):
        piece = ids[start : start + size]
        prompt = min(max(prompt_length - start, 0), len(piece)) + led
        yield Row(lead + piece, prompt, row.roles[:led] + row.roles[led:][start : start + size])


def _texts(model: Engine, path: Path) -> Iterator[Row]:
    lines: list[str] = []
    try:
        with path.open(encoding="utf-8-sig") as file:
            for line in (*file, "\n"):
                if line.strip():
                    lines.append(line)
                elif lines:
                    yield model.text("".join(lines).strip())
                    lines = []
    except UnicodeDecodeError:
        raise DataError(f"{path}: the text is not UTF-8") from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error


def _records(model: Engine, file: DataFile) -> Iterator[Row]:
    for record in file.records():
        try:
            if isinstance(record.row, DataError):
                raise record.row
            if isinstance(record.row, dict) and isinstance(record.row.get(TEXT), str):
                yield model.text(record.row[TEXT])
            else:
                conversation = record.conversation()
                yield model.chat(list(conversation.prompt), conversation.answer)
        except DataError as error:
            raise DataError(f"{file.path}, {record.place}: {error}") from None
