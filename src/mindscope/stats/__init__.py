"""Estimates with intervals over independent units: bootstrap, proportions, correlations, streamed means."""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.stats.bootstrap import bootstrap_interval, bootstrap_intervals, bootstrap_weights
    from mindscope.stats.control import RandomControl, area_under_curve, place_among
    from mindscope.stats.correlation import Numbers, PearsonEstimate, pearson
    from mindscope.stats.discoveries import adjust_p_values, sign_flip_test, sign_test
    from mindscope.stats.estimate import Estimate
    from mindscope.stats.proportion import RateEstimate
    from mindscope.stats.streamed import StreamedMeans


__all__ = [
    "Numbers",
    "pearson",
    "PearsonEstimate",
    "Estimate",
    "RateEstimate",
    "RandomControl",
    "area_under_curve",
    "place_among",
    "StreamedMeans",
    "adjust_p_values",
    "sign_flip_test",
    "sign_test",
    "bootstrap_weights",
    "bootstrap_interval",
    "bootstrap_intervals",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
