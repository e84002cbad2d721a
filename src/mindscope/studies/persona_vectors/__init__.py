"""The claims of the persona-vector paper (Chen et al. 2025, arXiv 2507.21509), measured on any model."""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.studies.persona_vectors.benches.bench import StudyBench
    from mindscope.studies.persona_vectors.benches.files_bench import FilesBench
    from mindscope.studies.persona_vectors.benches.organism_bench import OrganismBench
    from mindscope.studies.persona_vectors.benches.second_organism_bench import SecondOrganismBench
    from mindscope.studies.persona_vectors.claims import list_claims
    from mindscope.studies.persona_vectors.config import ReproduceConfig, organism_config
    from mindscope.studies.persona_vectors.job import ReproduceSpec, ReproductionReport, reproduce_claims
    from mindscope.studies.persona_vectors.report import claims_report
    from mindscope.studies.persona_vectors.reproduce import PersonaReproduction, reproduce

__all__ = [
    "StudyBench",
    "FilesBench",
    "OrganismBench",
    "SecondOrganismBench",
    "ReproduceConfig",
    "PersonaReproduction",
    "claims_report",
    "organism_config",
    "reproduce",
    "list_claims",
    "ReproduceSpec",
    "ReproductionReport",
    "reproduce_claims",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
