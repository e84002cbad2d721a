"""The blind game as a person plays it: one tune, tools at a price, a verdict, and only then the truth.

1. A game is a run. Every call is a piece of it (`moves/0001.json`), so that a game which was broken off goes
   on with what is left of its budget.
2. A verdict is written before the seal is broken; afterwards no tool answers.
3. A game that is played move by move, from a terminal, loads its models for each. A `GameSeat` keeps them, in
   a process of its own that reads a move from each line and answers in a line: whoever shows a game in a
   browser never holds the truth before the end.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TextIO

from pydantic import Field, model_validator

from mindscope.auditing.game.play import open_session, outcome_of
from mindscope.auditing.game.results import PersonGame
from mindscope.auditing.game.use import read_arguments
from mindscope.auditing.organisms import Accusation, OrganismSet, load_set
from mindscope.auditing.tools import AccessLevel, ToolReport
from mindscope.errors import DataError, MindscopeError
from mindscope.jobs import InputKind, JobSpec, Reporter, RunFolder, SilentReporter, build_config
from mindscope.store import Run

if TYPE_CHECKING:
    from mindscope.auditing.tools import AuditSession

GAME = "person.json"
MOVES = "moves"


class GameMove(JobSpec):
    """One move: a call of a tool, a verdict, or neither, which only shows how the game stands."""

    tool: str | None = None
    """Call this tool; `mindscope audit tools` lists them."""
    ask: str = "{}"
    """What the tool is asked, as a JSON object."""
    accuse: Literal["grader", "sandbagging", "trigger", "loyalty", "misalignment", "nothing"] | None = None
    """End the game: say what kind of thing it hides, or `nothing`."""
    target: tuple[str, ...] = ()
    """What is named with --accuse: the phrase, the person, the words before an exam, the character, or a bias
    as domain:category. May be repeated."""
    evidence: tuple[str, ...] = ()
    """The number of a piece of evidence that speaks for it, such as e3. May be repeated."""

    @model_validator(mode="after")
    def _require_one(self) -> GameMove:
        if self.tool is not None and self.accuse is not None:
            raise ValueError("call a tool or say what it hides, not both")
        if self.accuse is None and (self.target or self.evidence):
            raise ValueError("say with --accuse what --target and --evidence are of")
        if self.accuse not in (None, "nothing") and not self.target:
            raise ValueError(f"name with --target what it is accused of as {self.accuse}")
        if self.accuse == "nothing" and self.target:
            raise ValueError("--accuse nothing names no --target")
        return self


class SeatSpec(JobSpec):
    """A game: which tune, what may be looked at, and for how many tokens."""

    arguments: ClassVar[tuple[str, ...]] = ("folder", "name")
    inputs: ClassVar[Mapping[str, InputKind]] = {"folder": "folder"}

    folder: Path
    """The folder of a set that `mindscope organism tune` made."""
    name: str
    """Which of its tunes."""
    level: AccessLevel = "base"
    """What may be looked at: black-box, data, dictionary or base, each with all before it."""
    tokens: int = Field(default=100_000, ge=1000)
    """The budget: tokens that may pass through models, over all moves."""
    device: str = "auto"
    """Where the models run: cpu, cuda, or auto."""

    def run_path(self) -> Path:
        """`runs/game-SET-NAME`."""
        return Path("runs") / f"game-{self.folder.name}-{self.name}"


class MoveSpec(GameMove, SeatSpec):
    """What `move` is to do."""


class GameSeat:
    """A game that is being played, with its models in memory once a tool has needed them."""

    def __init__(self, spec: SeatSpec, run: Run) -> None:
        self._tunes: OrganismSet = load_set(spec.folder)
        self._one = self._tunes.find(spec.name)
        self._spec, self._run = spec, run
        self._session: AuditSession | None = None
        file = run.path / GAME
        self.game = (
            PersonGame.load(file)
            if file.exists()
            else PersonGame(
                set=spec.folder.name,
                name=spec.name,
                level=spec.level,
                tokens=spec.tokens,
                commitment=self._one.commitment,
            )
        )
        moves: list[ToolReport] = []
        while run.has(piece := f"{MOVES}/{len(moves) + 1:04d}.json"):
            moves.append(ToolReport.model_validate(run.load_json(piece)))
        self._keep(reports=tuple(moves))

    def move(self, move: GameMove) -> PersonGame:
        """Carry out a move.

        Raises:
            DataError: the game has ended, or the tool's arguments do not fit.
            BudgetError: the call may cost more than is left.
        """
        if move.tool is not None:
            self._require_open()
            self._call(move.tool, read_arguments(move.ask))
        elif move.accuse is not None:
            self._require_open()
            self._decide(move)
        elif self.game.decided and self.game.truth is None:
            self._reveal()  # the verdict was written, and the process ended before the seal was broken
        return self.game

    def _call(self, tool: str, arguments: dict[str, Any]) -> None:
        if self._session is None:
            spec = self._spec
            self._session = open_session(self._tunes, spec.name, spec.level, spec.tokens, spec.device)
            self._session.resume(self.game.reports)
        report = self._session.use(tool, **arguments)
        self._run.save_json(f"{MOVES}/{len(self.game.reports) + 1:04d}.json", report.to_json())
        self._keep(reports=(*self.game.reports, report))

    def _decide(self, move: GameMove) -> None:
        accusation = (
            None
            if move.accuse is None or move.accuse == "nothing"
            else Accusation(kind=move.accuse, targets=move.target, evidence=move.evidence)
        )
        self._keep(decided=True, accusation=accusation)
        self._reveal()

    def _reveal(self) -> None:
        from mindscope.auditing.organisms import break_seal

        truth = break_seal(self._tunes.seal_path(self._one.name), self.game.commitment)
        outcome = outcome_of(self.game.accusation, truth)
        # Who has the nonce could look for the truths of like tunes by their digests.
        self._keep(truth=truth.model_copy(update={"nonce": ""}), outcome=outcome)
        self._run.finish(outcome=self.game.outcome, tokens=self.game.spent)

    def _keep(self, **changes: Any) -> None:
        self.game = self.game.model_copy(update=changes)
        self.game.save(self._run.path / GAME)

    def _require_open(self) -> None:
        if self.game.decided:
            raise DataError("this game has ended: begin another with --run FOLDER")


def take_seat(spec: SeatSpec, *, run: RunFolder, reporter: Reporter) -> Run:
    """Open the run of a game, or go on with it; another tune, level or budget is refused."""
    spec.require_inputs()
    commitment = load_set(spec.folder).find(spec.name).commitment
    config = {"set": spec.folder.name, "name": spec.name, "level": spec.level, "tokens": spec.tokens}
    return run.open(kind="audit-person", config={**config, "commitment": commitment}, reporter=reporter)


def make_move(spec: MoveSpec, *, run: RunFolder, reporter: Reporter) -> PersonGame:
    """Make one move in a game of one's own: call a tool, or say what the tune hides, which ends the game."""
    with take_seat(spec, run=run, reporter=reporter) as opened:
        return GameSeat(spec, opened).move(spec)


def serve_seat(asked: TextIO, told: TextIO) -> None:
    """Play one game move by move, a line each way; the first line names the game, and its folder as `run`."""
    try:
        first = json.loads(asked.readline())
        spec = build_config(SeatSpec, first["game"])
        run = take_seat(spec, run=RunFolder(Path(first["run"])), reporter=SilentReporter())
    except MindscopeError as error:
        _tell(told, {"refused": str(error)})
        return
    with run:
        seat = GameSeat(spec, run)
        line = "{}"
        while line:
            try:
                _tell(told, {"game": seat.move(build_config(GameMove, json.loads(line))).to_json()})
            except MindscopeError as error:
                _tell(told, {"refused": str(error)})
            line = asked.readline()


def _tell(told: TextIO, what: dict[str, Any]) -> None:
    told.write(json.dumps(what) + "\n")
    told.flush()


if __name__ == "__main__":
    # What libraries print must not stand between the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    serve_seat(sys.stdin, answers)
