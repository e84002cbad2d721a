"""Classifiers against sklearn's own scores, planted columns, and thresholds tried one by one."""

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, roc_auc_score

from mindscope.errors import DataError
from mindscope.probes import best_single_features, fit_probe, score_probe
from mindscope.probes.single_feature import best_thresholds

TRUE, SPURIOUS = 3, 7


def data(rows: int = 400, seed: int = 0, *, agree: float = 0.95) -> tuple[torch.Tensor, torch.Tensor]:
    """Column 3 is the class with noise; column 7 agrees with the class so often, and is otherwise clean."""
    draw = np.random.default_rng(seed)
    y = draw.random(rows) < 0.4
    x = draw.normal(size=(rows, 12))
    x[:, TRUE] = y + 0.35 * draw.normal(size=rows)
    x[:, SPURIOUS] = 3.0 * np.where(draw.random(rows) < agree, y, ~y)
    return torch.from_numpy(x).float(), torch.from_numpy(y)


@pytest.mark.parametrize("kind", ["l2", "l1", "tree"])
def test_scores_are_those_of_sklearn(kind: str):
    fitted = fit_probe(*data(), kind)
    x, y = data(300, 1)
    found, said = score_probe(fitted, x, y), fitted.probabilities(x).numpy()
    assert found.auroc.value == pytest.approx(roc_auc_score(y, said))
    assert found.f1.value == pytest.approx(f1_score(y, said > 0.5))
    assert found.auroc.low < found.auroc.value < found.auroc.high
    assert {one.column for one in fitted.top(2)} == {TRUE, SPURIOUS}


def test_intervals_cover_new_samples():
    """The interval of one held-out set is as wide as the values of many are apart."""
    fitted = fit_probe(*data())
    first = score_probe(fitted, *data(300, 1)).auroc
    values = [score_probe(fitted, *data(300, seed)).auroc.value for seed in range(2, 42)]
    half = (first.high - first.low) / 2
    assert 1.2 * np.std(values) < half < 3.5 * np.std(values)


def test_ablating_the_spurious_column_mends_the_classifier():
    """Where the spurious column turns against the class, leaving it out makes all the difference."""
    fitted = fit_probe(*data())
    x, y = data(400, 1, agree=0.05)
    before, after = score_probe(fitted, x, y), score_probe(fitted.without([SPURIOUS]), x, y)
    assert before.auroc.value < 0.6
    assert after.auroc.value > 0.95
    x[:, SPURIOUS] = 0
    torch.testing.assert_close(fitted.probabilities(x), fitted.without([SPURIOUS]).probabilities(x))


def test_a_linear_classifier_is_a_direction():
    fitted = fit_probe(*data(), "l2")
    direction = fitted.direction("class", "resid_post.1", "abc")
    x, _ = data(50, 3)
    logits = x @ direction.vector + fitted.bias
    torch.testing.assert_close(logits.sigmoid(), fitted.probabilities(x))
    with pytest.raises(DataError, match="tree"):
        fit_probe(*data(), "tree").direction("class", "resid_post.1", "abc")


def test_refuses_what_cannot_be_learned():
    x, y = data(50)
    with pytest.raises(DataError, match="NaN"):
        fit_probe(x.masked_fill(x > 2, float("nan")), y)
    with pytest.raises(DataError, match="of each"):
        fit_probe(x, torch.zeros(50, dtype=torch.bool))
    with pytest.raises(DataError, match="one class"):
        score_probe(fit_probe(x, y), x, torch.ones(50, dtype=torch.bool))


def test_thresholds_against_trying_each():
    draw = torch.Generator().manual_seed(0)
    x = (torch.rand(60, 5, generator=draw) * 8).round() / 4 - 0.5  # many ties, some below 0
    shown = torch.rand(60, 3, generator=draw) < 0.3
    f1s, thresholds = best_thresholds(x, shown)
    for concept in range(3):
        for column in range(5):
            values = x[:, column]
            tried = [0.0, *[t + 1e-3 for t in values[values > 0].tolist()]]
            best = max(f1_score(shown[:, concept], values > t, zero_division=0.0) for t in tried)
            assert f1s[concept, column].item() == pytest.approx(best)
            said = values > thresholds[concept, column]
            assert f1_score(shown[:, concept], said, zero_division=0.0) == pytest.approx(best)


def test_single_features_are_scored_on_the_other_half():
    """A feature that fits the training rows by chance must not keep its score."""
    draw = torch.Generator().manual_seed(1)
    x, held = (torch.rand(40, 3000, generator=draw).round() for _ in range(2))
    shown, held_shown = (torch.rand(40, 1, generator=draw) < 0.3 for _ in range(2))
    (chance,) = best_single_features(x, shown, held, held_shown)
    assert chance.train_f1 > 0.7
    assert chance.f1 < 0.7
    x[:, 17], held[:, 17] = shown[:, 0].float(), held_shown[:, 0].float()
    (real,) = best_single_features(x, shown, held, held_shown)
    assert (real.feature, real.f1, real.positive) == (17, 1.0, int(held_shown.sum()))


def test_no_concept_has_no_feature():
    x, none = torch.rand(6, 3), torch.zeros(6, 0, dtype=torch.bool)
    assert best_single_features(x, none, x, none) == []
