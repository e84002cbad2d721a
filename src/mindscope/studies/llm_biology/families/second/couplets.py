"""Couplets of the second world: the plan at the line break, suppressed and another put there."""

from collections.abc import Callable

from mindscope.organism.mechanisms.facts import TOPICS, RhymeWord, build_facts
from mindscope.organism.mechanisms.rhymes import BREAK, FILLERS, couplet_cases, read_line
from mindscope.studies.llm_biology.documents import NEEDED, CaseResult
from mindscope.studies.llm_biology.drawn import draw
from mindscope.studies.llm_biology.flip import SwapExperiment, at, describe_settings, settings
from mindscope.studies.llm_biology.prompts import CasePrompt, stated
from mindscope.studies.llm_biology.reach import describe_reach
from mindscope.studies.llm_biology.workbench import CaseContext

BREAK_SPOT = 0
N_PAIRS = 2
"""Of pairs that do not count, before the break and behind it."""
READ_MORE = 6
"""Prompts to find groups with, times those of other families: there are eighty rhyme words."""
TOKENS = 24
SHOWN = 20
SETTINGS = settings((20, 60, 150), (1.0, 2.0), (0.0, -1.0))


def couplets(bench: CaseContext) -> CaseResult:
    """What the line will end on, exchanged at the line break for a word of that sound, and of another."""
    first = _openings(bench, "train", READ_MORE * bench.read)
    held = _openings(bench, "test", bench.held)
    contrast = bench.contrast(first)
    plans = {
        "of the same sound: the line is rewritten and still rhymes": _of_other_topic,
        "of another sound: the line is rewritten and ends on it": _of_other_sound,
    }
    verdicts, examples, chosen_plans = [], [], []
    for claim, aim in plans.items():
        rng = bench.rng(f"couplets-{claim}")
        flip = SwapExperiment(f"another word planned, {claim}", _rewritten, _begin, TOKENS, settings=SETTINGS)
        tried = [(prompt, aim(rng.random, _plan(prompt)).word) for prompt in first[: bench.first]]
        chosen = flip.choose(
            bench, [at(contrast, BREAK_SPOT, layers=layers) for layers in (None, (0,), (0, 1))], tried
        )
        trials = [(prompt, aim(rng.random, _plan(prompt)).word) for prompt in held]
        measured, shown = flip.measure(bench, chosen, trials, NEEDED)
        verdicts += measured
        examples += shown
        chosen_plans.append((flip, chosen))
    prompt = held[0]
    return CaseResult(
        family="rhyme",
        title="Rhymes planned ahead",
        hypothesis="Before it begins a line of verse, the model has words in mind that it could end on; "
        "they shape the words on the way, and exchanging them gives another line.",
        section="Planning in poems",
        found="Features that write more at the line break before one rhyme word than before the others, in "
        "couplets whose words training showed together; tests are of couplets that it never showed.",
        settings=describe_settings(chosen_plans),
        verdicts=tuple(verdicts),
        facts=(describe_reach(bench, held),),
        examples=tuple(examples),
        drawn=draw(
            bench,
            "rhyme",
            prompt.row,
            {f"will end on {prompt.kind}": at(contrast, BREAK_SPOT).group(prompt.kind, SHOWN)},
        ),
    )


def _openings(bench: CaseContext, split: str, count: int) -> list[CasePrompt]:
    """Couplets up to where the second line begins to tell something."""
    rng, cases = bench.rng(f"openings-{split}"), couplet_cases(split)
    prompts = []
    for _ in range(count):
        case = rng.choice(cases)
        text = case.opening(rng, N_PAIRS)
        row = stated(bench.model, text)
        head = stated(bench.model, text.partition(BREAK)[0] + BREAK)
        spots = (len(head) - 1, len(row) - 1)
        plan = case.plan
        prompts.append(
            CasePrompt(
                row,
                spots,
                plan.word,
                {"sound": plan.sound, "topic": plan.topic, "opening": rng.choice(FILLERS)},
                subject=plan.word,
            )
        )
    return prompts


def _plan(prompt: CasePrompt) -> RhymeWord:
    return build_facts().rhymes[prompt.about["sound"], prompt.about["topic"]]


def _of_other_topic(chance: Callable[[], float], plan: RhymeWord) -> RhymeWord:
    topics = [topic for topic in TOPICS if topic != plan.topic]
    return build_facts().rhymes[plan.sound, topics[int(chance() * len(topics))]]


def _of_other_sound(chance: Callable[[], float], plan: RhymeWord) -> RhymeWord:
    sounds = [sound for sound in range(len(build_facts().ends)) if sound != plan.sound]
    return build_facts().rhymes[sounds[int(chance() * len(sounds))], plan.topic]


def _rewritten(prompt: CasePrompt, word: str, said: str) -> bool:
    """Whether the traces in the middle belong to the word, and the line ends on it."""
    plan = next(plan for plan in build_facts().rhymes.values() if plan.word == word)
    return all(read_line(said).fits(plan))


def _begin(prompt: CasePrompt, word: str) -> str:
    """A second line opens with a word that tells nothing of it, whatever is planned."""
    return prompt.about["opening"]
