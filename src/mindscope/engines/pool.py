"""Copies of a model on a Ray cluster, and the work that is handed out among them.

1. Each copy is an actor. It is given work once its model is loaded; until then the others do it.
2. A copy has one piece of work at a time, and an idle one takes the next. So what a lost copy costs is one
   piece, and a slow one holds up nothing but its own.
3. A copy that is lost, with its process or its whole node, is replaced, and its piece goes to whichever is
   idle first. Ray's own retries wait for the actor to be started anew, which may be never where a cluster has
   got smaller; here the others go on.
4. What work itself raises is an error like any other and ends the job.

What comes back is known by its number, so neither the order of work nor who did it changes a result.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from mindscope.engines.options import EngineOptions
from mindscope.errors import MindscopeError, ModelError

MISSING = "--engine ray needs Ray: pip install 'mindscope[scale]'"
MOST_LOST = 4
"""How many copies one piece of work may cost. One that ends every process that takes it up, for lack of
memory for example, would otherwise do so for ever."""
START_SECONDS = 1800.0
"""How long is waited where no copy works and none gets ready: a large model loads for minutes."""


def connect_cluster(address: str | None) -> Any:
    """Ray, connected to a cluster: the one of the address, that of RAY_ADDRESS, or one that is started here.

    Raises:
        MindscopeError: Ray is not installed, or there is no cluster at the address.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # before the import: nothing is reported to anyone
    try:
        import ray
    except ImportError:
        raise MindscopeError(MISSING) from None
    if not ray.is_initialized():
        where = address or os.environ.get("RAY_ADDRESS")
        place: dict[str, Any] = (
            {"address": where} if where else {"address": "local", "include_dashboard": False}
        )
        try:
            with _keeping_sigterm():
                ray.init(**place, log_to_driver=False, logging_level=logging.ERROR, namespace="mindscope")
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise MindscopeError(f"no Ray cluster answers at {where}: {first}") from None
    return ray


@contextmanager
def _keeping_sigterm() -> Iterator[None]:
    """Who hears SIGTERM goes on hearing it: Ray puts handlers of its own there, and aborts this process."""
    heard = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if callable(heard) and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, heard)


@dataclass(eq=False)
class _PieceOfWork:
    number: int
    method: str
    arguments: tuple[Any, ...]
    inbox: deque[tuple[int, Any]]
    """Where the result goes: that of the call that asked for it."""
    n_lost: int = 0


