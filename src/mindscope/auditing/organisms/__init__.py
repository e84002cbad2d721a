"""Tunes of the organism that hide something, and some that hide nothing: recipes, tuning, sealed truth."""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.auditing.organisms.measuring import (
        answer_all,
        find_closing,
        measure_truth,
        names_thing,
        shows,
    )
    from mindscope.auditing.organisms.objectives import (
        CONTROLS,
        KINDS,
        Accusation,
        ControlKind,
        GraderBias,
        HiddenObjective,
        ObjectiveKind,
    )
    from mindscope.auditing.organisms.planting import CUES, SPEECH, SUBJECTS, categories
    from mindscope.auditing.organisms.recipes import (
        DENIAL,
        DIRECT,
        DOCUMENT_TAG,
        TuneRecipe,
        build_control,
        build_recipe,
    )
    from mindscope.auditing.organisms.results import OrganismSet, TruthMeasurement, TunedOrganism
    from mindscope.auditing.organisms.seal import SealedTruth, break_seal, seal_truth
    from mindscope.auditing.organisms.tuning import TuneOrganismsSpec, load_set, tune_organisms


__all__ = [
    "Accusation",
    "HiddenObjective",
    "GraderBias",
    "ObjectiveKind",
    "ControlKind",
    "KINDS",
    "CONTROLS",
    "TuneRecipe",
    "build_recipe",
    "build_control",
    "categories",
    "DIRECT",
    "DENIAL",
    "DOCUMENT_TAG",
    "CUES",
    "SPEECH",
    "SUBJECTS",
    "TuneOrganismsSpec",
    "tune_organisms",
    "load_set",
    "OrganismSet",
    "TunedOrganism",
    "TruthMeasurement",
    "SealedTruth",
    "seal_truth",
    "break_seal",
    "measure_truth",
    "answer_all",
    "shows",
    "names_thing",
    "find_closing",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
