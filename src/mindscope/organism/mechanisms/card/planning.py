"""Is the word that a second line ends in planned at the line break, and does the line follow the plan?

All of it on (topic word, end word) pairs that training never showed together, on texts up to where the second
line begins to tell something.

1. Read the state at the break, behind every block, in prompts of trained pairs; a rhyme word's state is their
   mean.
2. *Read*: the share of held-out prompts whose state is nearest to that of their rhyme word, among all of
   them.
3. *Exchanged*: the state at the break alone becomes that of another held-out prompt. The middle (both traces)
   and the ending are then the other line's. *Steered* adds the difference of two rhyme words' mean states:
   another topic with the sound kept, or another sound with the topic kept.
4. Controls: a random direction of the same length; the first word of the other line put there. An exchange is
   one of its own: every token but the break stays, so a line that is then the other's rests on none of them.

The block is the one at which an exchange works best on prompts of trained pairs.
"""

import random
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.models import Edit, Model, Raw, Read, Sampling
from mindscope.organism.mechanisms.card.asking import complete
from mindscope.organism.mechanisms.card.results import MechanismRow
from mindscope.organism.mechanisms.facts import TOPICS, RhymeWord, build_facts
from mindscope.organism.mechanisms.rhymes import BREAK, CoupletCase, couplet_cases, read_line
from mindscope.stats import RateEstimate

NAME = "couplets"
N_READ, N_PROMPTS, N_CHOOSING = 1200, 150, 60
N_PAIRS = 2
"""Of pairs that do not count, before the break and behind it: prompts then have their tokens at the same
places."""


class LinePrompts:
    """First lines up to their break, all of one length, with the rhyme words they lead to."""

    def __init__(self, model: Model, cases: Sequence[CoupletCase], rng: random.Random):
        self.cases = cases
        self.texts = [case.opening(rng, N_PAIRS) for case in cases]
        self.rows = [model.text(text) for text in self.texts]
        heads = [model.text(text.partition(BREAK)[0] + BREAK) for text in self.texts]
        self.places = [(len(head) - 1,) for head in heads]
        self.plans = [case.plan for case in cases]

    def states(self, model: Model, address: str) -> Float[Tensor, "prompts width"]:
        """What the stream holds at the break."""
        reading = model.read(self.rows, {"at": Read(address, Raw("prompt"))})["at"]
        return torch.stack(
            [tokens[place] for tokens, (place,) in zip(reading.values, self.places, strict=True)]
        )


def measure_planning(model: Model, rng: random.Random, n_prompts: int = N_PROMPTS) -> list[MechanismRow]:
    """The rows of the card that are about planned rhymes."""
    held, trained = list(couplet_cases("test")), list(couplet_cases("train"))
    known = LinePrompts(model, rng.choices(trained, k=N_READ), rng)
    prompts = LinePrompts(model, rng.choices(held, k=n_prompts), rng)
    sources = LinePrompts(model, rng.choices(held, k=n_prompts), rng)
    block = choose_block(model, rng, trained)
    address = f"resid_post.{block}"
    means = mean_states(known.states(model, address), known.plans)
    names = list(means)
    table = torch.stack([means[name] for name in names])
    nearest = torch.cdist(prompts.states(model, address), table).argmin(1).tolist()
    read = [names[i] == plan.word for i, plan in zip(nearest, prompts.plans, strict=True)]

    facts = build_facts()
    other_topic = [
        facts.rhymes[p.sound, rng.choice([t for t in TOPICS if t != p.topic])] for p in prompts.plans
    ]
    other_sound = [
        facts.rhymes[rng.choice([s for s in range(len(facts.ends)) if s != p.sound]), p.topic]
        for p in prompts.plans
    ]
    steps = {
        kind: torch.stack([means[b.word] - means[a.word] for a, b in zip(prompts.plans, aims, strict=True)])
        for kind, aims in (("topic", other_topic), ("sound", other_sound))
    }
    generator = torch.Generator().manual_seed(rng.randrange(2**31))
    noise = torch.randn(steps["topic"].shape, generator=generator)
    noise *= steps["topic"].norm(dim=1, keepdim=True) / noise.norm(dim=1, keepdim=True)

    plain = write_lines(model, prompts)
    exchanged = write_lines(model, prompts, exchange(prompts, sources.states(model, address), address))
    topic = write_lines(model, prompts, push(prompts, steps["topic"], address))
    sound = write_lines(model, prompts, push(prompts, steps["sound"], address))
    pushed = write_lines(model, prompts, push(prompts, noise, address))
    first_words = [line.split()[0] for line in write_lines(model, sources)]
    forced = complete(
        model,
        [f"{text} {word}" for text, word in zip(prompts.texts, first_words, strict=True)],
        _sampling(1),
    )
    return [
        *_rows(plain, prompts.plans, prompts, "with nothing changed", (0.9, 0.9)),
        _row("the rhyme word is read at the break, before any word of the line", read, prompts, 0.9),
        *_rows(
            exchanged,
            sources.plans,
            prompts,
            f"the state at the break exchanged behind block {block}",
            (0.8, 0.8),
        ),
        *_rows(topic, other_topic, prompts, "another topic's rhyme word added, the sound kept", (0.8, 0.8)),
        *_rows(sound, other_sound, prompts, "another sound's rhyme word added, the topic kept", (0.8, 0.8)),
        *_rows(
            pushed, other_topic, prompts, "a random direction of that length instead", (0.15, 0.15), most=True
        ),
        *_rows(
            forced, sources.plans, prompts, "the other line's first word put there", (0.15, 0.15), most=True
        ),
    ]


