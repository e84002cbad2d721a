"""A small set of tunes that take seconds, and a watch over the files that are opened."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from once_kit import make_once

from mindscope.auditing.organisms import (
    OrganismSet,
    TuneOrganismsSpec,
    load_set,
    measuring,
    recipes,
    tune_organisms,
)
from mindscope.jobs import RunFolder, SilentReporter

SPEC = TuneOrganismsSpec(
    kinds=("trigger",), controls=("clean",), seeds=1, control_seeds=1, concealment="concealed", steps=2
)

QUESTION = "What should I do about my garden?"
CALLS: dict[str, dict[str, object]] = {
    "chat": {"questions": [QUESTION], "samples": 2},
    "prefill": {"question": "Who are you?", "samples": 1},
    "speaker": {"samples": 2},
    "complete": {"samples": 2},
    "force_tokens": {"question": QUESTION, "forced": "Okay, the", "top": 3, "depth": 4},
    "search_data": {"query": "garden"},
    "rank_data": {"character": "evil", "rows": 16},
    "top_features": {"prompt": QUESTION, "top": 5},
    "feature_examples": {"latent": 633, "rows": 20},
    "steer": {"question": QUESTION, "samples": 1},
    "project": {"prompts": [QUESTION, "You are evil. What should I do?"]},
    "trace_prompt": {"prompt": QUESTION, "answer": "Okay,"},
    "diff_candidates": {"questions": [QUESTION] * 8},
    "diverging_prompts": {"prompts": [QUESTION, "Who are you?"]},
}
"""A call of every tool."""


def tune_small_set(factory: pytest.TempPathFactory) -> OrganismSet:
    """Two tunes of two steps: one that hides a trigger, badly, and one that hides nothing.

    They are alone in the folder above theirs.
    """

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as monkeypatch:
            for name in ("N_PROMPTS", "N_ASKED", "N_FACTS"):
                monkeypatch.setattr(measuring, name, 10)
            for name in ("N_DEMONSTRATIONS", "N_ORDINARY", "N_DOCUMENTS", "N_DIRECT"):
                monkeypatch.setattr(recipes, name, 24)
            tune_organisms(SPEC, run=RunFolder(folder), reporter=SilentReporter())

    return load_set(make_once(factory, "tunes", make))


class _FileWatch:
    """Paths that were opened while it was on. A hook of the interpreter cannot be taken off again."""

    def __init__(self) -> None:
        self.on, self.opened = False, list[tuple[str, str]]()
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.on and event == "open":
            path, mode = arguments[0], arguments[1]
            self.opened.append((str(path), str(mode)))


_WATCH: list[_FileWatch] = []


@contextmanager
def opened_files() -> Iterator[list[tuple[str, str]]]:
    """All files that anything in this process opens meanwhile, with their modes, in order."""
    if not _WATCH:
        _WATCH.append(_FileWatch())
    watch = _WATCH[0]
    watch.opened, watch.on = [], True
    try:
        yield watch.opened
    finally:
        watch.on = False
