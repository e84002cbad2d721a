"""The claims of the persona-vector paper (Chen et al. 2025, arXiv 2507.21509), measured on any model."""

from mindscope.studies.persona_claims.bench import Bench
from mindscope.studies.persona_claims.config import ReproduceConfig, organism_config
from mindscope.studies.persona_claims.files_bench import FilesBench
from mindscope.studies.persona_claims.organism_bench import OrganismBench
from mindscope.studies.persona_claims.report import claims_report
from mindscope.studies.persona_claims.reproduce import Reproduction, reproduce
from mindscope.studies.persona_claims.verdicts import Verdict, verdicts

__all__ = [
    "Bench",
    "FilesBench",
    "OrganismBench",
    "ReproduceConfig",
    "Reproduction",
    "Verdict",
    "claims_report",
    "organism_config",
    "reproduce",
    "verdicts",
]
