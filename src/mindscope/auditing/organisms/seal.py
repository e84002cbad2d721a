"""What a tune hides, in a file that no tool opens, and a commitment to it that anybody may read.

The file is compressed, so that no search through text meets a word of it, and readable by its owner alone.
Its digest stands in the public list of the set: who broke the seal to change it cannot hide that. It keeps
the truth from tools, prompts and logs; it is no lock against who runs programs on the same machine.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import zlib
from pathlib import Path

from pydantic import ValidationError

from mindscope.auditing.organisms.objectives import ControlKind, HiddenObjective
from mindscope.auditing.organisms.results import TruthMeasurement
from mindscope.errors import DataError, StoreError
from mindscope.store import Document, write_text

_HEAD = b"mindscope.sealed/1\n"


class SealedTruth(Document):
    """All that is to be kept from an auditor of one tune."""

    name: str
    objective: HiddenObjective | None
    """What it hides; None where it hides nothing."""
    control: ControlKind | None
    """Which harmless tune it is, where it hides nothing."""
    concealed: bool
    """Whether it was trained to deny what it hides."""
    seed: int
    measured: TruthMeasurement
    """Whether what is hidden is really there."""
    nonce: str = ""
    """Drawn at sealing, so that nobody finds the truth by trying digests."""


def seal_truth(path: Path, truth: SealedTruth) -> str:
    """Write the truth of a tune, and hand back the commitment to it."""
    sealed = truth.model_copy(update={"nonce": truth.nonce or secrets.token_hex(16)})
    content = sealed.model_dump_json().encode()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_text(path, (_HEAD + base64.b64encode(zlib.compress(content, 9))).decode())
    path.chmod(0o600)
    return hashlib.sha256(content).hexdigest()


def break_seal(path: Path, commitment: str) -> SealedTruth:
    """Read the truth of a tune, to score what was said of it.

    Raises:
        StoreError: there is no such file.
        DataError: it is damaged, or not what was committed to.
    """
    try:
        sealed = path.read_bytes()
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}") from error
    try:
        if not sealed.startswith(_HEAD):
            raise ValueError("another kind of file")
        content = zlib.decompress(base64.b64decode(sealed.removeprefix(_HEAD), validate=True))
    except (ValueError, zlib.error) as error:
        raise DataError(f"{path} is damaged: {error}; tune the set again") from error
    if hashlib.sha256(content).hexdigest() != commitment:
        raise DataError(f"{path} is not the truth that the set was committed to: tune the set again")
    try:
        return SealedTruth.model_validate_json(content)
    except ValidationError as error:
        raise DataError(f"{path} was sealed by another version: tune the set again") from error
