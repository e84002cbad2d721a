"""The next token of every row: drawn by its own sampling and constraint, and noted where asked."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mindscope.models.generation.request import TokenLogprob
from mindscope.models.generation.sample import draw_tokens
from mindscope.models.generation.slots import SlotTables


def draw_next_tokens(tables: SlotTables) -> Int[Tensor, "lines"]:
    """The next token of every row, on the host; rows that sample alike draw together."""
    logits, numbers = _allowed_logits(tables), tables.randoms.next()
    with torch.inference_mode():
        if len(tables.alike) == 1 and len(tables.lines) == len(logits):
            return draw_tokens(logits, tables.handle(0).request.sampling, numbers)
        tokens = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
        for lines in tables.alike:
            index = torch.tensor(lines, device=logits.device)
            sampling = tables.handle(lines[0]).request.sampling
            tokens[index] = draw_tokens(logits[index], sampling, numbers[index])
        return tokens


def _allowed_logits(tables: SlotTables) -> Float[Tensor, "lines vocabulary"]:
    """The logits, without tokens that the constraints of some rows do not allow."""
    logits = tables.logits
    assert logits is not None
    if not tables.constrained:
        return logits
    with torch.inference_mode():
        logits = logits.clone()  # the model's own stay, for the log-probabilities
        for line in tables.constrained:
            handle = tables.handle(line)
            try:
                assert handle.constraint is not None
                refused = torch.from_numpy(~handle.constraint.allowed())
                logits[line].masked_fill_(refused.to(logits.device), -torch.inf)
            except Exception as error:  # noqa: BLE001 - whose constraint it was gets it back
                handle.error = error
    return logits


def note_logprobs(tables: SlotTables, tokens: Int[Tensor, "lines"]) -> None:
    """Keep the log-probabilities of rows that ask for them, fetched in one transfer."""
    lines = tables.noted
    if not lines:
        return
    assert tables.logits is not None
    n_top = max(tables.handle(line).request.n_logprobs or 0 for line in lines)
    with torch.inference_mode():
        rows = tables.logits[torch.tensor(lines, device=tables.logits.device)].float().log_softmax(-1)
        drawn = tokens[lines].clamp(min=0).to(rows.device)
        own = rows.gather(1, drawn[:, None])
        top = rows.topk(min(n_top, rows.shape[1]))
        values = torch.cat([own, top.values], 1).tolist()
        ids = top.indices.tolist()
    for line, token, (logprob, *others), names in zip(
        lines, tokens[lines].tolist(), values, ids, strict=True
    ):
        handle = tables.handle(line)
        likeliest = tuple(zip(names, others, strict=True))[: handle.request.n_logprobs]
        handle.logprobs.append(TokenLogprob(token, logprob, likeliest))
