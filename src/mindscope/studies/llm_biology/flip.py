"""Exchanging one group for another: settings chosen on the first half, rates taken on the second."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from mindscope.stats import RateEstimate
from mindscope.studies.llm_biology.contrast import FeatureContrast, SwapSetting
from mindscope.studies.llm_biology.documents import CaseVerdict, SwapExample
from mindscope.studies.llm_biology.prompts import CasePrompt
from mindscope.studies.llm_biology.workbench import CaseContext


def settings(
    sizes: Sequence[int], strengths: Sequence[float] = (1.0,), factors: Sequence[float] = (0.0,)
) -> tuple[SwapSetting, ...]:
    """All combinations, the mildest first."""
    return tuple(
        SwapSetting(size, strength, factor) for size in sizes for strength in strengths for factor in factors
    )


EXCHANGE = settings((20, 60), (1.0, 2.0), (0.0, -1.0))
INJECT = settings((10, 20, 60), (1.0, 2.0, 3.0), (1.0,))
Judge = Callable[[CasePrompt, str, str], bool]
"""Of a prompt, the kind it was pushed to, and the answer: whether the answer is of that kind."""
Trial = tuple[CasePrompt, str]
"""A prompt, and the kind it is to be pushed to."""


@dataclass(frozen=True, eq=False)
class SwapExperiment:
    """A question put to the model under an exchange of groups.

    Attributes:
        claim: what is to happen.
        judge: tells whether it did.
        tokens: how many are written; 1 looks at the most probable next token.
        choosing, choosing_judge: the same while a setting is chosen, where less tells enough.
        settings: what is tried.
    """

    claim: str
    judge: Judge
    tokens: int = 1
    choosing: int | None = None
    choosing_judge: Judge | None = None
    settings: tuple[SwapSetting, ...] = EXCHANGE

    def choose(
        self, bench: CaseContext, contrasts: Sequence[FeatureContrast], trials: Sequence[Trial]
    ) -> "ChosenSetting":
        """The contrast and setting that work most often on the first half; of equals the first."""
        plans = [(contrast, setting) for contrast in contrasts for setting in self.settings]
        prompts = [prompt for _ in plans for prompt, _ in trials]
        changes = [c.exchange(prompt, kind, setting) for c, setting in plans for prompt, kind in trials]
        answers = bench.answers(prompts, changes, self.choosing or self.tokens)
        judge = self.choosing_judge or self.judge
        shares = []
        for number in range(len(plans)):
            plan_answers = answers[number * len(trials) : (number + 1) * len(trials)]
            hits = [judge(p, kind, said) for (p, kind), said in zip(trials, plan_answers, strict=True)]
            shares.append(sum(hits) / len(hits))
        best = shares.index(max(shares))
        return ChosenSetting(*plans[best], shares[best], len(plans))

    def measure(
        self, bench: CaseContext, chosen: "ChosenSetting", trials: Sequence[Trial], needed: float | None
    ) -> tuple[CaseVerdict, list[SwapExample]]:
        """The rate on prompts of the second half, beside random groups and no change at all.

        Rates are of the prompts in which it is not so without any change: elsewhere nothing is to be shown.
        """
        contrast, setting = chosen.contrast, chosen.setting
        rng = bench.rng(f"control {self.claim}")
        prompts = [prompt for prompt, _ in trials]
        exchanged = [contrast.exchange(prompt, kind, setting) for prompt, kind in trials]
        control = [contrast.random_exchange(prompt, kind, setting, rng) for prompt, kind in trials]
        nothing: list[list[Any]] = [[] for _ in trials]
        answers = bench.answers(prompts * 3, [*exchanged, *control, *nothing], self.tokens)
        count = len(trials)
        after, strangers, before = answers[:count], answers[count : 2 * count], answers[2 * count :]
        already = self._hits(trials, before)
        rate, control = (
            RateEstimate.of(
                [hit for hit, so in zip(self._hits(trials, said), already, strict=True) if not so]
            )
            for said in (after, strangers)
        )
        verdict = CaseVerdict(
            claim=self.claim, needed=needed, rate=rate, control=control, before=RateEstimate.of(already)
        )
        shown = [
            SwapExample(prompt=bench.model.decode(p.row.ids), before=old, after=new, note=f"to {kind}")
            for (p, kind), old, new in zip(trials[:3], before, after, strict=False)
        ]
        return verdict, shown

    def _hits(self, trials: Sequence[Trial], answers: Sequence[str]) -> list[bool]:
        return [self.judge(p, kind, said) for (p, kind), said in zip(trials, answers, strict=True)]


@dataclass(frozen=True, eq=False)
class ChosenSetting:
    """What was chosen on the first half, and the share it reached there."""

    contrast: FeatureContrast
    setting: SwapSetting
    share: float
    tried: int

    def described(self) -> dict[str, Any]:
        """For the case."""
        where: dict[str, Any] = {"spots": self.contrast.spots, "layers": self.contrast.layers}
        kept = {name: list(value) for name, value in where.items() if value is not None}
        return {**asdict(self.setting), **kept, "share on the first half": self.share, "tried": self.tried}


def at(contrast: FeatureContrast, *spots: int, layers: Iterable[int] | None = None) -> FeatureContrast:
    """A contrast that finds groups at some spots and layers alone."""
    return replace(contrast, spots=spots, layers=None if layers is None else tuple(layers))


def others(bench: CaseContext, prompts: Sequence[CasePrompt], kinds: Sequence[str], name: str) -> list[Trial]:
    """Each prompt with another kind than its own, drawn at random."""
    rng = bench.rng(name)
    return [(prompt, rng.choice([kind for kind in kinds if kind != prompt.kind])) for prompt in prompts]
