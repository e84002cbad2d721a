"""How much of a trait an answer shows, 0 to 100, and whether the answer is coherent.

One protocol, several judges. A refusal or a missing score is recorded as such and never counts as 0. The
judge that runs a model here is imported when it is first used: the others, and trait files, need no torch.
"""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.judges.cluster_judge import ClusterJudge
    from mindscope.judges.endpoint import EndpointConfig
    from mindscope.judges.endpoint_judge import EndpointJudge
    from mindscope.judges.model_judge import ModelJudge
    from mindscope.judges.probe import require_numbers
    from mindscope.judges.prompts import COHERENCE
    from mindscope.judges.protocol import (
        Judge,
        JudgeItem,
        Judgement,
        JudgeScore,
        MeanScore,
        ParallelJudge,
        Rubric,
        Status,
        mean_score,
    )
    from mindscope.judges.writers import EndpointWriter, ModelWriter, TextWriter


__all__ = [
    "COHERENCE",
    "ClusterJudge",
    "EndpointConfig",
    "EndpointJudge",
    "JudgeItem",
    "Judge",
    "Judgement",
    "MeanScore",
    "ModelJudge",
    "ParallelJudge",
    "Rubric",
    "JudgeScore",
    "Status",
    "mean_score",
    "require_numbers",
    "EndpointWriter",
    "ModelWriter",
    "TextWriter",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
