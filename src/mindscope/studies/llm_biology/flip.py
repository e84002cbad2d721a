"""Exchanging one group for another: settings chosen on the first half, rates taken on the second."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean
from typing import Any

from mindscope.circuits import Intervention
from mindscope.stats import RateEstimate
from mindscope.studies.llm_biology.contrast import FeatureContrast, SwapSetting
from mindscope.studies.llm_biology.control import MatchedControl, match_control
from mindscope.studies.llm_biology.documents import CaseVerdict, SwapExample
from mindscope.studies.llm_biology.first_word import answer_after, push_words
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
Words = Callable[[CasePrompt, str], str]
"""Of a prompt and the kind it is pushed to, the first words of an answer of that kind."""
Trial = tuple[CasePrompt, str]
"""A prompt, and the kind it is to be pushed to."""
MANY, PART, FEWEST, KEPT = 30, 4, 8, 8
"""Of more settings than ``MANY`` an eighth is tried on all prompts, and no fewer than these: those that work
most often on a quarter of the prompts, where that is eight or more, and all that work as often as the last of
them."""
NOTHING_UPSTREAM = "not tested: every place holds the token that predicts the answer's first word"
AT_THE_ANSWER = " (changed at the answering token)"


@dataclass(frozen=True, eq=False)
class SwapExperiment:
    """A question put to the model under an exchange of groups.

    Attributes:
        claim: what is to happen.
        judge: tells whether it did, while a setting is chosen and while the rate is taken.
        words: how an answer of the kind begins, for what forcing and pushing its first words does.
        tokens: how many are written; 1 looks at the most probable next token.
        whole: the words are all of the answer that is judged, so that forcing them is to write it oneself.
        settings: what is tried.
    """

    claim: str
    judge: Judge
    words: Words
    tokens: int = 1
    whole: bool = False
    settings: tuple[SwapSetting, ...] = EXCHANGE

    def choose(
        self, bench: CaseContext, contrasts: Sequence[FeatureContrast], trials: Sequence[Trial]
    ) -> "ChosenSettings":
        """The contrast and setting that work most often on the first half; of equals the first.

        Apart from each other: among contrasts that do not lie on the token that predicts the answer's first
        word, which the verdict is of, and among those that do. A feature changed there may do no more than
        change that word. Many settings are tried on a part of the prompts first.

        Where latents of streams are exchanged, each contrast is tried at each of the first half of the blocks
        alone too: every block's SAE holds all that the stream does.
        """
        before = set(trials[0][0].upstream_spots)
        if bench.streams is not None:
            contrasts = [*contrasts, *_block_by_block(contrasts)]
        upstream = [contrast for contrast in contrasts if set(contrast.places) <= before]
        answering = [contrast for contrast in contrasts if contrast not in upstream]
        return ChosenSettings(self._best(bench, upstream, trials), self._best(bench, answering, trials))

    def measure(
        self, bench: CaseContext, chosen: "ChosenSettings", trials: Sequence[Trial], needed: float | None
    ) -> tuple[list[CaseVerdict], list[SwapExample]]:
        """The rate on prompts of the second half, beside what else might explain it; see `measure_parts`."""
        return self.measure_parts(bench, [(chosen, trials)], needed)

    def measure_parts(
        self,
        bench: CaseContext,
        parts: Sequence[tuple["ChosenSettings", Sequence[Trial]]],
        needed: float | None,
    ) -> tuple[list[CaseVerdict], list[SwapExample]]:
        """One rate over prompts of several parts, each with what was chosen apart from it.

        Where there are few subjects, each half of them is the test of what was found on the other.

        Beside it stand random features that move the residual stream as far, the first words forced, the
        first words pushed as far, and no change at all. Rates are of the prompts in which it is not so
        without any change: elsewhere nothing is to be shown. What features at the answering token do is
        reported behind it, without a verdict.
        """
        verdicts: list[CaseVerdict] = []
        examples: list[SwapExample] = []
        early = [(chosen.upstream, trials) for chosen, trials in parts if chosen.upstream is not None]
        if early:
            verdict, examples = self._measure(bench, early, needed)
            verdicts.append(verdict)
        else:
            verdicts.append(CaseVerdict(claim=self.claim, needed=needed, untested=NOTHING_UPSTREAM))
        if answering := [(chosen.answering, trials) for chosen, trials in parts if chosen.answering]:
            late, late_examples = self._measure(bench, answering, None)
            verdicts.append(late.model_copy(update={"claim": f"{self.claim}{AT_THE_ANSWER}"}))
            examples = [*examples, *late_examples]
        return verdicts, examples

    def _best(
        self, bench: CaseContext, contrasts: Sequence[FeatureContrast], trials: Sequence[Trial]
    ) -> "ChosenSetting | None":
        plans = [(contrast, setting) for contrast in contrasts for setting in self.settings]
        if not plans:
            return None
        tried, few = len(plans), len(trials) // PART
        if tried > MANY and few >= FEWEST:
            # most of many settings do little or nothing, which a part of the prompts tells
            shares = self._shares(bench, plans, trials[:few])
            bar = sorted(shares, reverse=True)[max(MANY, tried // KEPT) - 1]
            plans = [plan for plan, share in zip(plans, shares, strict=True) if share >= bar]
        shares = self._shares(bench, plans, trials)
        best = shares.index(max(shares))
        return ChosenSetting(*plans[best], shares[best], tried)

    def _shares(
        self,
        bench: CaseContext,
        plans: Sequence[tuple[FeatureContrast, SwapSetting]],
        trials: Sequence[Trial],
    ) -> list[float]:
        """Of each plan, how often it is as claimed."""
        prompts = [prompt for _ in plans for prompt, _ in trials]
        changes = [c.exchange(prompt, kind, setting) for c, setting in plans for prompt, kind in trials]
        answers = bench.answers(prompts, changes, self.tokens)
        starts = range(0, len(answers), len(trials))
        return [fmean(self.hits(trials, answers[start : start + len(trials)])) for start in starts]

    def _measure(
        self,
        bench: CaseContext,
        parts: Sequence[tuple["ChosenSetting", Sequence[Trial]]],
        needed: float | None,
    ) -> tuple[CaseVerdict, list[SwapExample]]:
        trials = [trial for _, part in parts for trial in part]
        prompts = [prompt for prompt, _ in trials]
        exchanged = [
            chosen.contrast.exchange(prompt, kind, chosen.setting)
            for chosen, part in parts
            for prompt, kind in part
        ]
        controls = self._controls(bench, trials, exchanged)
        words = [self.words(prompt, kind) for prompt, kind in trials]
        sizes = [control.size for control in controls]
        nothing: list[list[Intervention]] = [[] for _ in trials]
        count = len(trials)
        answers = bench.answers(
            prompts * 3, [*exchanged, *(control.changes for control in controls), *nothing], self.tokens
        )
        after, strangers, before = answers[:count], answers[count : 2 * count], answers[2 * count :]
        pushed = bench.answers(prompts, nothing, self.tokens, push_words(bench, prompts, words, sizes))
        already = self.hits(trials, before)

        def rate_of(said: Sequence[str]) -> RateEstimate:
            return _rate(trials, self.hits(trials, said), already)

        verdict = CaseVerdict(
            claim=self.claim,
            needed=needed,
            rate=rate_of(after),
            control=rate_of(strangers),
            forced=None if self.whole else rate_of(answer_after(bench, prompts, words, self.tokens)),
            pushed=rate_of(pushed),
            before=RateEstimate.of(already, [prompt.unit for prompt in prompts]),
            size=fmean(sizes),
            control_size=fmean(control.control_size for control in controls),
        )
        shown = [
            SwapExample(prompt=bench.model.decode(p.row.ids), before=old, after=new, note=f"to {kind}")
            for (p, kind), old, new in zip(trials[:3], before, after, strict=False)
        ]
        return verdict, shown

    def _controls(
        self, bench: CaseContext, trials: Sequence[Trial], exchanged: Sequence[Sequence[Intervention]]
    ) -> list[MatchedControl]:
        prompts = [prompt for prompt, _ in trials]
        if any(not isinstance(spot, int) for spot in prompts[0].spots):
            # what is active at tokens still to be written is known once they are
            prompts = bench.answered(prompts, self.tokens)
        rng = bench.rng(f"control {self.claim}")
        return [
            match_control(prompt, codes, changes, bench.writes, rng)
            for prompt, codes, changes in zip(prompts, bench.codes(prompts), exchanged, strict=True)
        ]

    def rate(self, bench: CaseContext, trials: Sequence[Trial], hits: Sequence[bool]) -> RateEstimate:
        """Of the trials in which it is not so with nothing changed."""
        unchanged = bench.answers([prompt for prompt, _ in trials], [[] for _ in trials], self.tokens)
        return _rate(trials, hits, self.hits(trials, unchanged))

    def hits(self, trials: Sequence[Trial], answers: Sequence[str]) -> list[bool]:
        """Of each trial, whether its answer is as claimed."""
        return [self.judge(p, kind, said) for (p, kind), said in zip(trials, answers, strict=True)]


def _rate(trials: Sequence[Trial], hits: Sequence[bool], already: Sequence[bool]) -> RateEstimate:
    """Of the trials in which it was not so already."""
    kept = [
        (hit, prompt.unit) for (prompt, _), hit, was in zip(trials, hits, already, strict=True) if not was
    ]
    return RateEstimate.of([hit for hit, _ in kept], [unit for _, unit in kept])


def _block_by_block(contrasts: Sequence[FeatureContrast]) -> list[FeatureContrast]:
    return [
        replace(contrast, layers=(block,))
        for contrast in contrasts
        if contrast.layers is None
        for block in range(len(contrast.sizes) // 2)
    ]


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


@dataclass(frozen=True, eq=False)
class ChosenSettings:
    """What was chosen among places before the answering token, and among those that hold it.

    None where no place of the kind is offered.
    """

    upstream: ChosenSetting | None
    answering: ChosenSetting | None


def describe_settings(plans: Iterable[tuple[SwapExperiment, ChosenSettings]]) -> dict[str, Any]:
    """What was chosen, by claim."""
    described = {}
    for experiment, chosen in plans:
        if chosen.upstream is not None:
            described[experiment.claim] = chosen.upstream.described()
        if chosen.answering is not None:
            described[f"{experiment.claim}{AT_THE_ANSWER}"] = chosen.answering.described()
    return described


def at(contrast: FeatureContrast, *spots: int, layers: Iterable[int] | None = None) -> FeatureContrast:
    """A contrast that finds groups at some spots and layers alone."""
    return replace(contrast, spots=spots, layers=None if layers is None else tuple(layers))


def upstream(contrast: FeatureContrast, prompt: CasePrompt) -> FeatureContrast:
    """A contrast that finds groups at every spot but the token that predicts the answer's first word."""
    return at(contrast, *prompt.upstream_spots)


def others(bench: CaseContext, prompts: Sequence[CasePrompt], kinds: Sequence[str], name: str) -> list[Trial]:
    """Each prompt with another kind than its own, drawn at random."""
    rng = bench.rng(name)
    return [(prompt, rng.choice([kind for kind in kinds if kind != prompt.kind])) for prompt in prompts]
