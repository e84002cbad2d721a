"""Whether a run's record was written here, by this user: only then is its command given again without asking.

A run folder may come from somebody else, and its record names a command. So a record holds a seal over the
folder's place, the command and the folder it was given in, made with a key that lies in the user's own state
folder and in no run. Who has not the key cannot make the seal; a folder that was moved, or a command that was
changed, does not fit it.
"""

import hmac
import json
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from mindscope.store.files import temporary_beside

KEY_BYTES = 32


def seal_command(path: Path, command: Sequence[str], folder: str) -> str | None:
    """The seal of the run in `path`; None where this machine keeps no key."""
    key = _read_key()
    if key is None:
        return None
    sealed = json.dumps([str(path.resolve()), list(command), folder])
    return hmac.new(key, sealed.encode("utf-8", "surrogatepass"), "sha256").hexdigest()


def is_sealed(seal: object, path: Path, command: Sequence[str], folder: str) -> bool:
    """Whether the seal was made here for just this."""
    right = seal_command(path, command, folder)
    return (
        isinstance(seal, str)
        and right is not None
        and hmac.compare_digest(seal.encode("utf-8", "surrogatepass"), right.encode())
    )


def _key_file() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "mindscope" / "run-key"


def _read_key() -> bytes | None:
    """The user's key, made when it is first needed; None where it can be neither read nor made."""
    try:
        file = _key_file()
        if not file.exists():
            _make_key(file)
        key = file.read_bytes()
    except (OSError, RuntimeError):  # no home, or one that cannot be written to
        return None
    return key if len(key) == KEY_BYTES else None


def _make_key(file: Path) -> None:
    """Whole or not at all, and only if no other process was quicker."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(file)
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(secrets.token_bytes(KEY_BYTES))
        with suppress(FileExistsError):
            os.link(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)
