"""Tests of many differences at once: sign flips of paired units, and the false-discovery rate of a list."""

import numpy as np
from jaxtyping import Float64

from mindscope.stats.correlation import Numbers

FLIPS = 4000
"""Random sign patterns: the smallest p is then 1/4001, which survives a correction over 200 tests."""
_AT_ONCE = 2**24


def sign_flip_test(differences: Numbers | Float64[np.ndarray, "units tests"], seed: int = 0) -> np.ndarray:
    """The p-value that a mean above zero is chance, for paired differences of independent units.

    Under the hypothesis that a unit's difference is as likely to be +d as -d, the mean is compared with those
    of random sign patterns, the observed one counted among them: p = (1 + #{flipped >= observed}) / (1 +
    flips). One-sided: small where the mean is above zero. All columns share the patterns.

    Args:
        differences: `[units]`, or `[units, tests]` for several tests of the same units.
        seed: of the patterns.

    Returns:
        `[tests]`; of one test a single number. 1 where nothing differs.
    """
    values = np.asarray(differences, np.float64)
    table = values[:, None] if values.ndim == 1 else values
    observed = table.sum(0)
    n_units, n_tests = table.shape
    reached = np.zeros(n_tests)
    generator = np.random.default_rng(seed)
    size = max(1, _AT_ONCE // max(1, n_tests))
    for start in range(0, FLIPS, size):
        signs = generator.integers(0, 2, (min(size, FLIPS - start), n_units), np.int8) * 2.0 - 1.0
        # A tie within rounding counts as reached: where all differ alike, half of the patterns tie.
        reached += (signs @ table >= observed - 1e-12 * np.abs(table).sum(0)).sum(0)
    p_values = (1 + reached) / (1 + FLIPS)
    return p_values[0] if values.ndim == 1 else p_values


def adjust_p_values(p_values: Numbers) -> Float64[np.ndarray, "tests"]:
    """q-values: the false-discovery rate of the list that ends with each test (Benjamini and Hochberg 1995).

    q of the k-th smallest of m is the least of p_(j) m / j over j >= k. Keeping what has q <= 0.05 keeps a
    list of which at most 5 % are expected to be chance, if tests are independent or positively dependent.
    """
    values = np.asarray(p_values, np.float64)
    if not len(values):
        return values
    order = np.argsort(values)
    scaled = values[order] * len(values) / np.arange(1, len(values) + 1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum.accumulate(scaled[::-1])[::-1].clip(max=1.0)
    return adjusted


def sign_test(n_up: Numbers, n_down: Numbers) -> Float64[np.ndarray, "tests"]:
    """The exact one-sided p-value that ups outnumber downs by chance: P(Binomial(up + down, 1/2) >= up).

    McNemar's test where units are pairs of yes and no; units without a change do not count. 1 where nothing
    changed.
    """
    from scipy.stats import binom

    ups, downs = np.asarray(n_up), np.asarray(n_down)
    return np.asarray(binom.sf(ups - 1, ups + downs, 0.5), np.float64)
