"""A measure's place among random directions, and areas under ROC curves against a library."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mindscope.stats import area_under_curve, place_among


def test_areas_of_all_columns_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    positive, negative = random.normal(0.5, 1, (13, 4)), random.normal(0, 1, (29, 4))
    positive[:, 3], negative[:, 3] = np.round(positive[:, 3]), np.round(negative[:, 3])  # ties
    areas = area_under_curve(positive, negative)
    labels = [1] * 13 + [0] * 29
    for column in range(4):
        scores = np.concatenate([positive[:, column], negative[:, column]])
        assert areas[column] == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_the_place_is_the_share_below_and_ties_count_half() -> None:
    control = place_among("AUROC", 0.7, [0.1, 0.2, 0.7, 0.9])
    assert control.percentile == pytest.approx(100 * 2.5 / 4)
    assert (control.directions, control.median) == (4, pytest.approx(0.45))
    assert "above 62.5 % of 4 random directions" in str(control)
