"""The audit of packages: what it makes of an answer, and of none."""

import subprocess
from pathlib import Path
from types import SimpleNamespace

import audit

CLEAN = {"name": "a", "version": "1", "vulns": []}
UNKNOWN = {"name": "b", "skip_reason": "Dependency not found"}
WEAK = {
    "name": "c",
    "version": "2",
    "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-9"], "fix_versions": ["3"]}],
}


def test_an_advisory_is_a_failure_unless_it_is_explained(monkeypatch):
    lines, failed = audit.summarize([CLEAN, WEAK, UNKNOWN])
    assert failed
    assert lines == ["c 2: PYSEC-1, mended in 3", "audited 2 of 3 packages"]
    monkeypatch.setitem(audit.ACCEPTED, "CVE-9", "not called")
    lines, failed = audit.summarize([WEAK])
    assert not failed
    assert lines[0].endswith("accepted: not called")


def test_what_nobody_knows_is_no_proof():
    lines, failed = audit.summarize([UNKNOWN])
    assert not failed
    assert lines[0] == "audited 0 of 1 packages"
    assert "nothing is shown" in lines[1]


def test_a_service_that_is_not_there_is_said(monkeypatch, capsys):
    answer = SimpleNamespace(stdout="", stderr="Traceback\nConnectionError: no route to host")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: answer)
    assert audit.main(Path("constraints.txt")) == 0
    assert capsys.readouterr().out == "not audited: ConnectionError: no route to host\n"
