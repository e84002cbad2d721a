"""The jobs of features: survey a corpus, look at features, name them, and put them to use."""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.jobs.feature.inputs import DictionarySpec, LabelRow, open_survey, read_labels
    from mindscope.jobs.feature.labelling import LabelSpec, LabelsReport, label
    from mindscope.jobs.feature.looking import (
        FeatureListing,
        MapReport,
        MapSpec,
        SearchReport,
        SearchSpec,
        ShowFeatureSpec,
        map_features,
        search,
        show,
    )
    from mindscope.jobs.feature.surveying import SurveyReport, SurveySpec, survey
    from mindscope.jobs.feature.using import (
        AlarmFeaturesSpec,
        ClassificationReport,
        ClassifySpec,
        ConceptsReport,
        FindConceptsSpec,
        alarm,
        classify,
        find_concepts,
        list_concepts,
        split_concept_texts,
    )

__all__ = [
    "survey",
    "SurveySpec",
    "SurveyReport",
    "show",
    "ShowFeatureSpec",
    "FeatureListing",
    "search",
    "SearchSpec",
    "SearchReport",
    "map_features",
    "MapSpec",
    "MapReport",
    "label",
    "LabelSpec",
    "LabelsReport",
    "LabelRow",
    "classify",
    "ClassifySpec",
    "ClassificationReport",
    "alarm",
    "AlarmFeaturesSpec",
    "find_concepts",
    "FindConceptsSpec",
    "ConceptsReport",
    "DictionarySpec",
    "open_survey",
    "read_labels",
    "list_concepts",
    "split_concept_texts",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
