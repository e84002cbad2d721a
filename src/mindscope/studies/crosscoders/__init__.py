"""Crosscoders: features that layers share, and what two models do not (Lindsey et al. 2024, 2025).

On the organism, whose concepts are known, and on the organism beside itself after a short tuning:

1. Layers (`layers.py`): a crosscoder over all blocks, a weakly causal one and SAEs of single blocks learn
   from the same tokens, with as many latents or with as much arithmetic. Compared are the loss, the latents
   active on a token, the norms and directions of a latent through depth (`depth.py`), and the known concepts
   that single latents stand for (`recovery.py`). The control is a crosscoder that learns from tokens whose
   layers were shuffled against one another: nothing is shared there.
2. Pairs (`pairs.py`): crosscoders between the base and a tuned model, with L1 as published, with designated
   shared latents and with BatchTopK. Exclusive latents are compared with shared ones (`exclusive.py`), and
   the artefacts of L1 are counted by latent scaling. The control is the same model twice.
"""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.studies.crosscoders.config import CrosscodersConfig
    from mindscope.studies.crosscoders.job import CrosscodersSpec, study_crosscoders
    from mindscope.studies.crosscoders.results import CrosscodersStudy

__all__ = ["study_crosscoders", "CrosscodersSpec", "CrosscodersConfig", "CrosscodersStudy"]

__getattr__, __dir__ = lazy_face(__name__, __file__)
