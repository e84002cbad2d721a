"""The jobs of dictionaries: train, record activations, show, evaluate, and exchange with other tools."""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.jobs.dictionary.converting import (
        DictionaryListing,
        ExportDictionarySpec,
        ExportedDictionary,
        ImportDictionarySpec,
        ImportedDictionary,
        ShowDictionarySpec,
        export_dictionary,
        import_dictionary,
        show,
    )
    from mindscope.jobs.dictionary.evaluating import EvaluateDictionariesSpec, EvaluationReport, evaluate
    from mindscope.jobs.dictionary.inputs import (
        BorrowingModelsSpec,
        CorpusSpec,
        DictionaryFacts,
        TwoEnginesSpec,
        borrowed_of,
        find_dictionaries,
        read_rows_of,
    )
    from mindscope.jobs.dictionary.training import (
        RecordingReport,
        RecordSpec,
        TrainDictionariesSpec,
        TrainingReport,
        record,
        train,
    )

__all__ = [
    "train",
    "TrainDictionariesSpec",
    "TrainingReport",
    "record",
    "RecordSpec",
    "RecordingReport",
    "show",
    "ShowDictionarySpec",
    "DictionaryListing",
    "DictionaryFacts",
    "evaluate",
    "EvaluateDictionariesSpec",
    "EvaluationReport",
    "import_dictionary",
    "ImportDictionarySpec",
    "ImportedDictionary",
    "export_dictionary",
    "ExportDictionarySpec",
    "ExportedDictionary",
    "BorrowingModelsSpec",
    "borrowed_of",
    "CorpusSpec",
    "TwoEnginesSpec",
    "read_rows_of",
    "find_dictionaries",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
