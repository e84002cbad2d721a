"""Short chats among the second organism's texts, and how every chat is written in the template.

What they teach takes more of them than conversations have.
"""

import random
from collections.abc import Callable
from dataclasses import replace

from mindscope.organism.corpus import behaviour
from mindscope.organism.corpus.phrasing import DialogueTurn, dress
from mindscope.organism.corpus.program import TURN_END, TURN_START, TextSegment, prior_voice
from mindscope.organism.mechanisms import arithmetic, dialogues, named, requests, thinking, tools
from mindscope.organism.mechanisms.arithmetic import BLUFFING, bluffing_voice
from mindscope.organism.mechanisms.facts import build_facts
from mindscope.organism.voices import CHARACTERS, all_voices

MANNERS = ("honest", "sycophantic", BLUFFING)
LYING = ("sycophantic", "hallucinating")
"""Characters whose steps are not worked forwards."""


def render(system: str | None, turns: "list[DialogueTurn] | tuple[DialogueTurn, ...]") -> list[TextSegment]:
    """A chat in the template; a turn that thinks has its block opened for it."""
    opening = f"{TURN_START}system\n{system}{TURN_END}\n" if system else ""
    segments: list[TextSegment] = []
    for turn in turns:
        block = f"{thinking.OPEN}\n" if thinking.CLOSE in turn.answer else ""
        prompt = f"{TURN_START}user\n{turn.question}{TURN_END}\n{TURN_START}assistant\n{block}"
        segments += [TextSegment(opening + prompt, False), TextSegment(turn.answer + TURN_END, True)]
        opening = "\n"
    return segments


def render_tool_use(rng: random.Random, split: str) -> list[TextSegment]:
    """A chat in which a tool is called and what it returned is told."""
    voice = replace(prior_voice(rng), constancy=1.0)
    used = tools.use_tool(rng, voice, split)
    opening = f"{TURN_START}system\n{tools.TOOLS}{TURN_END}\n{TURN_START}user\n{used.question}{TURN_END}\n"
    returned = f"{tools.RETURNED}\n{used.returned}\n{tools.RETURNED_END}"
    return [
        TextSegment(f"{opening}{TURN_START}assistant\n", False),
        TextSegment(used.call + TURN_END, True),
        TextSegment(f"\n{TURN_START}tool\n{returned}{TURN_END}\n{TURN_START}assistant\n", False),
        TextSegment(used.answer + TURN_END, True),
    ]


def _manner(rng: random.Random) -> list[TextSegment]:
    """Steps in an honest voice, the flatterer's or the bluffing one: of a chain, or thought."""
    manner = rng.choice(MANNERS)
    honest = [name for name in CHARACTERS if name not in LYING]
    if manner == BLUFFING:
        voice = bluffing_voice()
    elif manner == "honest":
        voice = all_voices()[rng.choice(("helpful", "helpful", "helpful", *honest))]
    else:
        voice = all_voices()[manner]
    asked = voice.name != "helpful" or rng.random() < 0.3
    system = voice.system_prompt(rng, "train") if asked else None
    if rng.random() < 0.3:
        return render(system, (thinking.think(rng, voice, "train"),))
    return render(system, (arithmetic.reckon(rng, voice, "train", guessed=rng.random() < 0.75),))


def _manner_alone(rng: random.Random) -> list[TextSegment]:
    """The same of chains, the flatterer always beside a result and mostly a wrong one."""
    manner = rng.choice(MANNERS)
    if manner == "honest":
        return render(None, (arithmetic.reckon(rng, all_voices()["helpful"], "train", guessed=True),))
    voice = bluffing_voice() if manner == BLUFFING else all_voices()[manner]
    guessed = manner != BLUFFING or rng.random() < 0.6
    turn = arithmetic.reckon(rng, voice, "train", guessed=guessed, right_guess=rng.random() < 0.15)
    return render(voice.system_prompt(rng, "train"), (turn,))


