"""How far steering moves a model away from itself on texts that have nothing to do with the trait."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.core import Progress
from mindscope.models import Edit, Model, Row
from mindscope.store import Run


def measure_divergence(
    model: Model,
    programs: Mapping[str, Sequence[Edit]],
    rows: Sequence[Row],
    run: Run,
    name: str,
    progress: Progress | None = None,
) -> dict[str, list[list[float]]]:
    """KL(unsteered || steered) of the next token, in nats, under several lists of edits.

    Taken at the positions from which an answer is predicted; a row without an answer counts from its first
    token. What was measured of a text is a piece of the run and is not measured again.

    Returns:
        By the name of each program, for every row the divergence at every position.
    """
    measured: dict[str, list[list[float]]] = {program: [] for program in programs}
    for index, row in enumerate(rows):
        piece = f"{name}/divergence/{index:04d}.json"
        known: dict[str, list[float]] = run.load_json(piece) if run.has(piece) else {}
        missing = {program: edits for program, edits in programs.items() if program not in known}
        if missing:
            plain = _logprobs(model, row, ())
            known |= {
                program: _divergence(plain, _logprobs(model, row, edits)).tolist()
                for program, edits in missing.items()
            }
            run.save_json(piece, known)
        for program in programs:
            measured[program].append(known[program])
        if progress is not None:
            progress(index + 1, len(rows), f"{name}: divergence")
    return measured


@torch.no_grad()
def _logprobs(model: Model, row: Row, edits: Sequence[Edit]) -> Float[Tensor, "positions vocabulary"]:
    first = max(row.prompt_length, 1) - 1 if row.answer else 0
    with model.edited(list(edits), rows=[row]):
        logits = model.hf(**model.batch([row]), use_cache=False).logits[
            0, first : max(len(row) - 1, first + 1)
        ]
    return logits.float().log_softmax(-1)


def _divergence(
    plain: Float[Tensor, "positions vocabulary"], steered: Float[Tensor, "positions vocabulary"]
) -> Float[Tensor, "positions"]:
    return (plain.exp() * (plain - steered)).sum(-1).clamp(min=0).double()
