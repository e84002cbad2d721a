"""The suite itself: it reads nothing outside the repository, and skips nothing in silence."""

import re
import subprocess
import sys
from pathlib import Path

import absent
import pytest

TESTS = Path(__file__).resolve().parents[2]
SOURCES = {file: file.read_text() for file in TESTS.rglob("*.py") if file.name != Path(__file__).name}


def test_what_is_absent_skips_here_and_fails_where_all_must_be_there(monkeypatch):
    monkeypatch.delenv(absent.NOTHING_ABSENT, raising=False)
    with pytest.raises(pytest.skip.Exception, match="absent: a thing"):
        absent.skip_absent("a thing")
    monkeypatch.setenv(absent.NOTHING_ABSENT, "1")
    with pytest.raises(pytest.fail.Exception, match="absent: a thing"):
        absent.skip_absent("a thing")
    with pytest.raises(pytest.fail.Exception, match=r"absent: no_such_module, of mindscope\[extra\]"):
        absent.import_or_skip("no_such_module", "extra")


def test_modules_are_asked_for_in_one_way():
    assert [file.name for file, text in SOURCES.items() if "importorskip" in text] == []


def test_make_test_lets_nothing_be_absent():
    makefile = (TESTS.parent / "Makefile").read_text()
    assert re.search(rf"^\t{absent.NOTHING_ABSENT}=1 .*pytest", makefile, re.MULTILINE)


def test_no_test_reads_a_folder_of_this_machine():
    places = re.compile(r'"(/work|/home|/tmp|/root|/mnt|/srv)/|parents\[1\]\.parent')
    assert [file.name for file, text in SOURCES.items() if places.search(text)] == []


def test_no_name_is_used_that_nobody_imported():
    # The linter is told to overlook undefined names, since shapes look like them: those are in lower case.
    command = [sys.executable, "-m", "ruff", "check", "--select", "F821", "--output-format", "concise", "."]
    said = subprocess.run(command, cwd=TESTS.parent, capture_output=True, text=True, check=False).stdout
    assert "F821" in said  # it looked
    assert re.findall(r"^\S+ F821 Undefined name `[A-Z]\w*`", said, re.MULTILINE) == []
