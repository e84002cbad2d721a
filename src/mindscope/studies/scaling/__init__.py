"""Scaling dictionaries, and what larger ones find (Templeton et al. 2024, "Scaling Monosemanticity").

On the organism, whose names are known, at the middle of its residual stream; two of four parts on any model:

1. Laws (`laws.py`): SAEs of several sizes learn for several numbers of steps. At equal compute one size
   is best; its loss, latents and steps are followed as compute grows, and larger runs are predicted.
2. Names (`presence.py`): how often a name is met in training is dealt at random (`names.py`), and
   dictionaries of three sizes are asked whether they have a latent for it.
3. Neighbourhoods (`neighbourhoods.py`): whether latents with like decoder rows stand for like things, and
   into how many a latent of a small dictionary splits in larger ones.
4. Steering (`steering.py`): the latent of a name is clamped to multiples of its highest activation, as the
   one for the Golden Gate Bridge was, and the world's truth says what answers are about.
"""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.studies.scaling.config import ScalingConfig
    from mindscope.studies.scaling.job import ScalingSpec, study_scaling
    from mindscope.studies.scaling.results import ModelScalingStudy, ScalingStudy

__all__ = ["study_scaling", "ScalingSpec", "ScalingConfig", "ScalingStudy", "ModelScalingStudy"]

__getattr__, __dir__ = lazy_face(__name__, __file__)
