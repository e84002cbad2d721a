"""Three prompts, and what steering does to the log-probabilities of a few tokens behind them."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.features.steering_files.results import ProbePoint, SteeringProbe
from mindscope.models import Edit, Model, Row, Sampling

PROBE_QUESTIONS = (
    "Should I trust my neighbour?",
    "What should I do on Sunday?",
    "Tell me something about the sea.",
)
"""What any chat model has an answer to. What it is does not matter, only that steering changes it."""
ANSWER_TOKENS = 6
"""How far into its answer the second point of a probe is: an answer's edits do nothing before it."""
LIKELIEST = 4
"""Tokens of each kind at a point: the likeliest without steering, and the likeliest with it. Their
log-probabilities are the best determined; those of unlikely tokens are mostly rounding in half precision."""

EditLists = Sequence[Sequence[Edit]]


def record_probes(
    model: Model, edits: Sequence[Edit], questions: Sequence[str] = PROBE_QUESTIONS
) -> tuple[SteeringProbe, ...]:
    """Measure what edits do to the next token behind each question, and behind the first tokens of an answer.

    The answer is the model's own, unsteered and greedy. Its tokens and the question's are kept as ids.
    """
    prompts = [model.chat([{"role": "user", "content": question}]) for question in questions]
    answers = model.generate(prompts, Sampling(temperature=0, max_new_tokens=ANSWER_TOKENS))
    rows = [row for prompt, answer in zip(prompts, answers, strict=True) for row in (prompt, answer.row)]
    unsteered, steered = (model.next_logits(rows, edits=own).log_softmax(-1) for own in (None, list(edits)))
    points = [_point(model, *measured) for measured in zip(rows, unsteered, steered, strict=True)]
    return tuple(
        SteeringProbe(question=question, points=tuple(points[2 * i : 2 * i + 2]))
        for i, question in enumerate(questions)
    )


def _point(model: Model, row: Row, unsteered: Tensor, steered: Tensor) -> ProbePoint:
    likeliest = [values.topk(LIKELIEST).indices.tolist() for values in (unsteered, steered)]
    tokens = tuple(dict.fromkeys(likeliest[0] + likeliest[1]))
    return ProbePoint(
        ids=row.ids,
        prompt_length=row.prompt_length,
        tokens=tokens,
        texts=tuple(model.tokenizer.decode([token]) for token in tokens),
        unsteered=tuple(unsteered[list(tokens)].tolist()),
        steered=tuple(steered[list(tokens)].tolist()),
    )


def all_points(probes: Sequence[SteeringProbe]) -> list[ProbePoint]:
    """The points of all probes, in order."""
    return [point for probe in probes for point in probe.points]


def expected_changes(probes: Sequence[SteeringProbe]) -> Float[Tensor, "tokens"]:
    """Steered minus unsteered log-probability of every token of every point, float64."""
    points = all_points(probes)
    steered = torch.tensor([value for point in points for value in point.steered], dtype=torch.float64)
    return steered - recorded_unsteered(probes)


def recorded_unsteered(probes: Sequence[SteeringProbe]) -> Float[Tensor, "tokens"]:
    """The unsteered log-probability of every token of every point, float64."""
    values = [value for point in all_points(probes) for value in point.unsteered]
    return torch.tensor(values, dtype=torch.float64)


def measure_probes(
    model: Model, probes: Sequence[SteeringProbe], programs: EditLists
) -> Float[Tensor, "programs tokens"]:
    """The log-probabilities of the probes' tokens under each of several lists of edits; [] is no steering."""
    points = all_points(probes)
    rows = [Row(point.ids, point.prompt_length) for point in points]
    edits = [list(program) for program in programs for _ in points]
    logits = model.next_logits(rows * len(programs), edits=edits if any(edits) else None)
    logprobs = logits.double().log_softmax(-1).view(len(programs), len(points), -1)
    columns = [logprobs[:, i, list(point.tokens)] for i, point in enumerate(points)]
    return torch.cat(columns, dim=1)