@dataclass
class CopyPool:
    """Copies that work. One thread asks.

    Attributes:
        ray: the library, connected.
        start: starts an actor, and gives it with the reference of what its loading returns.
        n_copies: how many there are, as far as the cluster has room.
        check: looks at what a copy's loading returned, and raises what is wrong with it.
    """

    ray: Any
    start: Callable[[], tuple[Any, Any]]
    n_copies: int
    check: Callable[[Any], None]
    _idle: list[Any] = field(default_factory=list, init=False)
    _starting: dict[Any, Any] = field(default_factory=dict, init=False)
    """Copies whose model is being loaded, by the reference of that."""
    _working: dict[Any, tuple[Any, _PieceOfWork]] = field(default_factory=dict, init=False)
    _again: deque[_PieceOfWork] = field(default_factory=deque, init=False)
    """Work of copies that were lost."""

    def __post_init__(self) -> None:
        for _ in range(self.n_copies):
            self._begin_copy()

    def wait_for_one(self) -> None:
        """Until a copy is ready to work."""
        while not self._idle and not self._working:
            self._wait()

    def share(self, value: Any) -> Any:
        """What stands for a value among a piece of work's arguments: the value is sent to a node once."""
        return self.ray.put(value)

    def run(self, work: Iterable[tuple[str, tuple[Any, ...]]]) -> Iterator[tuple[int, Any]]:
        """Do pieces of work, each a method with its arguments, and hand out results with their numbers.

        Results come as they end. No more is taken from `work` than there are copies that are idle.

        Raises:
            MindscopeError: what a piece of work raised, or it was lost too often.
        """
        inbox: deque[tuple[int, Any]] = deque()
        coming = enumerate(work)
        n_open, is_over = 0, False
        while True:
            while self._idle and not is_over and not self._again:
                try:
                    number, (method, arguments) = next(coming)
                except StopIteration:
                    is_over = True
                    break
                n_open += 1
                self._hand_out(_PieceOfWork(number, method, arguments, inbox))
            while inbox:
                n_open -= 1
                yield inbox.popleft()
            if is_over and not n_open:
                return
            if not self._idle or self._again or n_open:
                self._wait()

    def _hand_out(self, piece: _PieceOfWork) -> None:
        copy = self._idle.pop()
        reference = getattr(copy, piece.method).remote(*piece.arguments)
        self._working[reference] = copy, piece

    def _wait(self) -> None:
        """Until something has ended, and see to it."""
        while self._again and self._idle:
            self._hand_out(self._again.popleft())
        references = [*self._working, *self._starting]
        ready, _ = self.ray.wait(references, num_returns=1, timeout=START_SECONDS)
        if not ready and not self._working:
            minutes = round(START_SECONDS / 60)
            raise ModelError(
                f"no copy of the model was ready after {minutes} minutes: give fewer --copies or "
                "--copy-gpus, or look at the cluster with `ray status`"
            )
        for reference in ready:
            if reference in self._starting:
                self._started(reference)
            else:
                self._ended(reference)

    def _started(self, reference: Any) -> None:
        copy = self._starting.pop(reference)
        try:
            facts = self._get(reference)
        except _LostCopyError:
            self._replace(copy)
            return
        self.check(facts)
        self._idle.append(copy)

    def _ended(self, reference: Any) -> None:
        copy, piece = self._working.pop(reference)
        try:
            result = self._get(reference)
        except _LostCopyError as lost:
            self._replace(copy)
            piece.n_lost += 1
            if piece.n_lost >= MOST_LOST:
                raise ModelError(
                    f"{piece.n_lost} copies of the model ended at the same piece of work ({lost}): give "
                    "smaller batches, or more memory to each copy"
                ) from None
            self._again.append(piece)
        except BaseException:
            self._idle.append(copy)  # it is well: the work was not
            raise
        else:
            self._idle.append(copy)
            piece.inbox.append((piece.number, result))

    def _get(self, reference: Any) -> Any:
        """What a reference stands for.

        Raises:
            _LostCopyError: the process, its node, or the result with it is gone.
            MindscopeError: the work raised one.
        """
        problems = self.ray.exceptions
        try:
            return self.ray.get(reference)
        except problems.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, MindscopeError):
                raise cause from None
            raise
        except problems.RayError as error:
            raise _LostCopyError(type(error).__name__) from None

    def _begin_copy(self) -> None:
        copy, reference = self.start()
        self._starting[reference] = copy

    def _replace(self, copy: Any) -> None:
        self.ray.kill(copy)  # where only its result was lost it is still there
        self._begin_copy()


class _LostCopyError(Exception):
    """The process of a copy is gone, or cannot be reached."""


def count_copies(ray: Any, options: EngineOptions, cpus: int, gpus: float) -> int:
    """How many copies are asked for, or have room.

    Raises:
        MindscopeError: not even one has.
    """
    has = ray.cluster_resources()
    room = int(has.get("CPU", 0) // cpus)
    if gpus:
        room = min(room, int(has.get("GPU", 0) // gpus))
    if room < 1:
        raise MindscopeError(
            f"the cluster has {has.get('CPU', 0):g} CPUs and {has.get('GPU', 0):g} GPUs, a copy of the model "
            f"takes {cpus} and {gpus:g}: start more nodes, set OMP_NUM_THREADS lower, or give --copy-gpus"
        )
    return options.copies or room
