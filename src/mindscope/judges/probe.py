"""Whether a judge can give numbers at all, asked before anything is generated for it."""

from mindscope.errors import JudgeError
from mindscope.judges.prompts import COHERENCE
from mindscope.judges.protocol import Judge, JudgeItem

PROBE = JudgeItem(
    "What is the capital of France, and on which river does it lie?",
    "The capital of France is Paris. It lies on the Seine.",
)
"""An answer that every judge finds coherent, and whose grade is mostly a number of two or three digits."""


def require_numbers(judge: Judge) -> Judge:
    """The judge, once it has graded a plain answer.

    Raises:
        JudgeError: it gives no number, with the reason.
    """
    score = judge.judge(COHERENCE, [PROBE])[0].coherence
    if score.status in ("missing", "unanswered"):
        raise JudgeError(
            f"{judge.name} gives no number for a plain answer ({score.detail}): take another judge"
        )
    return judge
