"""Telling answers that were given under a trait's instructions from those that were given under its opposite.

1. Texts become vectors: TF-IDF of character n-grams within words, or whatever a sentence encoder says.
2. Logistic regression tells both sides apart. What it says of an answer is the margin w x + b.
3. The margins by which it is measured and calibrated are held out: a block of answers, those of one
   instruction to one fold of the questions, is scored by a classifier that has seen neither this instruction
   nor these questions. It cannot pass by knowing an instruction's favourite words or a question's topic.
4. Scores run from 0, the mean held-out margin of the opposite's answers, to 100, that of the trait's, in a
   straight line between and cut beyond. A probability would be the usual scale; it says how sure one is and
   not how much of the trait there is, and jumps from 0 to 100 where both sides are far apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from mindscope.errors import JudgeError
from mindscope.judges.contrast.text_vectors import TextEmbedder, TextVectors
from mindscope.store import Document

LEAST_AUROC = 0.6
"""Below this a held-out answer is told from its opposite too rarely to grade anything by it, and so it is
where the interval reaches chance. A small model follows such instructions now and then at best: between
optimistic and pessimistic answers of a chat model of 135 M parameters a sentiment lexicon has 0.62."""
QUESTION_FOLDS = 4
_INVERSE_PENALTY = {"ngrams": 1.0, "encoder": 10.0}
"""Of logistic regression: TF-IDF vectors and sentence embeddings both have length 1, but an embedding's
differences between two styles are a tenth as large."""


@dataclass(frozen=True, slots=True)
class LabelledAnswer:
    """An answer that was drawn under one side's instructions."""

    question: str
    answer: str
    system: str | None
    shows_trait: bool
    instruction: int
    question_index: int


class ContrastScores(Document):
    """How well a trait's prompted answers are told from their opposites.

    Attributes:
        answers: how many there were, of both sides.
        auroc: of held-out answers, 0.5 by chance.
        low, high: its 95 % interval, resampling instructions and questions.
        vectors: what texts were turned into, `ngrams` or the encoder's name.
        mean_trait, mean_opposite: held-out margins, which became 100 and 0.
    """

    answers: int
    auroc: float
    low: float
    high: float
    vectors: str
    mean_trait: float
    mean_opposite: float


@dataclass(frozen=True)
class ContrastClassifier:
    """A fitted classifier of texts.

    Attributes:
        weights: `[columns]`.
        bias: added to their product with a text's vector.
        inverse_frequency: `[columns]` of the n-grams; None with an encoder.
        encoder: that makes the vectors; None for n-grams.
        scores: how well it does.
    """

    weights: Float[Tensor, "columns"]
    bias: float
    inverse_frequency: Float[Tensor, "columns"] | None
    encoder: TextEmbedder | None
    scores: ContrastScores

    def score(self, texts: Sequence[str]) -> Float[Tensor, "texts"]:
        """Likeness to the trait's prompted answers, 0 to 100."""
        if not texts:
            return torch.zeros(0)
        margins = self._vectors.matrix(texts) @ self.weights.numpy()
        return self.scale(np.asarray(margins).ravel() + self.bias)

    def scale(self, margins: np.ndarray) -> Float[Tensor, "texts"]:
        """Scores from margins."""
        low, high = self.scores.mean_opposite, self.scores.mean_trait
        return torch.from_numpy(np.clip(100 * (margins - low) / (high - low), 0, 100)).float()

    @cached_property
    def _vectors(self) -> TextVectors:
        return TextVectors(self.encoder, self.inverse_frequency)


@dataclass(frozen=True)
class FittedContrast:
    """A classifier, and what it says of the answers it was fitted on by classifiers that had not seen them.

    Attributes:
        classifier: fitted on all answers.
        held_out: `[answers]`, scores from 0 to 100.
    """

    classifier: ContrastClassifier
    held_out: Float[Tensor, "answers"]


