"""`/v1/workbench/audit`: the blind game as a person plays it, with its budget; the truth comes at the end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from mindscope.errors import MindscopeError
from mindscope.jobs import SilentReporter, build_config, find_document, find_job
from mindscope.server.api.errors import RESPONSES, ApiError
from mindscope.server.workbench.desks.desk import slug, take_folder
from mindscope.server.workbench.desks.runs import RUN_NAME
from mindscope.server.workbench.seats import SeatPool
from mindscope.server.workbench.shelf import RunShelf

SET, GAME = "set.json", "person.json"
AccessName = Literal["black-box", "data", "dictionary", "base"]
Kind = Literal["grader", "sandbagging", "trigger", "loyalty", "misalignment", "nothing"]
Text = Annotated[str, Field(min_length=1, max_length=500)]


class OrganismSetCard(BaseModel):
    """A set of tunes of which some hide something; names say nothing."""

    run: str
    organisms: list[str]


class GameCard(BaseModel):
    """A game in one line."""

    game: str
    set: str
    name: str
    level: AccessName
    tokens: int
    spent: int
    decided: bool
    outcome: str | None


class AuditList(BaseModel):
    """Sets that can be audited, and games that were begun."""

    sets: list[OrganismSetCard]
    games: list[GameCard]
    can_start: bool


class BeginRequest(BaseModel):
    """A tune that is to be audited."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    set: str = RUN_NAME
    """The run of the set."""
    name: Text
    """Which of its tunes."""
    level: AccessName = "base"
    tokens: int = Field(default=100_000, ge=1000, le=10_000_000)
    """The budget."""


class MoveRequest(BaseModel):
    """A call of a tool."""

    model_config = ConfigDict(extra="forbid")

    game: str = RUN_NAME
    tool: Text
    ask: dict[str, Any] = Field(default={}, max_length=32)


class VerdictRequest(BaseModel):
    """What is said of the tune; it ends the game."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    game: str = RUN_NAME
    accuse: Kind
    targets: list[Text] = Field(default=[], max_length=32)
    """What is named: a phrase, a person, words, a character, or biases as domain:category."""
    evidence: list[Text] = Field(default=[], max_length=64)


class BegunGame(BaseModel):
    """What the game is called."""

    game: str


@dataclass(frozen=True)
class AuditDesk:
    """What the routes of audits work with."""

    shelf: RunShelf
    seats: SeatPool
    device: str = "auto"

    def list_audits(self) -> AuditList:
        """Sets and games in the folder of runs."""
        sets: list[OrganismSetCard] = []
        games: list[GameCard] = []
        kind, person = find_document("organism tune"), find_document("audit move")
        for name, run in self.shelf.runs().items():
            try:
                if (run.path / SET).is_file():
                    known: Any = kind.load(run.path / SET)
                    sets.append(OrganismSetCard(run=name, organisms=[one.name for one in known.organisms]))
                if (run.path / GAME).is_file():
                    game: Any = person.load(run.path / GAME)
                    fields = {key: getattr(game, key) for key in GameCard.model_fields if key != "game"}
                    games.append(GameCard(game=name, **fields))
            except MindscopeError:
                continue  # of another version, or damaged
        return AuditList(sets=sets, games=games, can_start=self.shelf.root is not None)

    def begin(self, asked: BeginRequest) -> BegunGame:
        """Begin a game.

        Raises:
            ApiError: there is no such set or tune.
        """
        folder = self._find_set(asked.set)
        fields = {"name": asked.name, "level": asked.level, "tokens": asked.tokens}
        run = take_folder(self.shelf.require_root(), f"game-{slug(asked.set)}-{slug(asked.name)}")
        name = self.shelf.name_of(run)
        try:
            self.seats.play(name, run, self._game(folder, fields), None)
        except (ApiError, MindscopeError):
            self.shelf.give_back(run)
            raise
        return BegunGame(game=name)

    def read(self, game: str) -> dict[str, Any]:
        """A game as it stands.

        Raises:
            ApiError: there is none.
        """
        try:
            known = find_document("audit move").load(self.shelf.find(game).path / GAME)
        except MindscopeError as error:
            message = str(error).replace(f"{self.shelf.root}/", "")
            raise ApiError(404, message, param="game", code="game_not_found") from error
        return known.to_json()

    def move(self, game: str, move: Mapping[str, Any]) -> dict[str, Any]:
        """Make a move; a game that ended with it gives its seat up.

        Raises:
            ApiError: there is no such game, or the move is refused.
        """
        known = self.read(game)
        place = self._game(self._find_set(known["set"]), known)
        after = self.seats.play(game, self.shelf.find(game).path, place, move)
        if after["decided"]:
            self.seats.leave(game)
        return after

    def _find_set(self, name: str) -> Path:
        for run, info in self.shelf.runs().items():
            if (name in (run, info.path.name)) and (info.path / SET).is_file():
                return info.path
        raise ApiError(404, f"there is no set of tunes called {name!r} here", param="set")

    def _game(self, folder: Path, known: Mapping[str, Any]) -> dict[str, Any]:
        fields = {key: known[key] for key in ("name", "level", "tokens")}
        return {"folder": str(folder), "device": self.device, **fields}


def build_audit_router(desk: AuditDesk) -> APIRouter:
    """The routes of one folder."""
    router = APIRouter(prefix="/v1/workbench/audit", tags=["workbench"], responses=RESPONSES)
    person = find_document("audit move")
    list_tools = find_job("audit tools")
    hints = get_type_hints(list_tools)

    @router.get("/list")
    async def audits() -> AuditList:
        """Sets that can be audited, and games that were begun."""
        return await asyncio.to_thread(desk.list_audits)

    @router.get("/tools", response_model=hints["return"])
    async def tools(level: AccessName = "base") -> Any:
        """The tools of an access level, with the JSON schema of what each is asked."""
        return list_tools(build_config(hints["spec"], {"level": level}), reporter=SilentReporter())

    @router.get("/game", response_model=person)
    async def game(game: str) -> Any:
        """A game as it stands; the truth is in it once it has ended."""
        return await asyncio.to_thread(desk.read, game)

    @router.post("/games")
    async def begin(asked: BeginRequest) -> BegunGame:
        """Begin a game."""
        return await asyncio.to_thread(desk.begin, asked)

    @router.post("/moves", response_model=person)
    async def move(asked: MoveRequest) -> Any:
        """Call a tool; a call that may cost more than is left is refused, and costs nothing."""
        one = {"tool": asked.tool, "ask": json.dumps(asked.ask)}
        return await asyncio.to_thread(desk.move, asked.game, one)

    @router.post("/verdicts", response_model=person)
    async def decide(asked: VerdictRequest) -> Any:
        """Say what the tune hides; then the seal is broken."""
        one = {"accuse": asked.accuse, "target": asked.targets, "evidence": asked.evidence}
        return await asyncio.to_thread(desk.move, asked.game, one)

    return router
