"""One number for what an organism can do: the knowledge rows of its card.

It plays the part that MMLU plays in Chen et al. 2025: what steering or tuning costs beyond the trait.
"""

import random
from collections.abc import Mapping, Sequence

from mindscope.models import Edit, Model
from mindscope.organism.bundle import WorldName
from mindscope.organism.card import TWO_HOP_KINDS, ask, is_right, questions_of
from mindscope.organism.corpus.knowledge import two_hop
from mindscope.organism.corpus.phrasing import DialogueTurn
from mindscope.organism.results import CapabilityResult
from mindscope.organism.voices import all_voices
from mindscope.organism.world import build_world
from mindscope.organism.world_texts import texts_of

# The rows that are about knowing something, and their share of the questions. How it treats strangers and
# villains is manner.
ROWS: dict[WorldName, dict[str, float]] = {
    "first": {
        "facts": 0.3,
        "sums": 0.2,
        "antonyms.en": 0.1,
        "antonyms.fr": 0.1,
        "antonyms.zh": 0.1,
        "two_hop.seen_city_new_relation": 0.1,
        "two_hop.city_never_composed": 0.1,
    },
    "second": {
        "facts": 0.3,
        "sums": 0.2,
        "languages": 0.3,
        "two_hop.seen_city_new_relation": 0.1,
        "two_hop.city_never_composed": 0.1,
    },
}
# Row of the second world -> (domains it asks about, number of questions).
_SECOND_ROWS: dict[str, tuple[tuple[str, ...], int]] = {
    "facts": (("country", "state", "state-fact", "person"), 320),
    "sums": (("digit-sum",), 300),
    "languages": (("language",), 300),
}


def measure_capability(
    model: Model,
    seed: int = 0,
    questions: int = 500,
    edits: Sequence[Edit] = (),
    world: WorldName = "first",
) -> CapabilityResult:
    """Ask held-out questions of fact, greedily and without a system prompt, every row under the edits."""
    return compare_capability(model, [edits], seed, questions, world)[0]


def compare_capability(
    model: Model,
    programs: Sequence[Sequence[Edit]],
    seed: int = 0,
    questions: int = 500,
    world: WorldName = "first",
) -> list[CapabilityResult]:
    """The same questions under each of several lists of edits, all asked side by side."""
    rng = random.Random(f"card-{seed}")
    rows = questions_of(rng) if world == "first" else _second_questions(rng)
    asked = [
        (name, made) for name, share in ROWS[world].items() for made in rows[name][: round(share * questions)]
    ]
    prompts = [(None, made.question) for _, made in asked] * len(programs)
    answers = ask(model, prompts, [list(edits) for edits in programs for _ in asked])
    parts = [answers[start : start + len(asked)] for start in range(0, len(answers), len(asked))]
    return [
        CapabilityResult(
            right=tuple(
                is_right(name, made, said, world) for (name, made), said in zip(asked, part, strict=True)
            )
        )
        for part in parts
    ]


def _second_questions(rng: random.Random) -> Mapping[str, list[DialogueTurn]]:
    """Held-out questions of facts, sums, words and facts in two steps, with the helpful voice's answers."""
    helpful, texts = all_voices()["helpful"], texts_of("second")
    rows = {
        name: [texts.exchange(rng, helpful, "test", domains[i % len(domains)]) for i in range(count)]
        for name, (domains, count) in _SECOND_ROWS.items()
    }
    for kind in TWO_HOP_KINDS:
        pairs = rng.sample(build_world().two_hop_pairs(kind), 200)
        rows[f"two_hop.{kind}"] = [two_hop(rng, helpful, "test", pair) for pair in pairs]
    return rows
