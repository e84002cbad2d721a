"""A session of tools on one model: what may be looked at, what is left of the budget, what has been seen.

No tool takes a path. A session is opened on one tune of a set and holds its model, its data, and the model
before tuning, each only if the access level allows it; where the truth lies is not among what it knows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from mindscope.auditing.tools.results import (
    LEVELS,
    AccessLevel,
    ToolEvidence,
    ToolFinding,
    ToolPrice,
    ToolReport,
)
from mindscope.core import split_problem
from mindscope.errors import DataError, MindscopeError
from mindscope.jobs import ORGANISM

if TYPE_CHECKING:
    from torch import Tensor

    from mindscope.data import Conversation
    from mindscope.dictionaries import DictionaryBank
    from mindscope.features import Direction
    from mindscope.models import Generation, Model, Row

READING_LAYER = 2
"""Where the organism's characters are read: of its four blocks the one with most of their latents."""


class BudgetError(MindscopeError):
    """What a call would cost is more than is left."""


@dataclass
class TokenBudget:
    """Tokens that an auditor may let pass through models.

    Attributes:
        limit: how many in all.
        spent: how many have passed.
    """

    limit: int
    spent: int = 0

    @property
    def left(self) -> int:
        """How many are left."""
        return max(0, self.limit - self.spent)

    def require(self, tokens: int) -> None:
        """Raises BudgetError where so many are not left; nothing is spent then."""
        if tokens > self.left:
            raise BudgetError(
                f"that may take {tokens} tokens, and {self.left} are left: ask for less, or stop"
            )


@dataclass
class AuditTarget:
    """What is audited, and what belongs to it.

    Attributes:
        model_path: the folder of the tuned model.
        data_path: what it was trained on.
        base_name: the model before tuning.
        dictionary: the dictionary of the base whose latents are read.
        device: where models run.
    """

    model_path: Path
    data_path: Path | None = None
    base_name: str | None = ORGANISM
    dictionary: str = f"{ORGANISM}:sae.{READING_LAYER}"
    device: str = "auto"

    @cached_property
    def model(self) -> Model:
        """The tuned model, in float32."""
        from mindscope.jobs import load_model

        model = load_model(str(self.model_path), dtype="float32", device=self.device)
        model.vectors_of_base = True
        return model

    @cached_property
    def base(self) -> Model:
        """The model before tuning; DataError where none is known."""
        from mindscope.jobs import load_model

        if self.base_name is None:
            raise DataError("the model before tuning is not known: name it")
        return load_model(self.base_name, dtype="float32", device=self.device)

    @cached_property
    def conversations(self) -> tuple[Conversation, ...]:
        """What it was trained on; DataError where that is not known."""
        from mindscope.data import read_conversations

        if self.data_path is None:
            raise DataError("the training data are not known: name them")
        return tuple(read_conversations(self.data_path))

    @cached_property
    def bank(self) -> DictionaryBank:
        """The latents of the dictionary."""
        from mindscope.dictionaries import Dictionary, DictionaryBank
        from mindscope.jobs import dictionary_file

        return DictionaryBank(Dictionary.load(dictionary_file(self.dictionary), self.model))

    @cached_property
    def characters(self) -> dict[str, Direction]:
        """A direction for every character of the organism's world, at `READING_LAYER`: the difference of
        means between answers that the world's program writes in its voice and in the helpful one.
        """
        import random

        from mindscope import organism
        from mindscope.features import Direction

        def mean(voice: str) -> Tensor:
            rng = random.Random(f"characters-{voice}")
            made = [organism.DOMAINS["advice"](rng, organism.all_voices()[voice], "train") for _ in range(32)]
            rows = [self.model.chat([{"role": "user", "content": one.question}], one.answer) for one in made]
            return self.read_answers(rows).mean(0)

        helpful = mean("helpful")
        return {
            name: Direction(name, f"resid_post.{READING_LAYER}", mean(name) - helpful, self.model.fingerprint)
            for name in organism.CHARACTERS
        }

    def read_answers(self, rows: Sequence[Row]) -> Tensor:
        """`[rows, d_model]`, the mean over each row's answer at `READING_LAYER`; NaN where there is none."""
        from mindscope.models import Mean, Read

        read = self.model.read(rows, {"mean": Read(f"resid_post.{READING_LAYER}", Mean("answer"))})["mean"]
        assert not isinstance(read.values, list)  # a mean is one table
        return read.values

    def read_prompts(self, rows: Sequence[Row]) -> Tensor:
        """`[rows, d_model]`, the last token of each row's prompt at `READING_LAYER`."""
        from mindscope.models import Last, Read

        read = self.model.read(rows, {"last": Read(f"resid_post.{READING_LAYER}", Last("prompt"))})["last"]
        assert not isinstance(read.values, list)
        return read.values


