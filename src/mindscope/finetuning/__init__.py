"""Fine-tuning a model on conversations, and keeping traits from being learnt meanwhile.

LoRA, rs-LoRA or all weights, with peft and trl; preventative steering, concept ablation and projection
penalties for any number of traits, guarded so that a training never goes on without them.
"""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.finetuning.config import (
        ConceptAblation,
        FinetuneConfig,
        PreventativeSteering,
        ProjectionPenalty,
        TrainingIntervention,
    )
    from mindscope.finetuning.finetune import finetune_model, load_base, missing_libraries
    from mindscope.finetuning.result import TunedModel
    from mindscope.finetuning.shift_callback import ShiftCallback, ShiftLog, ShiftRecord, follow_shift


__all__ = [
    "finetune_model",
    "load_base",
    "missing_libraries",
    "FinetuneConfig",
    "follow_shift",
    "ShiftCallback",
    "ShiftLog",
    "ShiftRecord",
    "TunedModel",
    "TrainingIntervention",
    "PreventativeSteering",
    "ConceptAblation",
    "ProjectionPenalty",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
