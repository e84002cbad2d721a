"""Do languages and pictures share their features (Lindsey et al. 2025; Templeton et al. 2024)?

On the second organism, whose concepts have words in three languages and some of them pictures. SAEs of every
block are trained on its corpus. One sentence is read in three languages, and the features active in it are
compared pair by pair, layer by layer, beside other sentences of the same form (`overlap.py`). For each thing
that can be drawn, one latent is looked for that is active on its picture and on its word in every language
(`things.py`), beside the same search with the pictures' names exchanged. Sentences and things are what
intervals are over.
"""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.studies.shared_space.config import SharedSpaceConfig
    from mindscope.studies.shared_space.job import SharedSpaceSpec, study_shared_space
    from mindscope.studies.shared_space.results import SharedSpaceStudy

__all__ = ["study_shared_space", "SharedSpaceSpec", "SharedSpaceConfig", "SharedSpaceStudy"]

__getattr__, __dir__ = lazy_face(__name__, __file__)
