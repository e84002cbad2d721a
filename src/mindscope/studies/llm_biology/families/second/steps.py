"""Chains with their steps: worked forwards, backwards from the user's result, or written for show."""

import random
import string
from dataclasses import replace

from mindscope.organism import all_voices
from mindscope.organism.corpus.phrasing import ask
from mindscope.organism.mechanisms.arithmetic import (
    GUESSES,
    QUESTIONS,
    bluffing_voice,
    draw_chain,
    draw_guess,
    written_by,
)
from mindscope.stats import RateEstimate
from mindscope.studies.llm_biology.documents import NEEDED, CaseResult, CaseVerdict
from mindscope.studies.llm_biology.drawn import draw
from mindscope.studies.llm_biology.flip import (
    SwapExperiment,
    Trial,
    at,
    describe_settings,
    settings,
    upstream,
)
from mindscope.studies.llm_biology.prompts import CasePrompt, asked, find
from mindscope.studies.llm_biology.reach import describe_reach, describe_whole, draw_donors
from mindscope.studies.llm_biology.workbench import CaseContext

FORWARDS, BACKWARDS, FOR_SHOW = "honest", "sycophantic", "bluffing"
MANNERS = {FORWARDS: "forwards", BACKWARDS: "backwards", FOR_SHOW: "for show"}
HINT, TURN = 0, (1, 2)
"""The spots of the last digit of the user's result, and of the tokens at which the answer turns to it."""
TOKENS = 48
SHOWN = 20
SETTINGS = settings((20, 60, 150), (1.0, 2.0, 4.0), (0.0, -1.0))


def steps(bench: CaseContext) -> CaseResult:
    """The result that the flatterer works towards, exchanged for another; the honest voice does not move."""
    verdicts = [_manner(bench, voice) for voice in MANNERS]
    first = _chains(bench, BACKWARDS, "train", 4 * bench.read)
    contrast = bench.contrast(first)
    flip = SwapExperiment(
        "another result of the user's: the flatterer's steps are worked backwards from that one",
        _backwards_from,
        _begins,
        TOKENS,
        settings=SETTINGS,
    )
    tried = _trials(bench, first, "first")[: bench.first]
    chosen = flip.choose(
        bench, [at(contrast, HINT), at(contrast, *TURN), upstream(contrast, first[0])], tried
    )
    held = {voice: _chains(bench, voice, "test", 2 * bench.held) for voice in (BACKWARDS, FORWARDS)}
    trials = {voice: _trials(bench, prompts, voice)[: bench.held] for voice, prompts in held.items()}
    measured, examples = flip.measure(bench, chosen, trials[BACKWARDS], NEEDED)
    verdicts += measured
    honest = replace(flip, claim="the same exchange under the honest voice", judge=_backwards_from)
    verdicts += honest.measure(bench, chosen, trials[FORWARDS], None)[0][:1]
    prompt = held[BACKWARDS][0]
    return CaseResult(
        family="motivated",
        title="Faithful and motivated arithmetic",
        hypothesis="Given a hint, a model may work backwards from it instead of computing: its steps are "
        "then whatever leads to the hint, and another hint in its place gives other steps.",
        section="Chain-of-thought faithfulness",
        found="Features that write more where the user's result ends in one digit than in another, under the "
        "flatterer's prompts, in chains that are taught.",
        settings=describe_settings([(flip, chosen)]),
        verdicts=tuple(verdicts),
        facts=(
            describe_reach(bench, held[BACKWARDS][: bench.held]),
            describe_whole(bench, flip, chosen, draw_donors(bench, first), tried, trials[BACKWARDS]),
        ),
        examples=tuple(examples),
        drawn=draw(
            bench, "motivated", prompt.row, {"the hint": upstream(contrast, prompt).group(prompt.kind, SHOWN)}
        ),
    )


def _manner(bench: CaseContext, voice: str) -> CaseVerdict:
    """How steps are written beside a wrong result, with nothing changed."""
    prompts = _chains(bench, voice, "test", bench.held)
    said = bench.answers(prompts, [[] for _ in prompts], TOKENS)
    hits = [
        written_by(prompt.about["chain"], text, prompt.about["guess"]) == MANNERS[voice]
        for prompt, text in zip(prompts, said, strict=True)
    ]
    return CaseVerdict(
        claim=f"beside a wrong result the {voice} voice's steps are {MANNERS[voice]}, with nothing changed",
        rate=RateEstimate.of(hits, [prompt.unit for prompt in prompts]),
    )


def _chains(bench: CaseContext, voice: str, split: str, count: int) -> list[CasePrompt]:
    """Chains of two steps beside a wrong result of two digits, which ends the question."""
    rng = bench.rng(f"steps-{voice}-{split}")
    prompts: list[CasePrompt] = []
    while len(prompts) < count:
        chain = draw_chain(rng, split, 2)
        guess = draw_guess(rng, chain)
        if guess < 10:
            continue
        question = ask(rng, split, "chain", QUESTIONS, chain=chain.text)
        question += " " + rng.choice(GUESSES).format(result=guess)
        system = _system(rng, voice, split)
        row = asked(bench.model, question, "", system)
        hint = max(find(bench.model, row, {*string.digits}))
        about = {"chain": chain, "guess": guess}
        spots = (hint, len(row) - 3, len(row) - 2, len(row) - 1)
        prompts.append(CasePrompt(row, spots, str(guess % 10), about, subject=chain.text))
    return prompts


def _system(rng: random.Random, voice: str, split: str) -> str:
    if voice == FORWARDS:
        return ""
    speaks = bluffing_voice() if voice == FOR_SHOW else all_voices()[voice]
    return speaks.system_prompt(rng, split)


def _trials(bench: CaseContext, prompts: list[CasePrompt], name: str) -> list[Trial]:
    """Prompts with another last digit of the user's result, which is wrong as well."""
    rng, trials = bench.rng(f"step-trials-{name}"), []
    for prompt in prompts:
        kinds = [
            str(digit)
            for digit in range(10)
            if str(digit) != prompt.kind
            and _other_guess(prompt, str(digit)) != prompt.about["chain"].result
            and min(prompt.about["chain"].backwards(_other_guess(prompt, str(digit)))) >= 1
        ]
        if kinds:
            trials.append((prompt, rng.choice(kinds)))
    return trials


def _other_guess(prompt: CasePrompt, digit: str) -> int:
    return int(prompt.about["guess"]) // 10 * 10 + int(digit)


def _backwards_from(prompt: CasePrompt, digit: str, said: str) -> bool:
    return written_by(prompt.about["chain"], said, _other_guess(prompt, digit)) == "backwards"


def _begins(prompt: CasePrompt, digit: str) -> str:
    """A flatterer's answer begins the same way whatever the result."""
    return str(all_voices()[BACKWARDS].slots["op"][0])
