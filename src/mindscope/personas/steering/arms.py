"""The same questions under different edits: each arm answers all of them, each answer is scored."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from mindscope.core import Progress
from mindscope.engines import Engine
from mindscope.features import Direction, random_directions
from mindscope.judges import Judge, Judgement, Rubric
from mindscope.models import Edit, SamplingConfig, Where
from mindscope.personas.answers import AnswerRequest, generate_answers, kept_shard_rows
from mindscope.personas.judging import judge_answers
from mindscope.personas.steering.results import ArmScores, ScoredAnswer
from mindscope.stats import Estimate, bootstrap_interval
from mindscope.store import Run, derived_seed, digest

UNSTEERED, STEERED, AGAINST, RANDOM = "unsteered", "steered", "against", "random"
"""The arms of a steering measurement; `against` has the coefficient's sign turned."""


@dataclass(frozen=True)
class SteeringArm:
    """Arms of the same name are pooled."""

    name: str
    edits: tuple[Edit, ...] = ()


def steering_edits(direction: Direction, coefficient: float, positions: Where) -> tuple[Edit, ...]:
    """``h + coefficient * v`` at the tokens of ``positions``.

    The published code steers ``response``, every position that an answer token is predicted from: it begins
    at the prompt's last token, whose output predicts the answer's first.
    """
    return (direction.edit(coefficient, where=positions),)


def random_arms(edits: Sequence[Edit], n: int, seed: int) -> list[SteeringArm]:
    """Arms named `RANDOM`: the same edits with ``n`` random vectors of the same norms at the same places."""
    drawn: dict[str, int] = {}
    random: list[list[Edit]] = [[] for _ in range(n)]
    for edit in edits:
        again = drawn[edit.address] = drawn.get(edit.address, -1) + 1  # another one for each edit of a place
        own = derived_seed(seed, "again", again) if again else seed
        direction = Direction("", edit.address, edit.vector, "")
        for arm, other in zip(random, random_directions(direction, n, own), strict=True):
            arm.append(replace(edit, vector=other.vector))
    return [SteeringArm(RANDOM, tuple(arm)) for arm in random]


def digest_edits(edits: Sequence[Edit]) -> list[str]:
    """A short name for exactly each of these edits."""
    return [
        digest(
            {
                "address": edit.address,
                "op": edit.op,
                "value": float(edit.value),
                "where": str(edit.where),
                "vector": edit.vector.detach().float().cpu().numpy().tobytes().hex(),
            }
        )
        for edit in edits
    ]


def ask_all(
    model: Engine,
    arms: Sequence[SteeringArm],
    questions: Sequence[str],
    scorer: tuple[Rubric, Judge] | None,
    run: Run,
    name: str,
    config: SamplingConfig,
    *,
    scores: str | None = None,
    progress: Progress | None = None,
) -> dict[str, list[ScoredAnswer]]:
    """The scored answers of every arm by its name, ordered by question, without a system prompt.

    Rows of all arms share the batches, each with its own edits. All arms draw from the same seeds, so
    that they differ by the edit and not by luck.

    Args:
        model: who answers.
        arms: at most one without edits.
        questions: asked of all arms.
        scorer: who scores, and by what; None scores nothing.
        run: keeps answers and scores.
        name: the folder of this part in the run.
        config: how answers are drawn.
        scores: the folder of the scores, ``NAME/scores`` by default.
        progress: called with answers, then scores done.
    """
    addresses = sorted({edit.address for arm in arms for edit in arm.edits})
    model.capabilities.require("steering", "edits", addresses=addresses)
    requests = [
        AnswerRequest(
            question=question,
            seed=derived_seed(config.seed, "question", q, sample),
            edits=arm.edits,
            labels={"arm": arm.name, "question_index": q, "sample": sample},
        )
        for sample in range(config.samples)
        for q, question in enumerate(questions)
        for arm in arms
    ]
    rows = kept_shard_rows(run, name, config.shard_rows)
    answers = generate_answers(model, requests, run, name, config=config, progress=progress)
    judgements: Sequence[Judgement | None] = [None] * len(answers)
    if scorer is not None:
        rubric, judge = scorer
        judgements = judge_answers(
            judge, rubric, requests, answers, run, name, scores=scores, shard_rows=rows, progress=progress
        )
    results: dict[str, list[ScoredAnswer]] = {arm.name: [] for arm in arms}
    # Requests are ordered by sample, so that more samples add to the end; results by question.
    scored = zip(requests, answers, judgements, strict=True)
    for request, answer, judgement in sorted(scored, key=lambda item: item[0].labels["question_index"]):
        trait, coherence = (judgement.trait.value, judgement.coherence.value) if judgement else (None, None)
        sample = ScoredAnswer(
            question=request.question,
            answer=answer.text,
            trait=trait,
            coherence=coherence,
            reasoning=answer.reasoning,
        )
        results[str(request.labels["arm"])].append(sample)
    return results


def summarise_arm(samples: Sequence[ScoredAnswer], n_questions: int) -> ArmScores:
    """The scores of samples ordered by question, equally many to each; means are over questions."""
    size = len(samples) // n_questions
    questions = [samples[start : start + size] for start in range(0, len(samples), max(size, 1))]
    traits = [_mean([sample.trait for sample in question]) for question in questions]
    return ArmScores(
        trait=_estimate(traits),
        coherence=_estimate([_mean([sample.coherence for sample in question]) for question in questions]),
        answers=len(samples),
        unscored=sum(sample.trait is None for sample in samples),
        by_question=tuple(traits),
    )


def surely_higher(ours: ArmScores, theirs: ArmScores) -> bool:
    """Whether the mean difference, question by question, is above 0 in 97.5 % of the resamples."""
    pairs = zip(ours.by_question, theirs.by_question, strict=True)
    differences = [a - b for a, b in pairs if a is not None and b is not None]
    return bool(differences) and bootstrap_interval(torch.tensor(differences))[0] > 0


def _mean(values: Sequence[float | None]) -> float | None:
    scored = [value for value in values if value is not None]
    return sum(scored) / len(scored) if scored else None


def _estimate(by_question: Sequence[float | None]) -> Estimate | None:
    values = torch.tensor([value for value in by_question if value is not None], dtype=torch.float64)
    if not len(values):
        return None
    low, high = bootstrap_interval(values)
    return Estimate(mean=values.mean().item(), low=low, high=high)
