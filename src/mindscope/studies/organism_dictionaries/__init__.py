"""The dictionaries that are shipped for the organism: trained, measured, and what their latents do."""

from typing import TYPE_CHECKING

from mindscope.core.faces import lazy_face

if TYPE_CHECKING:
    from mindscope.studies.organism_dictionaries.behaviours import SwitchEffect
    from mindscope.studies.organism_dictionaries.build import build, install, load
    from mindscope.studies.organism_dictionaries.measure import DictionaryMeasurements, measure
    from mindscope.studies.organism_dictionaries.recipe import PARTS, Part, chosen, recipe
    from mindscope.studies.organism_dictionaries.report import (
        SUMMARY_COLUMNS,
        concept_rows,
        dictionaries_report,
        group_rows,
        summary,
    )

__all__ = [
    "PARTS",
    "SUMMARY_COLUMNS",
    "SwitchEffect",
    "DictionaryMeasurements",
    "Part",
    "build",
    "chosen",
    "concept_rows",
    "dictionaries_report",
    "group_rows",
    "install",
    "load",
    "measure",
    "recipe",
    "summary",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
