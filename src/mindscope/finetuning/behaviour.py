"""What a tuned model answers, along a trait's vector: read by the model that it was tuned from.

A shift tells where a tuned model's own activations lie. Training under a push may move them without changing
what is said, or change what is said along another way. So the answers are taken as text and read by the base,
whose yardstick no training has moved: as much of the trait as the base sees in them.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.core import Progress
from mindscope.errors import DataError
from mindscope.finetuning.prevention import AnswerProjection
from mindscope.models import Model, Project, Read, Row, SamplingConfig
from mindscope.personas import AnswerRequest, PersonaVectors, Trait, generate_answers
from mindscope.stats import bootstrap_interval
from mindscope.store import Run, claim, derived_seed, digest

if TYPE_CHECKING:
    from mindscope.features import Direction

ANSWERS = SamplingConfig(samples=1, temperature=1.0, max_new_tokens=64)
"""How answers are drawn: one to each question. Most of a trait shows in the first sentences."""
QUESTIONS = 20
"""As many as a trait has for evaluation."""


def trait_questions(vectors: PersonaVectors) -> tuple[str, ...]:
    """The evaluation questions of the vectors' own trait.

    Raises:
        DataError: the vectors hold no trait, or it has fewer than two questions.
    """
    document = vectors.trait_document
    questions = () if document is None else Trait.parse(document).questions("evaluation")[:QUESTIONS]
    if len(questions) < 2:
        raise DataError(
            f"the vectors of '{vectors.trait}' name no evaluation questions, so answers cannot be compared"
        )
    return questions


def project_answers(
    writer: Model,
    reader: Model,
    direction: "Direction",
    questions: Sequence[str],
    run: Run,
    name: str,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> Float[Tensor, "questions"]:
    """Where one model's answers lie along a direction when another reads them; NaN for an empty answer.

    Args:
        writer: answers.
        reader: reads: the model of the direction.
        direction: of the reader; projections are on its unit vector, means over an answer's tokens.
        questions: asked without a system prompt.
        run: keeps the answers.
        name: of the part of the run that does; it belongs to this writer and these questions.
        seed: of what is drawn.
        progress: called with (answers done, answers in all, label).
    """
    setup = {"writer": writer.fingerprint, "questions": digest({"asked": list(questions)}), "seed": seed}
    claim(run, name, setup)
    requests = [
        AnswerRequest(question, derived_seed(seed, "behaviour", number))
        for number, question in enumerate(questions)
    ]
    answers = generate_answers(writer, requests, run, name, config=ANSWERS, progress=progress)
    said = [number for number, answer in enumerate(answers) if not answer.empty]
    rows: list[Row] = [
        reader.chat([{"role": "user", "content": questions[number]}], answers[number].text) for number in said
    ]
    means = torch.full((len(questions),), float("nan"), dtype=torch.float64)
    if rows:
        read = {"along": Read(direction.address, Project(direction.unit[None], "final"))}
        tokens = reader.read(rows, read)["along"].values
        means[said] = torch.stack([values.double().mean() for values in tokens])
    return means


def compare_answers(
    trait: str, layer: int, base: Float[Tensor, "questions"], tuned: Float[Tensor, "questions"]
) -> AnswerProjection:
    """Tuned minus base over the questions that both answered, with a 95 % interval over the questions.

    Raises:
        DataError: fewer than two such questions.
    """
    both = base.isfinite() & tuned.isfinite()
    if int(both.sum()) < 2:
        raise DataError("fewer than two questions got an answer from both models")
    difference = (tuned - base)[both]
    low, high = bootstrap_interval(difference)
    return AnswerProjection(
        trait=trait,
        layer=layer,
        base=base[both].mean().item(),
        tuned=tuned[both].mean().item(),
        difference=difference.mean().item(),
        low=low,
        high=high,
        questions=int(both.sum()),
    )
