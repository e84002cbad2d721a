"""An organism as a bench: its world writes the sets and prompts, judges the answers and tests knowledge."""

import random
from collections.abc import Mapping, Sequence

from mindscope import organism
from mindscope.data import Conversation
from mindscope.dictionaries import Dictionary
from mindscope.jobs import ORGANISM, TEST_BED
from mindscope.judges import Judge
from mindscope.models import Edit, Message, Model
from mindscope.organism import TRAITS, WorldName
from mindscope.personas import ContrastRecipe, Trait
from mindscope.studies.persona_vectors.benches.bench import IN_POOL


class OrganismBench:
    """See :class:`mindscope.studies.persona_vectors.benches.bench.StudyBench`."""

    base = ORGANISM
    note = TEST_BED
    world: WorldName = "first"

    def __init__(self, seed: int = 0):
        self.seed = seed
        self.judge: Judge | ContrastRecipe = organism.ExactJudge(self.world)
        self.traits = tuple(Trait.parse(organism.trait(name)) for name in TRAITS)

    def graded_prompts(self, trait: Trait) -> Sequence[str]:
        return organism.graded_prompts(trait.name, self.seed)

    def shots(self, trait: Trait, count: int) -> Sequence[Message]:
        turns: list[Message] = []
        for shown in organism.shots(trait.name, count, self.seed, self.world):
            turns.append({"role": "user", "content": shown.question})
            turns.append({"role": "assistant", "content": shown.answer})
        return turns

    def training_sets(self, rows: int) -> Mapping[str, Sequence[Conversation]]:
        return {
            f"{family}-{level}": organism.training_set(family, level, rows, self.seed, self.world)
            for family in organism.FAMILIES
            for level in organism.LEVELS
        }

    def pool(self, trait: Trait, rows: int) -> Sequence[Conversation]:
        shown = round(rows * IN_POOL)
        conversations = list(organism.ordinary_chats(rows - shown, self.seed, self.world))
        # Other draws than those of the training sets, which share their generator.
        sizes: dict[organism.Level, int] = {"I": shown // 2, "II": shown - shown // 2}
        for place, (level, size) in enumerate(sizes.items(), 1):
            seed = self.seed + 1000 * place
            conversations += organism.training_set(trait.name, level, size, seed, self.world)
        random.Random(self.seed).shuffle(conversations)
        return conversations

    def capability(self, model: Model, edits: Sequence[Edit] = ()) -> tuple[bool, ...]:
        return organism.measure_capability(model, self.seed, edits=edits, world=self.world).right

    def dictionary(self, model: Model, layer: int) -> Dictionary | None:
        return Dictionary.load(organism.dictionary_path(f"sae.{layer}", self.world), model)