def fit_contrast(
    answers: Sequence[LabelledAnswer],
    trait: str,
    encoder: TextEmbedder | None = None,
    *,
    least_auroc: float = LEAST_AUROC,
    resamples: int = 1000,
    seed: int = 0,
) -> FittedContrast:
    """Fit a classifier on a trait's prompted answers.

    Args:
        answers: of both sides, to several questions under several instructions; empty texts are left out by
            the caller.
        trait: its name, for the error.
        encoder: of sentences; character n-grams by default.
        least_auroc: below which a classifier is refused, as it is where its interval reaches 0.5.
        resamples: of the interval.
        seed: of the interval.

    Raises:
        JudgeError: a side has no answers, there are fewer than two instructions or questions to hold out, or
            both sides cannot be told apart.
    """
    labels = np.array([answer.shows_trait for answer in answers], dtype=bool)
    _require_sides(answers, labels, trait)
    texts = [answer.answer for answer in answers]
    vectors = TextVectors.fit(texts, encoder)
    whole_matrix = vectors.matrix(texts)
    columns, matrix = _used_columns(whole_matrix)
    blocks = _held_out_blocks(answers)
    margins = np.full(len(answers), np.nan)
    for held, seen in blocks:
        if labels[seen].all() or not labels[seen].any():
            continue
        margins[held] = _regression(matrix[seen], labels[seen], vectors).decision_function(matrix[held])
    measured = np.isfinite(margins)
    if measured.sum() < len(answers) / 2:
        raise JudgeError(
            f"too few answers for '{trait}' can be held out to check a contrast judge: draw more samples, or "
            "use more instructions and questions"
        )
    auroc = weighted_area(labels[measured], margins[measured], np.ones(measured.sum()))
    low, high = _interval(answers, labels, margins, resamples, seed)
    if auroc < least_auroc or low <= 0.5:
        raise JudgeError(
            f"the answers under the instructions for '{trait}' cannot be told from their opposites (held-out "
            f"AUROC {auroc:.2f}, interval from {low:.2f}; needed are {least_auroc:g} and more than 0.5): the "
            "model hardly plays this trait, so draw more samples, write other instructions, or use --judge "
            "model:NAME or endpoint:NAME"
        )
    final = _regression(matrix, labels, vectors)
    scores = ContrastScores(
        answers=len(answers),
        auroc=auroc,
        low=low,
        high=high,
        vectors="ngrams" if encoder is None else encoder.name,
        mean_trait=float(margins[measured & labels].mean()),
        mean_opposite=float(margins[measured & ~labels].mean()),
    )
    weights = torch.zeros(whole_matrix.shape[1])
    weights[torch.from_numpy(columns)] = torch.from_numpy(np.asarray(final.coef_, np.float32)[0])
    classifier = ContrastClassifier(
        weights=weights,
        bias=float(np.asarray(final.intercept_)[0]),
        inverse_frequency=vectors.inverse_frequency,
        encoder=encoder,
        scores=scores,
    )
    # What could not be held out is graded by the whole classifier, which has seen it.
    whole = np.asarray(final.decision_function(matrix))
    return FittedContrast(classifier, classifier.scale(np.where(measured, margins, whole)))


def _used_columns(matrix: Any) -> tuple[np.ndarray, Any]:
    """The columns that any text uses, and the matrix of these alone.

    The weights of all others are 0 under the penalty; hashed n-grams leave 95 of 100 columns empty.
    """
    if isinstance(matrix, np.ndarray):
        return np.arange(matrix.shape[1]), matrix
    columns = np.unique(matrix.indices)
    return columns, matrix[:, columns].tocsr()


def _regression(matrix: Any, labels: np.ndarray, vectors: TextVectors) -> LogisticRegression:
    penalty = _INVERSE_PENALTY["ngrams" if vectors.encoder is None else "encoder"]
    return LogisticRegression(C=penalty, max_iter=1000).fit(matrix, labels)


def _held_out_blocks(answers: Sequence[LabelledAnswer]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of indices: a block, and what may be seen to score it.

    An instruction's index names a pair of instructions, so a held-out block never shares one with either
    side of what is seen.
    """
    instructions = np.array([answer.instruction for answer in answers])
    folds = np.array([answer.question_index % QUESTION_FOLDS for answer in answers])
    single = len(set(instructions.tolist())) == 1
    blocks = []
    for instruction in np.unique(instructions):
        for fold in np.unique(folds):
            held = (instructions == instruction) & (folds == fold)
            seen = (folds != fold) if single else (instructions != instruction) & (folds != fold)
            if held.any() and seen.any():
                blocks.append((np.flatnonzero(held), np.flatnonzero(seen)))
    return blocks


def weighted_area(labels: np.ndarray, margins: np.ndarray, weights: np.ndarray) -> float:
    """The area under the ROC curve of `[answers]`, each as often as it weighs; an interval takes a thousand.

    The share of pairs in which the trait's answer has the higher margin, ties counting half.
    """
    levels = np.unique(margins, return_inverse=True)[1]
    trait, opposite = (np.bincount(levels, weights * side) for side in (labels, ~labels))
    lower = np.cumsum(opposite) - opposite / 2  # of the opposite's, by level of the margin
    return float(trait @ lower / (trait.sum() * opposite.sum()))


def _interval(
    answers: Sequence[LabelledAnswer], labels: np.ndarray, margins: np.ndarray, resamples: int, seed: int
) -> tuple[float, float]:
    """The middle 95 % of AUROC where instructions and questions are drawn again, with all that is theirs."""
    instructions = np.unique([answer.instruction for answer in answers], return_inverse=True)[1]
    questions = np.unique([answer.question_index for answer in answers], return_inverse=True)[1]
    measured = np.isfinite(margins)
    draw = np.random.default_rng(seed)
    values = []
    for _ in range(resamples):
        times = _times_drawn(draw, instructions) * _times_drawn(draw, questions)
        drawn = measured & (times > 0)
        if len(set(labels[drawn].tolist())) == 2:
            values.append(weighted_area(labels[drawn], margins[drawn], times[drawn]))
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def _times_drawn(draw: np.random.Generator, units: np.ndarray) -> np.ndarray:
    """How often each answer's unit is drawn, when as many units are drawn as there are."""
    count = units.max() + 1
    return np.bincount(draw.integers(0, count, count), minlength=count)[units]


def _require_sides(answers: Sequence[LabelledAnswer], labels: np.ndarray, trait: str) -> None:
    for side, present in (("for", labels.any()), ("against", not labels.all())):
        if not len(answers) or not present:
            raise JudgeError(
                f"a contrast judge for '{trait}' needs answers drawn {side} the trait: none has text"
            )
    if len({answer.question_index % QUESTION_FOLDS for answer in answers}) < 2:
        raise JudgeError(
            f"a contrast judge for '{trait}' needs at least two questions, so that one can be held out"
        )
