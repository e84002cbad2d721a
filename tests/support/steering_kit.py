"""What tests of sweeps and steering share: a judge that counts a letter, files as version 1 wrote them."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import persona_kit

from mindscope.judges import JudgeItem, Judgement, JudgeScore, Rubric
from mindscope.personas.config import SweepConfig

TRAIT = persona_kit.tiny_trait(n_questions=6)
SWEEP = SweepConfig(
    samples=2, max_new_tokens=8, questions=4, coefficients=(0.01, 1.0), shard_rows=16, seed=5, n_random=2
)


class LetterJudge:
    """The share of the letter "a" in an answer; long runs of it are less coherent."""

    name = "letter"

    def judge(self, rubric: Rubric, items: Sequence[JudgeItem]) -> list[Judgement]:
        return [self.one(item.answer) for item in items]

    def one(self, answer: str) -> Judgement:
        longest = max(map(len, re.findall("a+", answer)), default=0)
        return Judgement(
            JudgeScore.of(100 * answer.count("a") / len(answer)), JudgeScore.of(float(90 - longest))
        )


def with_scope(file: Path, schema: str | None) -> None:
    """Rewrites a file as version 1 wrote it: the positions `response` were called the scope "answer"."""
    document = json.loads(file.read_text())
    assert document["config"].pop("positions") == "response"
    document["config"]["scope"] = "answer"
    if schema is not None:
        document["schema"] = schema
    file.write_text(json.dumps(document))
