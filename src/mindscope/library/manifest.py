"""What a case says of itself: what it is about, whose it is, how it was made, and what became of it."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from mindscope.core import ModelIdentity
from mindscope.store import Document

SCHEMA = "mindscope.case/1"
SELF_TEST = "self_test.json"
"""The member that holds what a dictionary does to the prompts of its test."""

CaseKind = Literal["circuit", "steering", "dictionary"]
"""A graph with what was made of it; a steering file, which holds its own test; a dictionary with its test."""
Judgement = Literal["supported", "refuted", "open"]
"""What a person concluded: the evidence is for the finding, against it, or does not decide."""

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)?")
"""A file's name, or one in a folder: no other folder, no hidden file, nothing that a file system reads
otherwise than it is written."""
_LONGEST = 100
"""Characters of a name: every file system takes as many."""
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Names that are devices on some systems."""


def is_plain_name(name: str) -> bool:
    """Whether this can name a file of a case or of a library anywhere, and leads out of no folder."""
    return (
        len(name) <= _LONGEST
        and _NAME.fullmatch(name) is not None
        and not any(part.endswith(".") or _RESERVED.fullmatch(part) for part in name.split("/"))
    )


class CaseMember(Document):
    """One file of a case."""

    name: str
    bytes: int = Field(ge=0)
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    @field_validator("name")
    @classmethod
    def _require_plain_name(cls, name: str) -> str:
        if not is_plain_name(name):
            raise ValueError(f"{name!r} cannot name a file of a case")
        return name


class ReaderVerdict(Document):
    """What a person concluded, and why."""

    judgement: Judgement
    reason: str = ""


class CaseManifest(Document):
    """The first file of a case; `members` are all others.

    Attributes:
        models: whose it is, by the names that the dictionary's sites have; mostly one, named "".
        provenance: how it was made, as its run or artefact has it: settings, seed, versions of libraries.
    """

    kind: CaseKind
    title: str
    models: dict[str, ModelIdentity] = Field(default_factory=dict)
    provenance: dict[str, Any] = Field(default_factory=dict)
    verdict: ReaderVerdict | None = None
    notes: tuple[str, ...] = ()
    members: tuple[CaseMember, ...]

    @model_validator(mode="after")
    def _require_each_once(self) -> CaseManifest:
        # Some file systems do not tell capitals: two names that differ in them alone are one file there.
        names = [member.name.lower() for member in self.members]
        if len({*names}) < len(names):
            raise ValueError("two members have one name")
        folders = {name.partition("/")[0] for name in names if "/" in name}
        if folders & {*names}:
            raise ValueError("a member has the name of a folder of others")
        return self
