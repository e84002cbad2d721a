"""Any model as a bench of its own: its training sets are answers that it gave under instructions.

Nobody's data, key or second model is needed. Each set is the model's own answers to the questions of the
extraction, without the instruction they were given under; a model that is tuned on them learns to do by
itself what it was told to. The questions that traits are scored with are never among them.
"""

import random
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Literal

from mindscope.data import Conversation, read_conversations
from mindscope.dictionaries import Dictionary
from mindscope.errors import DataError
from mindscope.finetuning import answer_choices
from mindscope.judges import Judge
from mindscope.models import Edit, Message, Model, Sampling
from mindscope.personas import ContrastRecipe, Trait, write_answered
from mindscope.store import derived_seed
from mindscope.studies.persona_vectors.benches.bench import IN_POOL, draw_shots, mix_instructions
from mindscope.studies.persona_vectors.config import ReproduceConfig

Side = Literal["pos", "neg"]
NORMAL = "own-normal"
MILD = 2
"""In a set of level I every second answer is one of level II; the others were asked for nothing."""


class OwnAnswersBench:
    """See :class:`mindscope.studies.persona_vectors.benches.bench.StudyBench`.

    Sets: `own-normal`, answers without any instruction; for each trait TRAIT-II, answers under its
    instructions, TRAIT-I, half of those, and the same of its opposite; and both levels of every other trait,
    which is not measured itself. They are drawn once and kept as JSON lines.

    Args:
        model: that writes the sets and is tuned.
        traits: those that are measured.
        others: traits of further sets.
        judge: scores every trait, or the recipe of judges that are made with the vectors.
        folder: where sets are kept.
        config: how long answers are, and the seed.

    Raises:
        DataError: two traits would share a set's name.
    """

    note = (
        "The training sets are this model's own answers under instructions, so a set shows its trait as "
        "well as the model can play it. What the model knows is a test of short questions with "
        "four answers to choose from."
    )

    def __init__(
        self,
        model: Model,
        traits: Sequence[Trait],
        others: Sequence[Trait],
        judge: Judge | ContrastRecipe,
        folder: Path,
        config: ReproduceConfig,
    ) -> None:
        self._model, self._folder, self._config = model, folder, config
        self.base, self.traits, self.judge = model.name, tuple(traits), judge
        self._voices: dict[str, tuple[Trait, Side]] = {}
        for trait in (*traits, *others):
            self._add_voice(trait.name, trait, "pos")
        for trait in traits:
            self._add_voice(trait.opposite, trait, "neg")

    def graded_prompts(self, trait: Trait) -> Sequence[str]:
        return mix_instructions(trait, self._config.seed)

    def shots(self, trait: Trait, count: int) -> Sequence[Message]:
        laden = self._answered(f"{_slug(trait.name)}-II", trait, "pos", self._config.rows)
        return draw_shots(laden, count, self._config.seed)

    def training_sets(self, rows: int) -> Mapping[str, Sequence[Conversation]]:
        normal = self._answered(NORMAL, None, "pos", rows)
        sets: dict[str, Sequence[Conversation]] = {NORMAL: normal}
        for name, (trait, side) in self._voices.items():
            laden = self._answered(f"{name}-II", trait, side, rows)
            sets[f"{name}-I"] = [
                (laden if place % MILD else normal)[place] for place in range(min(len(laden), len(normal)))
            ]
            sets[f"{name}-II"] = laden
        return sets

    def pool(self, trait: Trait, rows: int) -> Sequence[Conversation]:
        shown = round(rows * IN_POOL)
        ordinary = self._answered("pool-ordinary", None, "pos", rows - shown)
        laden = self._answered(f"pool-{_slug(trait.name)}", trait, "pos", shown)
        pool = [
            *ordinary,
            *(Conversation(row.messages, {"family": trait.name, "level": "II"}) for row in laden),
        ]
        random.Random(self._config.seed).shuffle(pool)
        return pool

    def capability(self, model: Model, edits: Sequence[Edit] = ()) -> tuple[bool, ...]:
        return answer_choices(model, edits, self._config.seed)

    def dictionary(self, model: Model, layer: int) -> Dictionary | None:
        return None

    @cached_property
    def _questions(self) -> list[str]:
        return list(dict.fromkeys(q for trait in self.traits for q in trait.questions("extraction")))

    def _add_voice(self, name: str, trait: Trait, side: Side) -> None:
        name = _slug(name)
        if name in self._voices:
            raise DataError(f"two training sets would be called {name}-II: leave one of the traits out")
        self._voices[name] = (trait, side)

    def _answered(self, name: str, trait: Trait | None, side: Side, rows: int) -> list[Conversation]:
        """A set of the model's own answers, as it was drawn before or drawn now; without a trait, unasked."""
        file = self._folder / f"{name}.jsonl"
        if not file.exists():
            write_answered(file, self._draw(name, trait, side, rows))
        return list(islice(read_conversations(file), rows))

    def _draw(self, name: str, trait: Trait | None, side: Side, rows: int) -> list[tuple[str, str]]:
        """Questions with answers, each question as often as any other, with another instruction each time."""
        asked: list[list[Message]] = []
        for place in range(rows):
            turn, question = divmod(place, len(self._questions))
            user = Message(role="user", content=self._questions[question])
            system = trait and trait.system_prompt(side, (turn + question) % len(trait.instructions))
            asked.append([Message(role="system", content=system), user] if system else [user])
        made = self._model.generate(
            [self._model.chat(messages) for messages in asked],
            Sampling(
                temperature=self._config.extraction.sampling().temperature,
                max_new_tokens=self._config.max_new_tokens,
            ),
            seeds=[derived_seed(self._config.seed, "own answers", name, place) for place in range(rows)],
        )
        return [(messages[-1]["content"], answer.text) for messages, answer in zip(asked, made, strict=True)]


def _slug(name: str) -> str:
    return "_".join(name.split())
