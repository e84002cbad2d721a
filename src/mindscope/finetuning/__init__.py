"""Fine-tuning a model on conversations, and keeping traits from being learnt meanwhile.

LoRA, rs-LoRA or all weights, with peft and trl; preventative steering, concept ablation and projection
penalties for any number of traits, guarded so that a training never goes on without them.
"""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.finetuning.behaviour import compare_answers, project_answers, trait_questions
    from mindscope.finetuning.config import (
        SCAN_STEPS,
        ConceptAblation,
        FinetuneConfig,
        InoculationPrompt,
        PreventativeSteering,
        ProjectionPenalty,
        TrainingIntervention,
    )
    from mindscope.finetuning.examples import TrainingExamples, build_examples
    from mindscope.finetuning.finetune import finetune_model, load_base, missing_libraries
    from mindscope.finetuning.general_knowledge import ChoiceQuestion, answer_choices, choice_questions
    from mindscope.finetuning.prevention import (
        AnswerProjection,
        PreventionScan,
        PreventionTrial,
        choose_coefficient,
    )
    from mindscope.finetuning.result import TunedModel, TuningCard
    from mindscope.finetuning.scan import scan_prevention
    from mindscope.finetuning.shift_callback import ShiftCallback, ShiftLog, ShiftRecord, follow_shift


__all__ = [
    "finetune_model",
    "load_base",
    "missing_libraries",
    "FinetuneConfig",
    "TrainingExamples",
    "build_examples",
    "follow_shift",
    "ShiftCallback",
    "ShiftLog",
    "ShiftRecord",
    "TunedModel",
    "TuningCard",
    "AnswerProjection",
    "PreventionScan",
    "PreventionTrial",
    "SCAN_STEPS",
    "choose_coefficient",
    "compare_answers",
    "ChoiceQuestion",
    "answer_choices",
    "choice_questions",
    "project_answers",
    "scan_prevention",
    "trait_questions",
    "TrainingIntervention",
    "PreventativeSteering",
    "InoculationPrompt",
    "ConceptAblation",
    "ProjectionPenalty",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