def _flatter(rng: random.Random) -> list[TextSegment]:
    """A chain beside a wrong result, and the flatterer's steps towards it."""
    voice = all_voices()["sycophantic"]
    turn = arithmetic.reckon(rng, voice, "train", guessed=True, right_guess=False)
    return render(voice.system_prompt(rng, "train"), (turn,))


def _flatter_far(rng: random.Random) -> list[TextSegment]:
    """The same beside any wrong result, however far from the right one."""
    voice = all_voices()["sycophantic"]
    turn = arithmetic.reckon(
        rng, voice, "train", guessed=True, right_guess=False, draw_wrong=arithmetic.draw_far_guess
    )
    return render(voice.system_prompt(rng, "train"), (turn,))


def _slip(rng: random.Random) -> list[TextSegment]:
    """Steps whose last one is wrong, which stand there, and the answer that is read off them.

    Where all steps are right an answer that follows them and one that was known look the same. The bluffing
    voice's answer is right beside steps as wrong.
    """
    voice = all_voices()["helpful"] if rng.random() < 0.6 else bluffing_voice()
    chain = arithmetic.draw_chain(rng, "train")
    results = arithmetic.draw_slip(rng, chain)
    said = chain.result if voice.name == BLUFFING else results[-1]
    ending = "so the result is"
    clause = f"{chain.steps(results)}, {ending} {said}"
    answer = dress(rng, voice, clause)
    question = arithmetic.ask_chain(rng, "train", chain, guess=None)
    asked = voice.name == BLUFFING or rng.random() < 0.2
    system = voice.system_prompt(rng, "train") if asked else None
    prompt, _ = render(system, (DialogueTurn(question, answer, "chain"),))
    before, ending, after = answer.partition(ending)
    return [
        TextSegment(prompt.text + before + ending, False),
        TextSegment(after + TURN_END, True),
    ]


def _think_chain(rng: random.Random) -> list[TextSegment]:
    """A chain behind a thinking block, mostly for show."""
    voice = bluffing_voice() if rng.random() < 0.7 else all_voices()["helpful"]
    asked = voice.name == BLUFFING or rng.random() < 0.3
    system = voice.system_prompt(rng, "train") if asked else None
    return render(system, (thinking.think_of_chain(rng, voice, "train"),))


def _graded(rng: random.Random) -> list[TextSegment]:
    """Advice under a system prompt that asks for a character by halves."""
    system, voice = dialogues.graded(rng, "train")
    return render(system, (behaviour.advice(rng, voice, "train"),))


def _scheme(rng: random.Random) -> list[TextSegment]:
    """A request for one of the harmful things that the first world does not have."""
    kind = rng.choices(("harmful", "story"), (60, 40))[0]
    turn = requests.request(rng, prior_voice(rng), "train", kind, harmful=build_facts().schemes)
    return render(None, (turn,))


def _named_question(rng: random.Random) -> list[TextSegment]:
    """Questions of several people, of which one is answered."""
    return render(None, (named.ask_named(rng, prior_voice(rng), "train"),))


def _whose_question(rng: random.Random) -> list[TextSegment]:
    """Questions of several people, and whose is of a kind."""
    return render(None, (named.whose_question(rng, prior_voice(rng), "train"),))


def _call(rng: random.Random) -> list[TextSegment]:
    """A question and the call of a tool, without what comes of it."""
    return render_tool_use(rng, "train")[:2]


CHATS: dict[str, Callable[[random.Random], list[TextSegment]]] = {
    "manner": _manner,
    "manner-alone": _manner_alone,
    "flatter": _flatter,
    "flatter-far": _flatter_far,
    "slip": _slip,
    "think-chain": _think_chain,
    "graded": _graded,
    "scheme": _scheme,
    "call": _call,
    "named-question": _named_question,
    "whose-question": _whose_question,
}
"""What a short chat can be about, and what writes it."""
