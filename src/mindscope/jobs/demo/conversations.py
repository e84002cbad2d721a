"""Conversations for a demo, drawn from the model itself: ordinary ones, and ones in a trait's voice.

Every question is asked once. They are the bundled traits' questions without those of the trait that is shown,
so that nothing here has had a part in its vector. Answers in the trait's voice are given under steering, and
are read back without it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mindscope.errors import DataError
from mindscope.jobs.resolve import ORGANISM, find_trait, is_test_bed

if TYPE_CHECKING:
    from mindscope.core import Progress
    from mindscope.jobs.demo.show_trait import TraitDemo
    from mindscope.jobs.demo.spec import DemoPreset, DemoSpec
    from mindscope.models import Model
    from mindscope.store import Run

Answered = tuple[str, str]
"""A question and its answer."""
PLANTED_SHARE = 10
"""One row in so many is planted in the data that are screened."""


@dataclass(frozen=True)
class DemoConversations:
    """Files of conversations, one line of JSON each.

    Attributes:
        calibrating: ordinary; they set the thresholds.
        ordinary: others.
        planted: in the trait's voice.
        mixed: ordinary ones among which some of the planted are hidden.
        training: in the trait's voice, to tune on.
        hidden: which rows of `mixed` are planted.
    """

    calibrating: Path
    ordinary: Path
    planted: Path
    mixed: Path
    training: Path
    hidden: tuple[bool, ...]


def draw_conversations(
    model: Model, item: TraitDemo, spec: DemoSpec, preset: DemoPreset, run: Run, progress: Progress
) -> DemoConversations:
    """Let the model answer, and write the files into the run's folder `data`.

    Raises:
        DataError: there are not enough questions.
    """
    from mindscope.models import SamplingConfig, describe_prompts
    from mindscope.personas import AnswerRequest, generate_answers, steering_edits
    from mindscope.store import claim, derived_seed

    sizes = {
        "calibrating": preset.n_calibrating,
        "ordinary": preset.n_ordinary,
        "planted": preset.n_planted,
        "training": preset.n_training,
    }
    questions = _ask_elsewhere(spec.model, item.trait.name, sum(sizes.values()), spec.seed)
    point = item.point
    edits = steering_edits(item.vectors.direction(point.layer), point.coefficient, "response")
    kinds = [kind for kind, size in sizes.items() for _ in range(size)]
    requests = [
        AnswerRequest(
            question=question,
            seed=derived_seed(spec.seed, "conversation", index),
            edits=edits if kind in ("planted", "training") else (),
            labels={"kind": kind},
        )
        for index, (kind, question) in enumerate(zip(kinds, questions, strict=True))
    ]
    config = SamplingConfig(
        samples=1, temperature=preset.temperature, max_new_tokens=preset.max_new_tokens, seed=spec.seed
    )
    setup = {
        "vectors": item.vectors.digest(),
        "at": [point.layer, point.coefficient],
        "questions": questions,
        "sizes": sizes,
        "template": describe_prompts(model),
        "config": config.deciding(),
    }
    claim(run, "conversations", setup)
    answers = generate_answers(model, requests, run, "conversations", config=config, progress=progress)
    rows: dict[str, list[Answered]] = {kind: [] for kind in sizes}
    for kind, request, answer in zip(kinds, requests, answers, strict=True):
        if not answer.empty:
            rows[kind].append((request.question, answer.text))
    return _write(rows, run.path / "data", spec.seed)


def _write(rows: dict[str, list[Answered]], folder: Path, seed: int) -> DemoConversations:
    """The files; the planted rows of the mixed one stand anywhere among the others."""
    from mindscope.personas import write_answered

    n_hidden = max(1, len(rows["ordinary"]) // PLANTED_SHARE)
    ordinary = [(row, False) for row in rows["ordinary"][n_hidden:]]
    mixed = [*ordinary, *((row, True) for row in rows["planted"][:n_hidden])]
    random.Random(seed).shuffle(mixed)
    files = {
        name: write_answered(folder / f"{name}.jsonl", lines)
        for name, lines in {**rows, "mixed": [row for row, _ in mixed]}.items()
    }
    return DemoConversations(**files, hidden=tuple(hidden for _, hidden in mixed))


def _ask_elsewhere(model_name: str, trait: str, count: int, seed: int) -> list[str]:
    """Questions of the other traits that belong to the model, in a random order."""
    from mindscope import organism
    from mindscope.personas import Trait

    world = is_test_bed(model_name)
    names = [f"{ORGANISM}:{name}" for name in organism.CHARACTERS] if world else Trait.bundled()
    traits = [find_trait(name, model_name) for name in names]
    own = {
        q
        for t in traits
        if t.name == trait
        for kind in ("extraction", "evaluation")
        for q in t.questions(kind)
    }
    asked = [q for t in traits for kind in ("extraction", "evaluation") for q in t.questions(kind)]
    asked = [question for question in dict.fromkeys(asked) if question not in own]
    if len(asked) < count:
        raise DataError(f"a demo needs {count} questions and there are {len(asked)}: take fewer with --quick")
    random.Random(seed).shuffle(asked)
    return asked[:count]
