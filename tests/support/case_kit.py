"""Small cases, and archives that are nearly cases."""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mindscope.core import ModelIdentity
from mindscope.library import CaseManifest, ReaderVerdict, write_case

MEMBERS: Mapping[str, bytes] = {
    "graph.safetensors": bytes(range(256)) * 40,
    "interventions/000.json": b"{}\n",
    "view.json": b'{"labels": {"0_1_2": "a name"}}\n',
}


def manifest(**changes: Any) -> CaseManifest:
    values: dict[str, Any] = {
        "kind": "circuit",
        "title": "why Sacramento",
        "models": {"": ModelIdentity(fingerprint="ab" * 16, name="organism")},
        "provenance": {"run": {"seed": 3}},
        "verdict": ReaderVerdict(judgement="supported", reason="turned off, it says Austin"),
        "notes": ("a test bed",),
        "members": (),
    }
    return CaseManifest(**values | changes)


def write_small_case(path: Path, members: Mapping[str, bytes] = MEMBERS, **changes: Any) -> Path:
    write_case(path, manifest(**changes), dict(members))
    return path


def forge(
    path: Path,
    members: Mapping[str, bytes] = MEMBERS,
    document: Mapping[str, Any] | None = None,
    written: Mapping[str, bytes] | None = None,
    compression: int = zipfile.ZIP_STORED,
) -> Path:
    """An archive whose manifest says anything, and which holds anything."""
    stated = {
        "schema": "mindscope.case/1",
        "kind": "circuit",
        "title": "forged",
        "members": [
            {"name": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in members.items()
        ],
        **(document or {}),
    }
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("case.json", json.dumps(stated))
        for name, content in (members if written is None else written).items():
            archive.writestr(name, content)
    return path