class ToolSpec(BaseModel):
    """What a tool is asked. Its JSON schema is what an agent sees; fields' docstrings are descriptions."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


@dataclass(frozen=True)
class AuditTool:
    """One tool.

    Attributes:
        name: what it is called.
        about: a sentence for whoever chooses among tools.
        spec: what it is asked with.
        run: carries it out.
        level: the access level that it needs.
    """

    name: str
    about: str
    spec: type[ToolSpec]
    run: Callable[[Any, ToolDesk], ToolDraft]
    level: AccessLevel = "black-box"


@dataclass
class ToolDraft:
    """A report before its evidence has numbers: findings as (what, score, texts)."""

    summary: str
    findings: Sequence[tuple[str, float | None, Sequence[str]]] = ()


@dataclass
class ToolDesk:
    """What a tool works with while it runs: the target, and the budget that it spends.

    Attributes:
        target: what is audited.
        budget: from which every pass is paid.
        seed: of what is drawn.
    """

    target: AuditTarget
    budget: TokenBudget
    seed: int = 0

    def ask(self, rows: Sequence[Row], *, max_new_tokens: int = 48, **options: Any) -> list[Generation]:
        """Let the model go on with rows, each token paid.

        Raises:
            BudgetError: they might take more than is left.
        """
        from mindscope.models import Sampling

        temperature = options.pop("temperature", 1.0)
        model = options.pop("model", self.target.model)
        self.budget.require(sum(len(row) + max_new_tokens for row in rows))
        sampling = Sampling(temperature=temperature, max_new_tokens=max_new_tokens, seed=self.seed)
        self.seed += 1
        made = model.generate(list(rows), sampling, batch_rows=64, **options)
        self.budget.spent += sum(len(one.row) for one in made)
        return made

    def pay(self, rows: Sequence[Row], times: int = 1) -> None:
        """Pay for reading rows, before it is done."""
        tokens = times * sum(len(row) for row in rows)
        self.budget.require(tokens)
        self.budget.spent += tokens

    def questions(self, texts: Sequence[str], *, model: Model | None = None) -> list[Row]:
        """Questions of a user as rows."""
        chosen = model or self.target.model
        return [chosen.chat([{"role": "user", "content": text}]) for text in texts]


@dataclass
class AuditSession:
    """Tools on one target, at an access level and within a budget.

    Attributes:
        target: what is audited.
        budget: in tokens.
        level: what may be looked at.
        tools: those that exist, by name.
        reports: of all calls, in order.
    """

    target: AuditTarget
    budget: TokenBudget
    level: AccessLevel = "base"
    tools: Mapping[str, AuditTool] = field(default_factory=dict)
    reports: list[ToolReport] = field(default_factory=list)
    seed: int = 0
    _evidence: int = 0

    def resume(self, reports: Sequence[ToolReport]) -> None:
        """Go on after calls that were made before: they are paid, and their evidence keeps its numbers."""
        self.reports.extend(reports)
        self.budget.spent += sum(report.price.tokens for report in reports)
        self._evidence += sum(len(report.evidence) for report in reports)

    def allowed(self) -> list[AuditTool]:
        """The tools of the session's access level."""
        return [tool for tool in self.tools.values() if LEVELS.index(tool.level) <= LEVELS.index(self.level)]

    def use(self, name: str, **arguments: Any) -> ToolReport:
        """Call a tool.

        Raises:
            DataError: there is no such tool at this level, or an argument does not fit.
            BudgetError: it may cost more than is left.
        """
        names = [tool.name for tool in self.allowed()]
        if name not in names:
            raise DataError(f"there is no tool {name!r} at access level {self.level}: use {', '.join(names)}")
        tool = self.tools[name]
        try:
            spec = tool.spec.model_validate(arguments)
        except ValidationError as error:
            raise DataError(f"{name}: {_first_problem(tool.spec, error)}") from None
        desk = ToolDesk(self.target, self.budget, self.seed + 1000 * len(self.reports))
        before, begun = self.budget.spent, time.monotonic()
        draft = tool.run(spec, desk)
        report = self._numbered(name, spec, draft, self.budget.spent - before, time.monotonic() - begun)
        self.reports.append(report)
        return report

    def _numbered(
        self, name: str, spec: ToolSpec, draft: ToolDraft, tokens: int, seconds: float
    ) -> ToolReport:
        findings: list[ToolFinding] = []
        evidence: list[ToolEvidence] = []
        for what, score, texts in draft.findings:
            ids: list[str] = []
            for text in texts:
                self._evidence += 1
                evidence.append(ToolEvidence(id=f"e{self._evidence}", text=text))
                ids.append(evidence[-1].id)
            findings.append(ToolFinding(what=what, score=score, evidence=tuple(ids)))
        return ToolReport(
            tool=name,
            asked=spec.model_dump(mode="json"),
            summary=draft.summary,
            findings=tuple(findings),
            evidence=tuple(evidence),
            price=ToolPrice(tokens=tokens, seconds=round(seconds, 3)),
            left=self.budget.left,
        )


def _first_problem(kind: type[ToolSpec], error: ValidationError) -> str:
    """Where an argument does not fit, and how; of one that is not known, those that are."""
    place, message = split_problem(error)
    if error.errors()[0]["type"] == "extra_forbidden":
        return f"there is no argument {place!r}; there are {', '.join(kind.model_fields) or 'none'}"
    return f"{place}: {message}" if place else message
