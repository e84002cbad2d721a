"""The coefficient at which steering diverges from the unsteered model by no more than a budget.

1. With a coefficient, the model answers questions greedily, steered. At every token of these answers the
   divergence KL(steered || unsteered) of the next token is measured. What counts is its 95 % quantile: the
   worst tokens are where steered text begins to break.
2. Small coefficients diverge with their square, large ones saturate. So the coefficient is first bracketed by
   doubling or halving and then found on the line through both ends, in logarithms, or by halving where that
   leaves the bracket.

After steering-lite's calibration (its defaults: greedy answers of 20 tokens, one nat at the 95 % quantile).
Here the coefficient that is handed back is the largest tried one within the budget, so the budget is kept.
"""

import math
from collections.abc import Callable, Sequence

import torch

from mindscope.core import Progress
from mindscope.engines import Engine, call_with_model
from mindscope.errors import DataError
from mindscope.features import Direction
from mindscope.models import Edit, Model, Row, Sampling, Where
from mindscope.personas.steering.results import BudgetChoice, BudgetTrial

BUDGET = 1.0
"""Nats."""
WORST = 0.95
ANSWER_TOKENS = 20
LEAST, MOST = 0.05, 16.0
"""Coefficients beyond which nothing is tried: a persona vector is about the way between two answers."""
NEAR = 0.05
"""The search ends where the quantile is below the budget by less than this share of it."""
TRIALS = 12


def find_budget_coefficient(
    model: Engine,
    direction: Direction,
    questions: Sequence[str],
    *,
    budget: float = BUDGET,
    positions: Where = "response",
    sign: int = 1,
    progress: Progress | None = None,
) -> BudgetChoice:
    """The largest coefficient whose steered answers stay within a budget of divergence.

    Args:
        model: unsteered.
        direction: what is added.
        questions: that are answered, without a system prompt.
        budget: nats; 95 % of the tokens of steered answers diverge by less.
        positions: the tokens that are steered.
        sign: -1 for a coefficient that steers against the direction.
        progress: told of every trial.

    Raises:
        DataError: no questions, a budget that is not above 0, or one that the smallest coefficient exceeds.
    """
    if not questions or budget <= 0:
        raise DataError("a budget needs at least one question, and to be above 0 nats")
    prompts = [model.chat([{"role": "user", "content": question}]) for question in questions]
    trials: list[BudgetTrial] = []

    def measure(size: float) -> float:
        edits = [direction.edit(sign * size, where=positions)]
        values = torch.tensor(
            call_with_model(model, "a budget of divergence", steered_divergence, edits, prompts),
            dtype=torch.float64,
        )
        trial = BudgetTrial(
            coefficient=sign * size,
            worst=values.quantile(WORST).item(),
            mean=values.mean().item(),
            tokens=len(values),
        )
        trials.append(trial)
        if progress is not None:
            progress(len(trials), TRIALS, "coefficient within the budget")
        return trial.worst

    size = search_coefficient(measure, budget)
    if size is None:
        raise DataError(
            f"even {sign * LEAST:g} times the vector at {direction.address} diverges by more than "
            f"{budget:g} nats: choose another layer, or a larger --budget"
        )
    chosen = next(trial for trial in trials if trial.coefficient == sign * size)
    return BudgetChoice(budget=budget, coefficient=chosen.coefficient, trials=tuple(trials))


def search_coefficient(measure: Callable[[float], float], budget: float) -> float | None:
    """The largest tried coefficient at which `measure` is within the budget; None where none is.

    Args:
        measure: the divergence at a coefficient; about its square where it is small, and not falling.
        budget: above 0.
    """
    known: dict[float, float] = {}

    def within(size: float) -> bool:
        known[size] = measure(size)
        return known[size] <= budget

    low, high = None, None
    size = 1.0
    if within(size):
        low = size
        while low < MOST and len(known) < TRIALS:
            size = min(2 * low, MOST)
            if not within(size):
                high = size
                break
            low = size
    else:
        high = size
        while high > LEAST and len(known) < TRIALS:
            size = max(high / 2, LEAST)
            if within(size):
                low = size
                break
            high = size
    while low is not None and high is not None and len(known) < TRIALS:
        if known[low] >= (1 - NEAR) * budget:
            break
        size = _between(low, high, known, budget)
        if within(size):
            low = size
        else:
            high = size
    return low


def _between(low: float, high: float, known: dict[float, float], budget: float) -> float:
    """Where the line through both ends, in logarithms, has the budget; the middle where that is an end."""
    below, above = max(known[low], 1e-9), max(known[high], 1e-9)
    slope = math.log(above / below)
    share = math.log(budget / below) / slope if slope > 0 else 0.5
    # Curves that saturate keep one end for ever: not nearer to either than a tenth of the way.
    share = min(max(share, 0.1), 0.9)
    return math.exp(math.log(low) + share * math.log(high / low))


def steered_divergence(model: Model, edits: Sequence[Edit], prompts: Sequence[Row]) -> list[float]:
    """KL(steered || unsteered), in nats, at every token of greedy answers that are written steered."""
    sampling = Sampling(temperature=0, max_new_tokens=ANSWER_TOKENS)
    answers = model.generate(prompts, sampling, edits=list(edits))
    values: list[float] = []
    for answer in answers:
        row = answer.row
        if not row.answer:
            continue
        places = slice(row.prompt_length - 1, len(row) - 1)
        steered, plain = (_logprobs(model, row, own)[places] for own in (edits, ()))
        values += (steered.exp() * (steered - plain)).sum(-1).clamp(min=0).tolist()
    return values or [0.0]


@torch.no_grad()
def _logprobs(model: Model, row: Row, edits: Sequence[Edit]) -> torch.Tensor:
    with model.edited(list(edits), rows=[row]):
        logits = model.hf(**model.batch([row]), use_cache=False).logits[0]
    return logits.float().log_softmax(-1)
