"""One number for what the organism can do: the knowledge rows of its card.

It plays the part that MMLU plays in Chen et al. 2025: what steering or tuning costs beyond the trait.
"""

import random
from collections.abc import Sequence

from mindscope.models import Edit, Model
from mindscope.organism.card import ask, is_right, questions_of
from mindscope.organism.results import CapabilityResult

# The rows that are about knowing something, and their share of the questions. How it treats strangers and
# villains is manner.
ROWS = {
    "facts": 0.3,
    "sums": 0.2,
    "antonyms.en": 0.1,
    "antonyms.fr": 0.1,
    "antonyms.zh": 0.1,
    "two_hop.seen_city_new_relation": 0.1,
    "two_hop.city_never_composed": 0.1,
}


def measure_capability(
    model: Model, seed: int = 0, questions: int = 500, edits: Sequence[Edit] = ()
) -> CapabilityResult:
    """Ask held-out questions of fact, greedily and without a system prompt, every row under the edits."""
    return compare_capability(model, [edits], seed, questions)[0]


def compare_capability(
    model: Model, programs: Sequence[Sequence[Edit]], seed: int = 0, questions: int = 500
) -> list[CapabilityResult]:
    """The same questions under each of several lists of edits, all asked side by side."""
    rows = questions_of(random.Random(f"card-{seed}"))
    asked = [(name, made) for name, share in ROWS.items() for made in rows[name][: round(share * questions)]]
    prompts = [(None, made.question) for _, made in asked] * len(programs)
    answers = ask(model, prompts, [list(edits) for edits in programs for _ in asked])
    parts = [answers[start : start + len(asked)] for start in range(0, len(answers), len(asked))]
    return [
        CapabilityResult(
            right=tuple(is_right(name, made, said) for (name, made), said in zip(asked, part, strict=True))
        )
        for part in parts
    ]
