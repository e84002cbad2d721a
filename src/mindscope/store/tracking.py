"""Handing a run's metrics on to a tracker. Only the one that a user names is ever used."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from mindscope.core import digest_text
from mindscope.errors import DataError

TRACKERS = ("tensorboard", "trackio", "wandb")
PROJECT = "mindscope"


class Tracker(Protocol):
    """Where metrics go beside `metrics.jsonl`."""

    def log(self, metrics: Mapping[str, float], step: int | None) -> None:
        """Take named numbers, of a step if there is one."""
        ...

    def close(self) -> None:
        """Write what is not written yet."""
        ...


def open_tracker(name: str, folder: Path, record: Mapping[str, Any]) -> Tracker:
    """A tracker for the run in a folder; a run that is resumed goes on in the same place of it.

    Args:
        name: one of `TRACKERS`.
        folder: of the run. What a tracker keeps on this machine it keeps in there, if it can be told to.
        record: of the run; its config is shown by the tracker, its start tells it from others of the name.

    Raises:
        DataError: there is no such tracker, or its library is not installed.
    """
    if name not in TRACKERS:
        raise DataError(f"there is no tracker {name!r}: use {', '.join(TRACKERS)}")
    if name == "tensorboard":
        return _TensorBoard(folder)
    library = _library(name, name)
    return _HostedTracker(library, folder, record, **({"dir": str(folder)} if name == "wandb" else {}))


def flatten_metrics(metrics: Mapping[str, float | int | str]) -> tuple[dict[str, float], int | None]:
    """The numbers of a line by name, and its step; texts in it say whose the numbers are.

    `{"step": 5, "dictionary": "a", "l0": 3}` is `a/l0` at step 5.
    """
    whose = "".join(f"{value}/" for value in metrics.values() if isinstance(value, str))
    numbers = {
        f"{whose}{key}": float(value)
        for key, value in metrics.items()
        if key != "step" and not isinstance(value, str)
    }
    step = metrics.get("step")
    return numbers, None if step is None or isinstance(step, str) else int(step)


class _TensorBoard:
    def __init__(self, folder: Path) -> None:
        _library("tensorboard", "tensorboard")
        writer = import_module("torch.utils.tensorboard").SummaryWriter
        self._writer = writer(str(folder / "tensorboard"))
        self._lines = 0

    def log(self, metrics: Mapping[str, float], step: int | None) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, self._lines if step is None else step)
        self._lines += 1

    def close(self) -> None:
        self._writer.close()


class _HostedTracker:
    """wandb and trackio, which have one interface."""

    def __init__(self, library: Any, folder: Path, record: Mapping[str, Any], **own: Any) -> None:
        mark = digest_text(f"{record['started']} {record['kind']}", size=4)
        name = f"{folder.resolve().name}-{mark}"
        if "dir" in own:  # wandb knows a run again by its id, trackio by its name
            own["id"] = name
        library.init(project=PROJECT, name=name, config=dict(record["config"]), resume="allow", **own)
        self._library = library

    def log(self, metrics: Mapping[str, float], step: int | None) -> None:
        self._library.log(dict(metrics), step=step)

    def close(self) -> None:
        self._library.finish()


def _library(name: str, module: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise DataError(f"{name} is not installed: pip install 'mindscope[track]'") from None
