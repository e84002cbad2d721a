"""Games that are played on the workbench: a process each, with the models, and with the truth to itself.

A move is a line of JSON to the process and a line back. The process ends with the server, when its game has
ended, or when another game needs its place; its run keeps every move, so that it is begun again where it was.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mindscope.server.api.errors import ApiError
from mindscope.server.workbench.processes import end_process, json_line, send_line, start_module

MOST_SEATS = 2
"""Games whose models are in memory; the one that waited longest gives way."""
GRACE_SECONDS = 10.0
"""How long a game has until it is ended by force."""


@dataclass
class GameProcess:
    """A process that plays one game, a move at a time."""

    process: subprocess.Popen[str]
    lock: threading.Lock = field(default_factory=threading.Lock)
    has_begun: bool = False
    """Whether it was heard how the game stood when the process began."""

    def ask(self, move: Mapping[str, Any] | None) -> dict[str, Any]:
        """What it answers to a move; None only hears how the game stands.

        Raises:
            ApiError: the move is refused, or the process has ended.
        """
        with self.lock:
            if not self.has_begun:
                stands = self._hear()
                self.has_begun = True
                if move is None:
                    return stands
            return self._hear({} if move is None else move)

    def _hear(self, move: Mapping[str, Any] | None = None) -> dict[str, Any]:
        assert self.process.stdout is not None
        try:
            if move is not None:
                send_line(self.process, json_line(move))
            line = self.process.stdout.readline()
        except OSError:
            line = ""
        if not line:
            raise ApiError(503, "the process of this game has ended: make the move again", code="seat_ended")
        told = json.loads(line)
        if "refused" in told:
            raise ApiError(400, told["refused"], code="move_refused")
        return told["game"]


class SeatPool:
    """Seats at games, by the names of their runs."""

    def __init__(self) -> None:
        self._seats: OrderedDict[str, GameProcess] = OrderedDict()
        self._lock = threading.Lock()

    def play(
        self, name: str, run: Path, game: Mapping[str, Any], move: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """Make a move in a game, which is begun or gone on with; None makes none.

        Raises:
            ApiError: the move is refused.
        """
        with self._lock:
            seat = self._seats.get(name)
            if seat is None or seat.process.poll() is not None:
                seat = self._begin(run, game)
                self._seats[name] = seat
            self._seats.move_to_end(name)
            while len(self._seats) > MOST_SEATS:
                end_process(self._seats.pop(next(iter(self._seats))).process, GRACE_SECONDS)
        return seat.ask(move)

    def leave(self, name: str) -> None:
        """End the process of a game."""
        with self._lock:
            seat = self._seats.pop(name, None)
        if seat is not None:
            end_process(seat.process, GRACE_SECONDS)

    def close(self) -> None:
        """End all of them."""
        for name in list(self._seats):
            self.leave(name)

    def _begin(self, run: Path, game: Mapping[str, Any]) -> GameProcess:
        # Named and not imported: the game stands beside the server, and keeps its truth to itself.
        process = start_module("mindscope.auditing.game.person")
        send_line(process, json_line({"run": str(run), "game": game}))
        return GameProcess(process)
