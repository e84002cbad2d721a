"""The space of personas: how many dimensions hold a model's voices, what they are made of, and how they mix.

Open questions of "Persona Vectors" (Chen et al. 2025, arXiv 2507.21509) and of "The Assistant Axis" (Lu et
al. 2026, arXiv 2601.10387), asked of the organism, whose fourteen voices are known by construction:

1. Vectors of all voices at once (`voices.py`), the dimensions that hold them, the axis from other voices to
   the assistant, and whether cosines say which traits are shown together (`geometry.py`).
2. What steering with each vector, with the axis and with two vectors at once does (`steering.py`).
3. Whether a vector's grip needs its trait to be linear in the activations (`readers.py`).
4. The dictionary features that carry a persona: vectors rebuilt from a few of them, and answers without
   them (`carriers.py`).

Of any other chat model the first step is taken with forty short traits, whose judges need no key
(`real_traits.py`).
"""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.studies.persona_space.config import PersonaSpaceConfig
    from mindscope.studies.persona_space.job import PersonaSpaceSpec, study_persona_space
    from mindscope.studies.persona_space.results import PersonaSpaceStudy, RealTraitsStudy

__all__ = [
    "study_persona_space",
    "PersonaSpaceSpec",
    "PersonaSpaceConfig",
    "PersonaSpaceStudy",
    "RealTraitsStudy",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
