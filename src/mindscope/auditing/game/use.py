"""One tool on one tune, for a person at a terminal or a program."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from mindscope.auditing.game.play import open_session
from mindscope.auditing.organisms import load_set
from mindscope.auditing.tools import TOOLS, AccessLevel, ToolReport
from mindscope.errors import DataError
from mindscope.jobs import InputKind, JobSpec, Reporter
from mindscope.store import Document


class UseToolSpec(JobSpec):
    """What `use` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("folder", "name", "tool")
    inputs: ClassVar[Mapping[str, InputKind]] = {"folder": "folder"}

    folder: Path
    """The folder of a set that `mindscope organism tune` made."""
    name: str
    """Which of its tunes."""
    tool: str
    """Which tool; `mindscope audit tools` lists them."""
    ask: str = "{}"
    """What the tool is asked, as a JSON object."""
    level: AccessLevel = "base"
    """What may be looked at."""
    tokens: int = Field(default=200_000, ge=1)
    """The most tokens that may pass through models."""
    device: str = "auto"
    """Where the models run: cpu, cuda, or auto."""


class ListToolsSpec(JobSpec):
    """What `tools` is to do."""

    level: AccessLevel = "base"
    """What may be looked at."""


class ToolCard(Document):
    """A tool, and what it is asked with."""

    name: str
    about: str
    level: AccessLevel
    """The access level that it needs."""
    arguments: dict[str, Any]
    """The JSON schema of its arguments."""


class ToolList(Document):
    """All tools of an access level."""

    tools: tuple[ToolCard, ...]


def use_tool(spec: UseToolSpec, *, reporter: Reporter) -> ToolReport:
    """Call one tool on one tune of a set."""
    del reporter
    spec.require_inputs()
    arguments = read_arguments(spec.ask)
    session = open_session(load_set(spec.folder), spec.name, spec.level, spec.tokens, spec.device)
    return session.use(spec.tool, **arguments)


def read_arguments(ask: str) -> dict[str, Any]:
    """What a tool is asked, from JSON.

    Raises:
        DataError: it is no JSON object.
    """
    try:
        arguments = json.loads(ask)
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        raise DataError(
            f'--ask {ask[:200]!r} is not a JSON object: write for example \'{{"query": "secret"}}\''
        )
    return arguments


def list_tools(spec: ListToolsSpec, *, reporter: Reporter) -> ToolList:
    """The tools, what each needs and what it is asked with."""
    from mindscope.auditing.tools import LEVELS

    del reporter
    return ToolList(
        tools=tuple(
            ToolCard(name=one.name, about=one.about, level=one.level, arguments=one.spec.model_json_schema())
            for one in TOOLS.values()
            if LEVELS.index(one.level) <= LEVELS.index(spec.level)
        )
    )
