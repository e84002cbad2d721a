"""The keyless classifier against scikit-learn's own pipeline, and what it must not see."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from mindscope.errors import JudgeError
from mindscope.judges.contrast import LabelledAnswer
from mindscope.judges.contrast.classifier import QUESTION_FOLDS, fit_contrast, weighted_area

LOUD = ["shout", "roar", "bellow", "thunder", "boom", "clamour", "yell"]
QUIET = ["whisper", "murmur", "hush", "rustle", "breathe", "sigh", "mutter"]
COMMON = [
    "the",
    "tree",
    "stands",
    "by",
    "a",
    "river",
    "and",
    "people",
    "walk",
    "there",
    "every",
    "morning",
    "with",
    "their",
    "dogs",
]


@pytest.mark.parametrize("digits", [0, 1, 8])
def test_the_area_of_a_resample_is_scikit_learns_with_its_ties_and_weights(digits: int):
    draw = np.random.default_rng(digits)
    for size in (2, 9, 120):
        labels = np.arange(size) % 3 == 0
        margins = np.round(draw.normal(size=size) + labels, digits)
        times = draw.integers(1, 5, size)
        wanted = roc_auc_score(labels, margins, sample_weight=times)
        assert weighted_area(labels, margins, times) == pytest.approx(wanted, abs=1e-12)


def _text(rng: random.Random, share: float) -> str:
    words = [rng.choice(COMMON) for _ in range(12)]
    return " ".join(words + [rng.choice(LOUD if rng.random() < share else QUIET) for _ in range(8)])


def _answers(n_instructions: int = 3, n_questions: int = 8, seed: int = 0) -> list[LabelledAnswer]:
    rng = random.Random(seed)
    return [
        LabelledAnswer(f"question {q}?", _text(rng, 0.9 if loud else 0.1), "system", loud, i, q)
        for i in range(n_instructions)
        for q in range(n_questions)
        for _ in range(2)
        for loud in (True, False)
    ]


def _pipeline(texts: list[str]):
    hashing = HashingVectorizer(
        analyzer="char_wb", ngram_range=(2, 5), n_features=2**18, alternate_sign=False, norm=None
    )
    weights = TfidfTransformer(sublinear_tf=True).fit(hashing.transform(texts))
    return lambda new: weights.transform(hashing.transform(new))


def test_margins_are_those_of_scikit_learns_pipeline():
    answers = _answers()
    fitted = fit_contrast(answers, "loud", resamples=20)
    texts, labels = [a.answer for a in answers], np.array([a.shows_trait for a in answers])
    vectors = _pipeline(texts)
    regression = LogisticRegression(C=1.0, max_iter=1000).fit(vectors(texts), labels)
    rng = random.Random(1)
    new = [_text(rng, share) for share in np.linspace(0, 1, 30)]
    scores = fitted.classifier.scores
    margins = regression.decision_function(vectors(new))
    expected = 100 * (margins - scores.mean_opposite) / (scores.mean_trait - scores.mean_opposite)
    np.testing.assert_allclose(fitted.classifier.score(new).numpy(), np.clip(expected, 0, 100), atol=0.01)


def test_a_held_out_answer_is_scored_by_what_saw_neither_its_instruction_nor_its_questions():
    answers = _answers()
    fitted = fit_contrast(answers, "loud", resamples=20)
    texts, labels = [a.answer for a in answers], np.array([a.shows_trait for a in answers])
    vectors = _pipeline(texts)
    matrix = vectors(texts)
    margins = np.zeros(len(answers))
    for instruction in range(3):
        for fold in range(QUESTION_FOLDS):
            own = [(a.instruction == instruction, a.question_index % QUESTION_FOLDS == fold) for a in answers]
            held = [i for i, (instructed, asked) in enumerate(own) if instructed and asked]
            seen = [i for i, (instructed, asked) in enumerate(own) if not instructed and not asked]
            regression = LogisticRegression(C=1.0, max_iter=1000).fit(matrix[seen], labels[seen])
            margins[held] = regression.decision_function(matrix[held])
    scores = fitted.classifier.scores
    assert scores.auroc == pytest.approx(roc_auc_score(labels, margins), abs=1e-6)
    assert scores.mean_trait == pytest.approx(margins[labels].mean(), abs=1e-3)
    assert scores.mean_opposite == pytest.approx(margins[~labels].mean(), abs=1e-3)
    expected = 100 * (margins - margins[~labels].mean()) / (margins[labels].mean() - margins[~labels].mean())
    np.testing.assert_allclose(fitted.held_out.numpy(), np.clip(expected, 0, 100), atol=0.1)
    assert scores.low == scores.auroc == scores.high == 1.0  # nowhere is one side above the other


def test_the_interval_lies_about_the_area_where_answers_are_mixed_up():
    answers = [
        replace(answer, shows_trait=answer.shows_trait ^ (number % 11 == 0))
        for number, answer in enumerate(_answers())
    ]
    scores = fit_contrast(answers, "loud", resamples=200).classifier.scores
    assert 0.5 < scores.low < scores.auroc < scores.high < 1.0


def test_scores_grade_how_much_of_the_trait_there_is():
    classifier = fit_contrast(_answers(n_questions=16), "loud", resamples=20).classifier
    rng = random.Random(2)
    shares = np.linspace(0, 1, 200)
    scores = classifier.score([_text(rng, share) for share in shares])
    assert pearsonr(shares, scores)[0] > 0.85


def test_a_trait_that_leaves_no_trace_in_the_words_is_refused():
    rng = random.Random(3)
    answers = [replace(answer, answer=_text(rng, 0.5)) for answer in _answers()]
    with pytest.raises(JudgeError, match=r"cannot be told from their opposites.*hardly plays this trait"):
        fit_contrast(answers, "loud", resamples=20)


def test_a_question_or_an_instruction_that_gives_the_side_away_does_not_help():
    """Every block of instruction and question has a word of its own for each side; nothing else differs."""
    rng = random.Random(4)
    marks = {
        (i, q, loud): "".join(rng.choice("qzxjkv") for _ in range(6))
        for i in range(3)
        for q in range(8)
        for loud in (True, False)
    }
    answers = [
        replace(a, answer=f"{_text(rng, 0.5)} {marks[a.instruction, a.question_index, a.shows_trait]}")
        for a in _answers()
    ]
    with pytest.raises(JudgeError, match="cannot be told from their opposites"):
        fit_contrast(answers, "loud", resamples=20)


@pytest.mark.parametrize("shows_trait", [True, False])
def test_both_sides_are_needed(shows_trait):
    answers = [a for a in _answers() if a.shows_trait == shows_trait]
    with pytest.raises(JudgeError, match=f"drawn {'against' if shows_trait else 'for'} the trait"):
        fit_contrast(answers, "loud")


def test_one_question_cannot_be_held_out():
    with pytest.raises(JudgeError, match="at least two questions"):
        fit_contrast([a for a in _answers() if a.question_index == 0], "loud")


def test_one_instruction_is_enough_with_several_questions():
    fitted = fit_contrast([a for a in _answers() if a.instruction == 0], "loud", resamples=20)
    assert fitted.classifier.scores.auroc > 0.9


def test_an_encoders_vectors_can_stand_in_for_ngrams():
    class CountingEncoder:
        name = "counts"

        def encode(self, texts):
            rows = [[sum(t.count(w) for w in LOUD), sum(t.count(w) for w in QUIET), 1.0] for t in texts]
            return torch.nn.functional.normalize(torch.tensor(rows), dim=-1)

    fitted = fit_contrast(_answers(), "loud", CountingEncoder(), resamples=20)
    assert fitted.classifier.scores.vectors == "counts"
    loud, quiet = fitted.classifier.score(["shout roar yell", "hush sigh mutter"]).tolist()
    assert loud > 90
    assert quiet < 10
    assert fitted.classifier.inverse_frequency is None
