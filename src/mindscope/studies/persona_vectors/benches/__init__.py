"""What the claims are tested on: the organisms, files, or a model with its own answers."""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.studies.persona_vectors.benches.bench import (
        IN_POOL,
        PreparedTrait,
        StudyBench,
        draw_shots,
        mix_instructions,
        prepare_traits,
    )
    from mindscope.studies.persona_vectors.benches.files_bench import FilesBench
    from mindscope.studies.persona_vectors.benches.organism_bench import OrganismBench
    from mindscope.studies.persona_vectors.benches.own_answers_bench import OwnAnswersBench
    from mindscope.studies.persona_vectors.benches.second_organism_bench import SecondOrganismBench

__all__ = [
    "StudyBench",
    "PreparedTrait",
    "prepare_traits",
    "mix_instructions",
    "draw_shots",
    "IN_POOL",
    "FilesBench",
    "OrganismBench",
    "SecondOrganismBench",
    "OwnAnswersBench",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
