"""How much work the jobs are that write answers, read conversations or tune a model."""

from __future__ import annotations

from mindscope.jobs.planning.counter import ADAM, JobWork, WorkCounter
from mindscope.jobs.planning.results import PlannedPhase

LOOKS = 2
"""Times that a screening makes the rows of its first window beside reading them: for what own answers take,
and for random directions."""
KINDS = 3
"""Kinds of vectors that an extraction reads: of answers, of prompts, of the last prompt token."""


def count_extraction(counter: WorkCounter) -> JobWork:
    """Answers of both sides, read at every layer: 5 instructions x 20 questions x samples x 2."""
    from mindscope.personas import ExtractConfig

    config, places = ExtractConfig(), counter.shape.n_layers + 2
    count = counter.sizes.rows or 2 * 5 * 20 * (counter.sizes.samples or config.samples)
    answers = counter.answers(count, config, reads=True)
    kept = 4.0 * KINDS * places * counter.shape.d_model * count
    statistics = PlannedPhase(
        name="intervals",
        work=f"{config.resamples:,} resamples at {places} places",
        seconds=counter.pace.multiply(
            2.0 * config.resamples * KINDS * places * counter.shape.d_model * count / 2
        ),
    )
    return counter.add_to(answers, [statistics], {"means of answers": kept / 2}, {"readings": kept})


def count_sweep(counter: WorkCounter) -> JobWork:
    """An arm for each layer and coefficient, and one without steering."""
    from mindscope.personas import SweepConfig

    config = SweepConfig()
    questions = counter.sizes.rows or config.questions or 20
    arms = 1 + counter.layers * len(config.coefficients)
    count = arms * questions * (counter.sizes.samples or config.samples)
    note = "without the random vectors that a chosen point is compared with"
    return counter.add_to(counter.answers(count, config), notes=(note,))


def count_steering(counter: WorkCounter) -> JobWork:
    """Three arms, and one for each random vector."""
    from mindscope.personas import SteerConfig

    config = SteerConfig()
    count = (3 + config.n_random) * (counter.sizes.rows or 20) * (counter.sizes.samples or config.samples)
    return counter.answers(count, config)


def count_screening(counter: WorkCounter) -> JobWork:
    """Every conversation read; in the exact form one own answer each, read too."""
    from mindscope.screening import ScreenConfig

    config, rows = ScreenConfig(), counter.sizes.rows or 1000
    # The first window is looked at for its sizes, and read once more along random directions.
    first = min(rows, config.window)
    made = counter.render(rows + LOOKS * first)
    scores = {"scores": 64.0 * rows * counter.sizes.traits}
    reads = [counter.read("the data", rows, counter.sizes.context)]
    again = [counter.read("random directions: the data", first, counter.sizes.context)]
    if counter.sizes.form == "prompt":
        return JobWork((made, *reads, *again), {}, scores)
    samples = counter.sizes.samples or config.samples
    answers = counter.answers(rows * samples, config)
    length = counter.sizes.prompt_tokens + counter.answer_length(config)[0]
    reads.append(counter.read("own answers", rows * samples, length))
    again.append(counter.read("random directions: own answers", first * samples, length))
    return counter.add_to(answers, [made, *reads, *again], {}, scores)


def count_shift(counter: WorkCounter) -> JobWork:
    """Each of two models reads every prompt."""
    rows = counter.sizes.rows or 1000
    reads = tuple(counter.read(f"model {name}", rows, counter.sizes.prompt_tokens) for name in ("a", "b"))
    kept = 4.0 * counter.layers * counter.shape.d_model * rows * 2
    return JobWork(reads, {}, {"readings": kept}, {"readings": kept})


def count_finetuning(counter: WorkCounter) -> JobWork:
    """Steps of a batch, accumulated; weights that are trained are in float32."""
    from mindscope.finetuning import FinetuneConfig

    config, rows = FinetuneConfig(), counter.sizes.rows or 1000
    side = counter.sizes.batch_rows or config.batch_rows
    per_step = side * config.accumulation
    steps = counter.sizes.steps or -(-rows // per_step)
    adapters = counter.sizes.method != "full"
    token = counter.pace.tune_token(counter.sizes.context, side, adapters=adapters)
    tokens = steps * per_step * counter.sizes.context
    phase = PlannedPhase(name="training", work=f"{steps:,} steps of {per_step} rows", seconds=tokens * token)
    trained = (
        counter.shape.parameters
        if not adapters
        else 2.0 * config.rank * 14 * (counter.shape.d_model * counter.shape.n_layers)
    )
    checkpoints = -(-steps // config.save_every)
    weights = 4.0 * counter.shape.parameters if not adapters else 4.0 * trained
    disk = {"checkpoints": checkpoints * (weights + 8.0 * trained), "tuned model": weights}
    memory = {} if not adapters else {"adapters": ADAM * trained}
    if not adapters:
        memory = {"gradients and moments": (ADAM - 4.0) * trained}
    return JobWork((phase,), memory, disk, weight_bytes=None if adapters else 4.0)
