"""How much of a trait an answer shows, 0 to 100, and whether the answer is coherent.

One protocol, several judges. A refusal or a missing score is recorded as such and never counts as 0.
"""

from mindscope.judges.endpoint_judge import EndpointJudge
from mindscope.judges.model_judge import ModelJudge
from mindscope.judges.prompts import COHERENCE
from mindscope.judges.protocol import Item, Judge, Judgement, MeanScore, Rubric, Score, Status, mean_score

__all__ = [
    "COHERENCE",
    "EndpointJudge",
    "Item",
    "Judge",
    "Judgement",
    "MeanScore",
    "ModelJudge",
    "Rubric",
    "Score",
    "Status",
    "mean_score",
]
