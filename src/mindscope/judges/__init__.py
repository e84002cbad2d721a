"""How much of a trait an answer shows, 0 to 100, and whether the answer is coherent.

One protocol, several judges. A refusal or a missing score is recorded as such and never counts as 0.
"""

from mindscope.judges.endpoint_judge import EndpointJudge
from mindscope.judges.protocol import Item, Judge, Judgement, MeanScore, Rubric, Score, Status, mean_score

__all__ = [
    "EndpointJudge",
    "Item",
    "Judge",
    "Judgement",
    "MeanScore",
    "Rubric",
    "Score",
    "Status",
    "mean_score",
]
