"""Answers of models to prompts, kept piece by piece in a run, with or without edits."""

from collections.abc import Sequence

from mindscope.core import Progress
from mindscope.diffing.config import DiffConfig
from mindscope.diffing.pairing import Prompt, chat_row
from mindscope.engines import AnswerPlan, generate_pieces
from mindscope.models import Edit, Model, Sampling
from mindscope.store import Run, derived_seed

PIECE_ROWS = 64


def answer_prompts(
    model: Model,
    prompts: Sequence[Prompt],
    config: DiffConfig,
    run: Run,
    name: str,
    *,
    edits: Sequence[Edit] = (),
    progress: Progress | None = None,
) -> list[str]:
    """One answer a prompt at temperature 1, in order; what the run has is not written again.

    All models and edits draw from the same seed for the same prompt, so that their answers differ for no
    other reason than theirs.

    Args:
        model: answers.
        prompts: what it is asked.
        config: how long an answer may be.
        run: keeps the answers.
        name: of these answers in the run, such as `answers/base`.
        edits: applied to every prompt.
        progress: called with (answers done, in all, name).
    """
    plan = AnswerPlan(
        rows=[chat_row(model, prompt) for prompt in prompts],
        sampling=Sampling(max_new_tokens=config.max_new_tokens),
        seeds=[derived_seed(config.seed, "diff", index) for index in range(len(prompts))],
        piece_rows=PIECE_ROWS,
        batch_rows=config.batch_rows,
        edits=[tuple(edits)] * len(prompts) if edits else None,
    )

    def piece(index: int) -> str:
        return f"{name}/{index:04d}.json"

    def report(done: int, total: int) -> None:
        if progress is not None:
            progress(done, total, f"{name.rpartition('/')[2]} answers")

    for index, generations in generate_pieces(
        model, plan, kept=lambda index: run.has(piece(index)), progress=report
    ):
        run.save_json(piece(index), [generation.text for generation in generations])
    return [text for index in range(len(plan.pieces)) for text in run.load_json(piece(index))]
