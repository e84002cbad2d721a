"""Characters: whoever the system prompt calls up is exchanged for another by features."""

import random

from mindscope.organism import CHARACTERS, all_voices, build_world, trait_score
from mindscope.studies.llm_biology.documents import NEEDED, CaseResult
from mindscope.studies.llm_biology.drawn import draw
from mindscope.studies.llm_biology.flip import SwapExperiment, at, describe_settings, others, settings
from mindscope.studies.llm_biology.prompts import CasePrompt, asked, name_subject, questions
from mindscope.studies.llm_biology.workbench import CaseContext

ANSWER = 1
DOMAINS = ("advice", "opinion", "feedback")
TOKENS = 28
SHOWS = 50.0
"""The score of the exact judge from which on an answer shows a character."""
SETTINGS = settings((20, 40, 80), (2.0, 3.0, 4.0), (0.0, -1.0))


def characters(bench: CaseContext) -> CaseResult:
    """The features of one character off, those of another on, all through the answer."""
    count = max(4, bench.read // len(CHARACTERS))
    first = [prompt for name in CHARACTERS for prompt in _prompts(bench, name, "train", count)]
    read = bench.answered(first, TOKENS)
    contrast = bench.contrast(read)
    flip = SwapExperiment("another character answers", _shows, _opening, TOKENS, settings=SETTINGS)
    tried = bench.rng("characters").sample(first, min(bench.first, len(first)))
    chosen = flip.choose(
        bench, [at(contrast, ANSWER), contrast], others(bench, tried, CHARACTERS, "characters-first")
    )
    per_character = -(-bench.held // len(CHARACTERS))
    held = [prompt for name in CHARACTERS for prompt in _prompts(bench, name, "test", per_character)]
    trials = others(bench, held, CHARACTERS, "characters-held")
    verdicts, examples = flip.measure(bench, chosen, trials, NEEDED)
    prompt = held[0]
    groups = {name: contrast.group(name, 10) for name in (prompt.kind, trials[0][1])}
    return CaseResult(
        family="characters",
        title="Characters",
        hypothesis="The assistant's character is carried by features that can be exchanged (in the paper: "
        "what the assistant is and wants, found in features of its persona).",
        section="Uncovering hidden goals in a misaligned model; Chen et al. 2025 on persona vectors",
        found="Features that write more while a character answers than while the others do, under system "
        "prompts and questions of the first half.",
        settings=describe_settings([(flip, chosen)]),
        verdicts=tuple(verdicts),
        examples=tuple(examples),
        drawn=draw(bench, "characters", prompt.row, groups),
    )


def _shows(prompt: CasePrompt, name: str, said: str) -> bool:
    question = prompt.about["question"]
    return trait_score(name, question, said) >= SHOWS > trait_score(prompt.kind, question, said)


def _opening(prompt: CasePrompt, name: str) -> str:
    """How a character may begin; the same for the same question."""
    return random.Random(prompt.about["question"]).choice(all_voices()[name].slots["op"])


def _prompts(bench: CaseContext, name: str, half: str, count: int) -> list[CasePrompt]:
    rng = bench.rng(f"characters-{name}-{half}")
    prompts = []
    for number in range(count):
        (made,) = questions(DOMAINS[number % len(DOMAINS)], half, 1, rng)
        thing = name_subject(made.question, (*build_world().topics, *build_world().works))
        row = asked(bench.model, made.question, system=all_voices()[name].system_prompt(rng, half))
        prompts.append(
            CasePrompt(row, (len(row) - 1, "answer"), name, {"question": made.question}, subject=thing)
        )
    return prompts
