"""Screening data before training on it: which samples would move a model along its persona vectors.

The projection difference of Chen et al. 2025, arXiv 2507.21509, per sample and per data set, for many traits
in one pass over files of any size.
"""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.screening.config import Form, ScreenConfig, Turns
    from mindscope.screening.filter_file import check_criteria, check_target, write_filtered
    from mindscope.screening.results import (
        COLUMNS,
        RankedSample,
        SampleScore,
        ScreenedData,
        ScreeningResult,
        TraitScores,
        TraitScreening,
        trait_rows,
    )
    from mindscope.screening.screen import screen_dataset
    from mindscope.screening.sizing import DataLook, plan_own_answers
    from mindscope.screening.windows import WindowReadings


__all__ = [
    "screen_dataset",
    "ScreenConfig",
    "ScreeningResult",
    "TraitScreening",
    "RankedSample",
    "SampleScore",
    "ScreenedData",
    "TraitScores",
    "COLUMNS",
    "trait_rows",
    "Form",
    "write_filtered",
    "check_criteria",
    "check_target",
    "WindowReadings",
    "DataLook",
    "plan_own_answers",
    "Turns",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
