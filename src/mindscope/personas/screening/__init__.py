"""Screening data before training on it: which samples would move a model along its persona vectors.

The projection difference of Chen et al. 2025, arXiv 2507.21509, per sample and per data set, for many traits
in one pass over files of any size.
"""

from mindscope.personas.screening.config import Form, ScreenConfig, Turns
from mindscope.personas.screening.filtering import write_filtered
from mindscope.personas.screening.results import Ranked, Screening, TraitScreening
from mindscope.personas.screening.screen import screen

__all__ = [
    "screen",
    "ScreenConfig",
    "Screening",
    "TraitScreening",
    "Ranked",
    "Form",
    "Turns",
    "write_filtered",
]
