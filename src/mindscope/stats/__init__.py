"""Estimates with intervals over independent units: bootstrap, proportions, correlations, streamed means."""

from mindscope.stats.correlation import Numbers, pearson

__all__ = [
    "Numbers",
    "pearson",
]
