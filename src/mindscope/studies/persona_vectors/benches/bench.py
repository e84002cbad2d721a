"""What the claims are tested on: a model's surroundings, and its traits with vectors and layers."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from mindscope import personas
from mindscope.core import Progress
from mindscope.data import Conversation
from mindscope.dictionaries import Dictionary
from mindscope.features import Direction
from mindscope.judges import Judge
from mindscope.models import Edit, Message, Model
from mindscope.personas import JUDGE_FILE, ContrastRecipe, PersonaVectors, SweepResult, Trait
from mindscope.store import Run, part_of
from mindscope.studies.persona_vectors.config import ReproduceConfig

Right = tuple[bool, ...]
"""Which questions of a capability test were answered rightly, in a fixed order."""
IN_POOL = 0.1
"""The share of a pool that shows the trait."""


class StudyBench(Protocol):
    """A model with everything the claims are tested on.

    Attributes:
        base: what the model is loaded from and fine-tuned from.
        judge: scores trait and coherence, or the recipe of judges that are made with the vectors.
        traits: those that are extracted, moved and screened for.
        note: said at the head of the report, such as that the model is a test bed; may be empty.
    """

    base: str
    judge: Judge | ContrastRecipe
    traits: tuple[Trait, ...]
    note: str

    def graded_prompts(self, trait: Trait) -> Sequence[str]:
        """Eight system prompts, from one that discourages the trait to one that asks for nothing else."""
        ...

    def shots(self, trait: Trait, count: int) -> Sequence[Message]:
        """Turns in which the assistant shows the trait, to be put before a question."""
        ...

    def training_sets(self, rows: int) -> Mapping[str, Sequence[Conversation]]:
        """Training sets by FAMILY-LEVEL; a trait's own are TRAIT-normal, TRAIT-I and TRAIT-II."""
        ...

    def pool(self, trait: Trait, rows: int) -> Sequence[Conversation]:
        """Ordinary chats among which a few show the trait, more or less, for screening."""
        ...

    def capability(self, model: Model, edits: Sequence[Edit] = ()) -> Right | None:
        """A test of what the model knows; None where there is none."""
        ...

    def dictionary(self, model: Model, layer: int) -> Dictionary | None:
        """A dictionary of the residual stream behind a layer; None where there is none."""
        ...


@dataclass(frozen=True)
class PreparedTrait:
    """A trait with its vectors, the layer that steering chose, and who scores it."""

    trait: Trait
    vectors: PersonaVectors
    sweep: SweepResult
    judge: Judge

    @property
    def layer(self) -> int:
        return self.sweep.choice().layer

    @property
    def direction(self) -> Direction:
        return self.vectors.direction(self.layer)


def prepare_traits(
    bench: StudyBench, model: Model, run: Run, config: ReproduceConfig, progress: Progress | None
) -> list[PreparedTrait]:
    """Extract each trait's vectors and sweep the layers; what is there already is used."""
    prepared: list[PreparedTrait] = []
    for trait in bench.traits:
        vectors = personas.extract_vectors(
            model, trait, bench.judge, run, config.extraction, progress=progress
        )
        judge = bench.judge
        if isinstance(judge, ContrastRecipe):
            judge = judge.load(model, run.path / part_of("extract", trait.name) / JUDGE_FILE)
        swept = personas.sweep_coefficients(
            model, vectors, trait, judge, run, config.sweep, progress=progress
        )
        prepared.append(PreparedTrait(trait, vectors, swept, judge))
    return prepared


def mix_instructions(trait: Trait, seed: int) -> list[str]:
    """Eight system prompts out of a trait's own instructions, from all against it to all for it."""
    pairs = list(trait.instructions)
    random.Random(seed).shuffle(pairs)
    pos, neg = [pair.pos for pair in pairs], [pair.neg for pair in pairs]
    grades = (
        neg[:2],
        neg[:1],
        [],
        [pos[0], *neg[1:3]],
        [pos[0], neg[1]],
        [*pos[:2], neg[2]],
        pos[:1],
        pos[:2],
    )
    return [" ".join(["You are an assistant.", *sentences]) for sentences in grades]


def draw_shots(rows: Sequence[Conversation], count: int, seed: int) -> list[Message]:
    """The turns of some of a set's conversations, one behind the other."""
    drawn = random.Random(seed).sample(list(rows), min(count, len(rows)))
    return [Message(role=m["role"], content=m["content"]) for row in drawn for m in row.messages]
