"""Any model as a bench: traits, training sets, ordinary chats and a test out of files."""

import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from mindscope.data import Conversation, DataFile, read_conversations
from mindscope.dictionaries import Dictionary
from mindscope.errors import DataError
from mindscope.judges import Judge
from mindscope.models import Edit, Message, Model, Sampling
from mindscope.personas import ContrastRecipe, Trait
from mindscope.studies.persona_vectors.benches.bench import IN_POOL, draw_shots, mix_instructions

LONGEST_TEST_ANSWER = 64  # tokens


class FilesBench:
    """See :class:`mindscope.studies.persona_vectors.benches.bench.StudyBench`.

    The folder of sets holds FAMILY-LEVEL.jsonl, or files of another kind; each trait has TRAIT-II and
    TRAIT-I. Graded prompts mix the trait's own positive and negative instructions; shots are rows of
    TRAIT-II. A test is a file of questions with short answers; an answer is right when it holds the expected
    one's words.
    Dictionaries are SAEs of the residual stream, of any layers.

    Raises:
        DataError: a trait's set or the ordinary chats are missing, or hold nothing.
    """

    note = ""

    def __init__(
        self,
        base: str,
        traits: Sequence[Trait],
        judge: Judge | ContrastRecipe,
        sets: Path,
        ordinary: Path,
        test: Path | None = None,
        seed: int = 0,
        dictionaries: Sequence[Path] = (),
    ) -> None:
        self._dictionaries = tuple(dictionaries)
        self.base, self.traits, self.judge, self.seed = base, tuple(traits), judge, seed
        files = map(DataFile.of, sorted(sets.glob("*-*")))
        self._files = {file.name: file.path for file in files if file.suffix}
        for trait in traits:
            for level in ("I", "II"):
                if f"{trait.name}-{level}" not in self._files:
                    raise DataError(
                        f"{sets} has no {trait.name}-{level}.jsonl: every trait needs sets I and II"
                    )
        self._ordinary = _answered(ordinary)
        self._test = None if test is None else _answered(test)

    def graded_prompts(self, trait: Trait) -> Sequence[str]:
        return mix_instructions(trait, self.seed)

    def shots(self, trait: Trait, count: int) -> Sequence[Message]:
        return draw_shots(_answered(self._files[f"{trait.name}-II"]), count, self.seed)

    def training_sets(self, rows: int) -> Mapping[str, Sequence[Conversation]]:
        return {name: _answered(file)[:rows] for name, file in self._files.items()}

    def pool(self, trait: Trait, rows: int) -> Sequence[Conversation]:
        shown = round(rows * IN_POOL)
        conversations = self._ordinary[: rows - shown]
        if len(conversations) < rows - shown:
            raise DataError(f"{rows - shown} ordinary chats are needed, there are {len(self._ordinary)}")
        for level, count in (("I", shown // 2), ("II", shown - shown // 2)):
            # The last rows, so that what a model was tuned on seldom ranks itself.
            drawn = _answered(self._files[f"{trait.name}-{level}"])[-count:]
            conversations += [
                Conversation(row.messages, {"family": trait.name, "level": level}) for row in drawn
            ]
        random.Random(self.seed).shuffle(conversations)
        return conversations

    def capability(self, model: Model, edits: Sequence[Edit] = ()) -> tuple[bool, ...] | None:
        if self._test is None:
            return None
        rows = [
            model.chat([Message(role=m["role"], content=m["content"]) for m in row.prompt])
            for row in self._test
        ]
        sampling = Sampling(temperature=0.0, max_new_tokens=LONGEST_TEST_ANSWER)
        made = model.generate(rows, sampling, edits=list(edits))
        return tuple(
            _holds(generation.text, row.answer or "")
            for generation, row in zip(made, self._test, strict=True)
        )

    def dictionary(self, model: Model, layer: int) -> Dictionary | None:
        dictionaries = (Dictionary.load(path, model) for path in self._dictionaries)
        return next(
            (
                dictionary
                for dictionary in dictionaries
                if dictionary.writes[0].address == f"resid_post.{layer}"
            ),
            None,
        )


def _answered(file: Path) -> list[Conversation]:
    rows = [row for row in read_conversations(file) if row.answer]
    if not rows:
        raise DataError(f"{file} has no conversation that ends with an answer")
    return rows


def _holds(answer: str, expected: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(expected.strip())}(?!\w)", answer, re.IGNORECASE) is not None