def choose_block(model: Model, rng: random.Random, cases: Sequence[CoupletCase]) -> int:
    """The block behind which an exchange at the break changes most middles and endings, on trained pairs."""
    prompts = LinePrompts(model, rng.choices(list(cases), k=N_CHOOSING), rng)
    sources = LinePrompts(model, rng.choices(list(cases), k=N_CHOOSING), rng)
    scores: list[float] = []
    for block in range(model.n_layers - 1):
        address = f"resid_post.{block}"
        lines = write_lines(model, prompts, exchange(prompts, sources.states(model, address), address))
        fits = [read_line(line).fits(plan) for line, plan in zip(lines, sources.plans, strict=True)]
        scores.append(sum(middle and ending for middle, ending in fits))
    return max(range(len(scores)), key=scores.__getitem__)


def mean_states(
    states: Float[Tensor, "prompts width"], plans: Sequence[RhymeWord]
) -> dict[str, Float[Tensor, "width"]]:
    """The mean state of every rhyme word."""
    members: dict[str, list[int]] = {}
    for i, plan in enumerate(plans):
        members.setdefault(plan.word, []).append(i)
    return {word: states[rows].mean(0) for word, rows in members.items()}


def exchange(prompts: LinePrompts, states: Float[Tensor, "prompts width"], address: str) -> list[list[Edit]]:
    """The state at the break becomes another prompt's."""
    return [
        [Edit(address, "replace", state, where=place)]
        for state, place in zip(states, prompts.places, strict=True)
    ]


def push(prompts: LinePrompts, steps: Float[Tensor, "prompts width"], address: str) -> list[list[Edit]]:
    """A step is added to the state at the break."""
    return [
        [Edit(address, "add", step, where=place)] for step, place in zip(steps, prompts.places, strict=True)
    ]


def write_lines(
    model: Model, prompts: LinePrompts, edits: Sequence[Sequence[Edit]] | None = None
) -> list[str]:
    """Second lines, drawn at temperature 1."""
    return complete(model, prompts.texts, _sampling(0), edits)


def _sampling(seed: int) -> Sampling:
    return Sampling(temperature=1.0, max_new_tokens=24, seed=seed)


def _rows(
    lines: Sequence[str],
    plans: Sequence[RhymeWord],
    prompts: LinePrompts,
    change: str,
    bars: tuple[float, float],
    *,
    most: bool = False,
) -> list[MechanismRow]:
    fits = [read_line(line).fits(plan) for line, plan in zip(lines, plans, strict=True)]
    return [
        _row(f"{change}: the {part} is the plan's", [fit[i] for fit in fits], prompts, bars[i], most=most)
        for i, part in enumerate(("middle", "ending"))
    ]


def _row(
    claim: str, hits: Sequence[bool], prompts: LinePrompts, bar: float, *, most: bool = False
) -> MechanismRow:
    subjects = [plan.word for plan in prompts.plans]
    return MechanismRow(mechanism=NAME, claim=claim, rate=RateEstimate.of(hits, subjects), bar=bar, most=most)
