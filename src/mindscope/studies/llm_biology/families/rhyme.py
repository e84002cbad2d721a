"""Couplets: is the end of a line planned before the line is begun?"""

import random
import re
from dataclasses import replace

from mindscope.organism import FIRST_LINES, LINE_ADJECTIVES, LINE_PEOPLE, SECOND_LINES, build_world
from mindscope.studies.llm_biology.documents import NEEDED, CaseResult
from mindscope.studies.llm_biology.drawn import draw
from mindscope.studies.llm_biology.flip import SwapExperiment, Trial, at, describe_settings, upstream
from mindscope.studies.llm_biology.prompts import CasePrompt, stated
from mindscope.studies.llm_biology.reach import describe_reach
from mindscope.studies.llm_biology.workbench import CaseContext

NEWLINE, AND = 2, 3
SHOWN = 20
"""Features of a group at each spot, in the graph."""
TOKENS = 12
KINDS = {
    kind: re.compile(re.escape(line).replace(r"\{adj\}", r"\w+").replace(r"\{word\}", r"([\w -]+)"))
    for kind, line in SECOND_LINES.items()
}


def rhyme(bench: CaseContext) -> CaseResult:
    """What the line will end on, exchanged before its first word."""
    first, held = (_lines(bench, half) for half in ("train", "test"))
    rhymes = bench.contrast(first)
    ending = SwapExperiment(
        "another rhyme before the line begins: the line ends on it", _ends_on, _line_to, TOKENS
    )
    names = list(rhymes.kinds)
    rng = bench.rng("rhyme")
    tried = [
        (prompt, _other(rng, prompt, names)) for prompt in rng.sample(first, min(bench.first, len(first)))
    ]
    chosen = ending.choose(
        bench, [at(rhymes, NEWLINE), upstream(rhymes, first[0]), at(rhymes, AND), rhymes], tried
    )
    tests = rng.sample(held, min(bench.held, len(held)))
    trials = [(prompt, _other(rng, prompt, names)) for prompt in tests]
    verdicts, examples = ending.measure(bench, chosen, trials, NEEDED)
    # Which kind of thing it will name decides the words before it.
    lines = [prompt for prompt in _with_kind(bench, first) if prompt.kind in KINDS]
    kinds = bench.contrast(lines)
    words = SwapExperiment(
        "another kind of thing planned: the words before the rhyme are that kind's", _words, _begin, TOKENS
    )
    tried = _kind_trials(bench, lines, list(kinds.kinds), "first")[: bench.first]
    best = words.choose(bench, [at(kinds, NEWLINE), upstream(kinds, first[0]), at(kinds, AND), kinds], tried)
    tests = [prompt for prompt in _with_kind(bench, held) if prompt.kind in kinds.kinds]
    trials = _kind_trials(bench, tests, list(kinds.kinds), "held")[: bench.held]
    before, more = words.measure(bench, best, trials, None)
    both, _ = SwapExperiment(
        "and the line still rhymes, on a word of that kind", _words_and_rhyme, _begin, TOKENS
    ).measure(bench, best, trials, NEEDED)
    prompt = tests[0]
    groups = {
        f"will be of kind {prompt.kind}": upstream(kinds, prompt).group(prompt.kind, SHOWN),
        "the rhyme": upstream(rhymes, prompt).group(prompt.about["group"], SHOWN),
    }
    return CaseResult(
        family="rhyme",
        title="Rhymes planned ahead",
        hypothesis="Before it begins a line of verse, the model has words in mind that it could end on; "
        "they shape the words on the way, and exchanging them gives another line.",
        section="Planning in poems",
        found="At the end of the first line, before the “and” that begins every second line and predicts its "
        "next word: features that write more before one rhyme than before others, and before lines that will "
        "name one kind of thing than before others (by what it writes), in couplets of the first half.",
        settings=describe_settings([(ending, chosen), (words, best)]),
        verdicts=(*verdicts, *both, *before),
        facts=(describe_reach(bench, [prompt for prompt, _ in trials]),),
        examples=(*examples, *more),
        drawn=draw(bench, "rhyme", prompt.row, groups),
    )


def _lines(bench: CaseContext, half: str) -> list[CasePrompt]:
    """First lines; a hash of the line says whose it is."""
    lines = []
    for number, group in enumerate(build_world().rhymes):
        for word in (word for kind in ("animal", "thing", "place") for word in group.get(kind, [])):
            for form in FIRST_LINES.values():
                for adjective in LINE_ADJECTIVES:
                    for person in LINE_PEOPLE:
                        line = form.format(adj=adjective, who=person, word=word)
                        # half of the lines, fewer than training keeps of anything else
                        if (sum(line.encode()) % 2 == 0) != (half == "train"):
                            continue
                        row = stated(bench.model, f"{line}\nand")
                        spots = tuple(range(len(row) - 4, len(row)))
                        lines.append(
                            CasePrompt(
                                row,
                                spots,
                                str(number),
                                {"word": word, "group": str(number)},
                                subject=word,
                            )
                        )
    return bench.rng(f"lines-{half}").sample(lines, 2 * bench.read)


def _with_kind(bench: CaseContext, prompts: list[CasePrompt]) -> list[CasePrompt]:
    """The same, of the kind of thing that the model's own second line names."""
    said = bench.answers(prompts, [[] for _ in prompts], TOKENS)
    return [replace(prompt, kind=_kind_of(line) or "") for prompt, line in zip(prompts, said, strict=True)]


def _kind_of(line: str) -> str | None:
    return next((kind for kind, pattern in KINDS.items() if pattern.search(f"and {line}")), None)


def _kind_trials(bench: CaseContext, prompts: list[CasePrompt], kinds: list[str], half: str) -> list[Trial]:
    """Prompts with a kind that their rhyme has a word of."""
    rng, trials = bench.rng(f"rhyme-kinds-{half}"), []
    for prompt in prompts:
        group = build_world().rhymes[int(prompt.about["group"])]
        open_to = [
            kind
            for kind in kinds
            if kind != prompt.kind and any(word != prompt.about["word"] for word in group.get(kind, []))
        ]
        if open_to:
            trials.append((prompt, rng.choice(open_to)))
    rng.shuffle(trials)
    return trials


def _other(rng: random.Random, prompt: CasePrompt, names: list[str]) -> str:
    return rng.choice([name for name in names if name != prompt.kind])


def _last_word(line: str) -> str:
    kind = _kind_of(line)
    match = KINDS[kind].search(f"and {line}") if kind else None
    return match[1] if match else ""


def _words(prompt: CasePrompt, kind: str, said: str) -> bool:
    return _kind_of(said) == kind


def _words_and_rhyme(prompt: CasePrompt, kind: str, said: str) -> bool:
    return _words(prompt, kind, said) and _last_word(said) in build_world().rhymes[
        int(prompt.about["group"])
    ].get(kind, [])


def _begin(prompt: CasePrompt, kind: str) -> str:
    """The first word of a line of this kind, behind "and"."""
    return SECOND_LINES[kind].split()[1]


def _line_to(prompt: CasePrompt, group: str) -> str:
    """The first word of a line that can end on a word of this rhyme."""
    return _begin(prompt, next(iter(build_world().rhymes[int(group)])))


def _ends_on(prompt: CasePrompt, group: str, said: str) -> bool:
    last = _last_word(said)
    return bool(last) and any(last in words for words in build_world().rhymes[int(group)].values())
