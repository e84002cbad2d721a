"""Metrics go to the tracker that was named, by the names they have, and to no other."""

import sys
from types import ModuleType
from typing import Any

import pytest
from absent import import_or_skip

from mindscope.errors import DataError
from mindscope.store import Run


class Service(ModuleType):
    """What wandb and trackio have in common, as a record of calls."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.started: list[dict[str, Any]] = []
        self.lines: list[tuple[dict[str, float], int | None]] = []
        self.finished = 0

    def init(self, **options: Any) -> None:
        self.started.append(options)

    def log(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.lines.append((metrics, step))

    def finish(self) -> None:
        self.finished += 1


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> dict[str, Service]:
    found = {name: Service(name) for name in ("wandb", "trackio")}
    for name, service in found.items():
        monkeypatch.setitem(sys.modules, name, service)
    return found


def open_run(folder) -> Run:
    return Run.open(folder / "job", kind="test", config={"rate": 0.1})


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_a_service_gets_every_line_and_a_resumed_run_goes_on(tmp_path, services, name):
    for step in (1, 2):
        with open_run(tmp_path) as run:
            run.track(name)
            run.log(step=step, dictionary="resid_post.0", l0=16.0, dead=0)
            run.log(seconds=2.5)
    service = services.pop(name)
    assert service.lines[:2] == [
        ({"resid_post.0/l0": 16.0, "resid_post.0/dead": 0.0}, 1),
        ({"seconds": 2.5}, None),
    ]
    assert service.lines[2][1] == 2
    assert service.finished == 2
    first, second = service.started
    assert first == second
    assert (first["config"], first["resume"]) == ({"rate": 0.1}, "allow")
    assert not next(iter(services.values())).started
    with open_run(tmp_path) as run:
        assert [line.get("l0") for line in run.metrics()] == [16.0, None, 16.0, None]


def test_another_run_of_the_same_folder_name_is_another(tmp_path, services):
    for parent in ("a", "b"):
        with open_run(tmp_path / parent) as run:
            run.track("wandb")
    first, second = services["wandb"].started
    assert first["id"] != second["id"]
    assert first["dir"] == str(tmp_path / "a" / "job")


def test_a_failed_run_is_closed_too(tmp_path, services):
    with pytest.raises(ZeroDivisionError), open_run(tmp_path) as run:
        run.track("trackio")
        run.log(step=1 // 0)
    assert services["trackio"].finished == 1


def test_what_is_not_there_is_said(tmp_path, monkeypatch):
    with open_run(tmp_path) as run:
        with pytest.raises(DataError, match="no tracker 'mlflow': use tensorboard, trackio, wandb"):
            run.track("mlflow")
        for name in ("tensorboard", "trackio", "wandb"):
            monkeypatch.setitem(sys.modules, name, None)
            with pytest.raises(
                DataError, match=rf"{name} is not installed: pip install 'mindscope\[track\]'"
            ):
                run.track(name)
        run.log(step=1)


def test_tensorboard_reads_what_was_logged(tmp_path):
    import_or_skip("tensorboard", "track")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with open_run(tmp_path) as run:
        run.track("tensorboard")
        for step in (10, 20):
            run.log(step=step, dictionary="sae", l0=step / 2)
    events = EventAccumulator(str(tmp_path / "job" / "tensorboard")).Reload()
    assert [(one.step, one.value) for one in events.Scalars("sae/l0")] == [(10, 5.0), (20, 10.0)]
