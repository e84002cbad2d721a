"""What one model shows beside the base: its answers, divergences and latents, read once."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from mindscope.core import Progress
from mindscope.dictionaries import DictionaryBank
from mindscope.diffing.answering import answer_prompts
from mindscope.diffing.config import LEAST_PROMPTS, DiffConfig
from mindscope.diffing.ladder.distributions import PromptDivergences, compare_prompts
from mindscope.diffing.ladder.latents import LatentRates, measure_rates
from mindscope.diffing.pairing import Prompt, chat_row, question_of, system_of
from mindscope.errors import DataError, JudgeError
from mindscope.judges import Judge, JudgeItem, Rubric
from mindscope.models import Model, Row
from mindscope.store import Run, part_of


@dataclass(frozen=True)
class SplitPrompts:
    """Prompts that candidates come from, and others that they are tested on; none is in both."""

    discovery: tuple[Prompt, ...]
    held_out: tuple[Prompt, ...]

    @property
    def all(self) -> tuple[Prompt, ...]:
        """Both, the discovery prompts first."""
        return (*self.discovery, *self.held_out)


def split_prompts(prompts: Sequence[Prompt], config: DiffConfig) -> SplitPrompts:
    """Halves of different prompts in a random order that the seed decides.

    Raises:
        DataError: fewer than forty are different.
    """
    different = list({repr([dict(turn) for turn in prompt]): prompt for prompt in prompts}.values())
    if len(different) < LEAST_PROMPTS:
        raise DataError(
            f"{len(different)} different prompts are too few to find candidates and to test them: give "
            f"{LEAST_PROMPTS} or more"
        )
    random.Random(config.seed).shuffle(different)
    chosen = different[: config.n_prompts]
    return SplitPrompts(tuple(chosen[0::2]), tuple(chosen[1::2]))


@dataclass
class ObservedModel:
    """A model beside its base, on the prompts of a comparison.

    Attributes:
        model: whose answers these are; the base itself for the base.
        base: what it is compared with.
        prompts: those of discovery and those held out.
        banks: dictionaries of the base by name.
        comparable: whether both read the same tokens, so that distributions can be compared.
    """

    model: Model
    base: Model
    prompts: SplitPrompts
    config: DiffConfig
    run: Run
    banks: Mapping[str, DictionaryBank] = field(default_factory=dict)
    comparable: bool = True
    progress: Progress | None = None
    _scores: dict[str, np.ndarray] = field(default_factory=dict)
    _rates: dict[str, tuple[LatentRates, LatentRates]] = field(default_factory=dict)
    _divergences: dict[bool, PromptDivergences] = field(default_factory=dict)

    @cached_property
    def answers(self) -> list[str]:
        """One a prompt, of all prompts."""
        name = f"answers/{self.model.fingerprint[:16]}"
        return answer_prompts(
            self.model, self.prompts.all, self.config, self.run, name, progress=self.progress
        )

    @property
    def n_discovery(self) -> int:
        """How many of the answers are to discovery prompts; the others are held out."""
        return len(self.prompts.discovery)

    @property
    def discovery_answers(self) -> list[str]:
        """Those that candidates come from."""
        return self.answers[: self.n_discovery]

    @property
    def held_out_answers(self) -> list[str]:
        """Those that claims are tested on."""
        return self.answers[self.n_discovery :]

    def divergences(self, base: "ObservedModel", *, held_out: bool) -> PromptDivergences:
        """How far the next-token distributions lie from the base's, on one half of the prompts."""
        if held_out not in self._divergences:
            prompts = self.prompts.held_out if held_out else self.prompts.discovery
            chosen = slice(self.n_discovery, None) if held_out else slice(self.n_discovery)
            self._divergences[held_out] = compare_prompts(
                base.model, self.model, prompts, base.answers[chosen], self.answers[chosen], self.progress
            )
        return self._divergences[held_out]

    def rows(self, *, held_out: bool) -> list[Row]:
        """This model's answers on one half of the prompts, as rows."""
        prompts = self.prompts.held_out if held_out else self.prompts.discovery
        answers = self.held_out_answers if held_out else self.discovery_answers
        return [chat_row(self.base, prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)]

    def rates(self, name: str, *, held_out: bool, of_base: bool) -> LatentRates:
        """How often latents are active on this model's answers, in the base or in this model."""
        key = f"{name}/{held_out}"
        if key not in self._rates:
            rows = self.rows(held_out=held_out)
            bank = self.banks[name]
            self._rates[key] = (
                measure_rates(self.base, bank, rows, self.progress),
                measure_rates(self.model, bank, rows, self.progress),
            )
        return self._rates[key][0 if of_base else 1]

    def scores(self, judge: Judge, rubric: Rubric) -> np.ndarray:
        """The judge's trait score of each held-out answer, NaN where there is none; kept in the run."""
        if rubric.name not in self._scores:
            self._scores[rubric.name] = judge_texts(
                judge,
                rubric,
                self.prompts.held_out,
                self.held_out_answers,
                self.run,
                f"scores/{self.model.fingerprint[:16]}",
            )
        return self._scores[rubric.name]


def judge_texts(
    judge: Judge, rubric: Rubric, prompts: Sequence[Prompt], answers: Sequence[str], run: Run, name: str
) -> np.ndarray:
    """Trait scores of answers, `[prompts]`, NaN for those that the judge did not score.

    Raises:
        JudgeError: the judge was not reached for some; nothing of these answers is kept, so that the same
            command asks again.
    """
    piece = f"{part_of(name, rubric.name)}.json"
    if not run.has(piece):
        items = [
            JudgeItem(question_of(prompt), answer, system_of(prompt))
            for prompt, answer in zip(prompts, answers, strict=True)
        ]
        spoken = [item for item in items if item.answer.strip()]
        judged = dict(zip(spoken, judge.judge(rubric, spoken), strict=True)) if spoken else {}
        n_silent = sum(one.trait.status == "unanswered" for one in judged.values())
        if n_silent:
            raise JudgeError(
                f"{judge.name} was not reached for {n_silent} of {len(judged)} answers: start the same "
                "command again once it answers"
            )
        run.save_json(piece, [judged[item].trait.value if item in judged else None for item in items])
    return np.array([np.nan if value is None else value for value in run.load_json(piece)], np.float64)
