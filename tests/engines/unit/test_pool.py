"""Work goes to whichever copy is idle, and again where one is lost: here with a stand-in for Ray."""

import os
import random
import signal
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from mindscope.engines.pool import MOST_LOST, CopyPool, connect_cluster
from mindscope.errors import DataError, ModelError


class RayError(Exception):
    """What Ray raises where something is lost."""


class RayTaskError(RayError):
    def __init__(self, cause: Exception) -> None:
        super().__init__("a long remote traceback")
        self.cause = cause


class FakeRay:
    """References are numbers, whose results are made when they are asked for; any may be ready first."""

    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)

    def __init__(self) -> None:
        self.results: dict[int, Callable[[], Any]] = {}
        self.killed: list[Any] = []
        self.most_open = 0
        self.dice = random.Random(0)

    def put(self, make: Callable[[], Any]) -> int:
        self.results[len(self.results)] = make
        return len(self.results) - 1

    def wait(self, references: list[int], num_returns: int, timeout: float) -> tuple[list[int], list[int]]:
        assert references, "nothing to wait for"
        self.most_open = max(self.most_open, len(references))
        return [self.dice.choice(references)], []

    def get(self, reference: int) -> Any:
        return self.results[reference]()

    def kill(self, copy: Any) -> None:
        self.killed.append(copy)


class FakeCopy:
    def __init__(self, ray: FakeRay, do: Callable[[Any], Any]) -> None:
        self.work = SimpleNamespace(remote=lambda item: ray.put(lambda: do(item)))


def pool_of(do: Callable[[Any], Any], n_copies: int = 3) -> tuple[CopyPool, FakeRay]:
    ray = FakeRay()

    def start() -> tuple[Any, int]:
        return FakeCopy(ray, do), ray.put(lambda: "facts")

    def check(facts: str) -> None:
        assert facts == "facts"

    return CopyPool(ray, start, n_copies, check), ray


def items(count: int) -> Iterator[tuple[str, tuple[int]]]:
    return (("work", (number,)) for number in range(count))


def test_results_have_the_numbers_of_their_work() -> None:
    pool, ray = pool_of(lambda item: item * item)
    results = list(pool.run(items(20)))
    assert sorted(results) == [(number, number**2) for number in range(20)]
    assert results != sorted(results)  # they come as they end
    assert ray.most_open == 3
    assert not list(pool.run(items(0)))


def test_work_of_lost_copies_is_done_again() -> None:
    lost: list[int] = []

    def do(item: int) -> int:
        if item % 3 == 0 and lost.count(item) < MOST_LOST - 1:
            lost.append(item)
            raise RayError("gone")
        return item

    pool, ray = pool_of(do)
    assert sorted(pool.run(items(10))) == [(number, number) for number in range(10)]
    assert len(ray.killed) == len(lost) == 4 * (MOST_LOST - 1)


def test_work_that_ends_every_copy_ends_the_job() -> None:
    def do(item: int) -> int:
        if item == 2:
            raise RayError("gone")
        return item

    pool, _ = pool_of(do)
    with pytest.raises(ModelError, match="4 copies of the model ended at the same piece of work") as error:
        list(pool.run(items(9)))
    assert "\n" not in str(error.value)


def test_an_error_of_the_work_is_the_jobs_and_the_copy_goes_on() -> None:
    def do(item: int) -> int:
        if item == 1:
            raise RayTaskError(DataError("a row is malformed"))
        return item

    pool, ray = pool_of(do, n_copies=1)
    with pytest.raises(DataError, match=r"^a row is malformed$"):
        list(pool.run(items(3)))
    assert not ray.killed
    assert list(pool.run([("work", (5,))])) == [(0, 5)]


def test_what_asks_in_between_gets_its_own() -> None:
    pool, _ = pool_of(lambda item: item, n_copies=2)
    outer = pool.run(items(6))
    seen = [next(outer)]
    assert sorted(pool.run(("work", (10 + number,)) for number in range(4))) == [
        (number, 10 + number) for number in range(4)
    ]
    assert sorted([*seen, *outer]) == [(number, number) for number in range(6)]


def test_work_that_nobody_waits_for_any_more_disturbs_no_other() -> None:
    pool, _ = pool_of(lambda item: item, n_copies=2)
    next(pool.run(items(6)))
    assert sorted(pool.run(items(3))) == [(0, 0), (1, 1), (2, 2)]


def test_who_hears_sigterm_goes_on_hearing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray takes the signal for itself, and then ends this process with a dump of its stack."""

    def init(**_: object) -> None:
        signal.signal(signal.SIGTERM, lambda *_: None)

    stand_in = SimpleNamespace(is_initialized=lambda: False, init=init)
    monkeypatch.setitem(sys.modules, "ray", stand_in)
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        assert connect_cluster(None) is stand_in
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM]
