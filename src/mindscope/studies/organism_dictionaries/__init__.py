"""The dictionaries that are shipped for the organism: trained, measured, and what their latents do."""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.studies.organism_dictionaries.build import build, find_bundled, install, load
    from mindscope.studies.organism_dictionaries.job import (
        ShippedDictionariesReport,
        ShippedDictionariesSpec,
        build_shipped,
    )
    from mindscope.studies.organism_dictionaries.measure import DictionaryMeasurements, measure
    from mindscope.studies.organism_dictionaries.probes import shows
    from mindscope.studies.organism_dictionaries.recipe import PARTS, Part, order_parts, recipe
    from mindscope.studies.organism_dictionaries.report import (
        SUMMARY_COLUMNS,
        concept_rows,
        dictionaries_report,
        group_rows,
        summary,
    )
    from mindscope.studies.organism_dictionaries.results import (
        GROUP_COLUMNS,
        MODALITY_COLUMNS,
        ModalityRates,
        SwitchEffect,
    )

__all__ = [
    "GROUP_COLUMNS",
    "MODALITY_COLUMNS",
    "ModalityRates",
    "PARTS",
    "SUMMARY_COLUMNS",
    "SwitchEffect",
    "DictionaryMeasurements",
    "Part",
    "build",
    "find_bundled",
    "order_parts",
    "ShippedDictionariesReport",
    "ShippedDictionariesSpec",
    "build_shipped",
    "concept_rows",
    "dictionaries_report",
    "group_rows",
    "install",
    "load",
    "measure",
    "recipe",
    "shows",
    "summary",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
