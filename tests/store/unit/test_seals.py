"""The seal of a run's command."""

import stat
import threading
from pathlib import Path

import pytest

from mindscope.store import seals
from mindscope.store.seals import is_sealed, seal_command


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def test_a_seal_fits_its_place_command_and_folder_alone(tmp_path):
    seal = seal_command(tmp_path / "run", ["persona", "extract"], "/home")
    assert is_sealed(seal, tmp_path / "run", ["persona", "extract"], "/home")
    assert is_sealed(seal, tmp_path / "x" / ".." / "run", ["persona", "extract"], "/home")
    assert not is_sealed(seal, tmp_path / "other", ["persona", "extract"], "/home")
    assert not is_sealed(seal, tmp_path / "run", ["persona extract"], "/home")
    assert not is_sealed(seal, tmp_path / "run", ["persona", "extract"], "/")


def test_another_user_makes_another_seal(tmp_path, monkeypatch):
    seal = seal_command(tmp_path, ["a"], "/")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "theirs"))
    assert seal_command(tmp_path, ["a"], "/") not in (seal, None)
    assert not is_sealed(seal, tmp_path, ["a"], "/")


def test_the_key_is_for_its_user_alone_and_one_for_all_processes(state, monkeypatch):
    made: list[str | None] = []
    barrier = threading.Barrier(8)

    def make() -> None:
        barrier.wait()
        made.append(seal_command(Path("run"), ["a"], "/"))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert len(set(made)) == 1
    assert None not in made
    (key,) = (state / "mindscope").iterdir()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"x" * (seals.KEY_BYTES - 1), b"x" * (seals.KEY_BYTES + 1)])
def test_a_damaged_key_seals_nothing(state, content):
    (state / "mindscope").mkdir(parents=True)
    (state / "mindscope" / "run-key").write_bytes(content)
    assert seal_command(Path("run"), ["a"], "/") is None
    assert not is_sealed(None, Path("run"), ["a"], "/")
