"""The jobs that make, choose, show, bake and exchange persona vectors."""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.jobs.persona.baking import BakeReport, BakeSpec, bake, require_checkpoint
    from mindscope.jobs.persona.persona_run import PersonaRun, VectorsSummary, default_layer, find_choice
    from mindscope.jobs.persona.step_specs import (
        ComparedAnswers,
        ExtractReport,
        ExtractSpec,
        ShowVectorsSpec,
        SteeringSummary,
        SteerSpec,
        SweepReport,
        SweepSpec,
        VectorsListing,
    )
    from mindscope.jobs.persona.three_steps import extract, show, steer, sweep
    from mindscope.jobs.persona.traits import (
        TraitsReport,
        TraitsSpec,
        WriteTraitSpec,
        WrittenFile,
        show_traits,
        write_trait,
    )
    from mindscope.jobs.persona.vector_files import (
        ExportVectorsSpec,
        ImportVectorsSpec,
        export_vectors,
        import_vectors,
    )

__all__ = [
    "extract",
    "ExtractSpec",
    "ExtractReport",
    "sweep",
    "SweepSpec",
    "SweepReport",
    "steer",
    "SteerSpec",
    "SteeringSummary",
    "ComparedAnswers",
    "show",
    "ShowVectorsSpec",
    "VectorsListing",
    "PersonaRun",
    "VectorsSummary",
    "default_layer",
    "find_choice",
    "bake",
    "BakeSpec",
    "BakeReport",
    "require_checkpoint",
    "show_traits",
    "TraitsSpec",
    "TraitsReport",
    "write_trait",
    "WriteTraitSpec",
    "WrittenFile",
    "export_vectors",
    "ExportVectorsSpec",
    "import_vectors",
    "ImportVectorsSpec",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
