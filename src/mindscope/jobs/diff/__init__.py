"""The job of comparing two models, and the harmless tune beside which claims are tested."""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.jobs.diff.comparing import (
        DiffReport,
        DiffSpec,
        diff_models,
        find_prompts,
        read_texts,
    )
    from mindscope.jobs.diff.null import find_nulls, load_nulls, ordinary_rows, read_recipe

__all__ = [
    "diff_models",
    "DiffSpec",
    "DiffReport",
    "find_nulls",
    "find_prompts",
    "load_nulls",
    "read_texts",
    "ordinary_rows",
    "read_recipe",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
