"""From a prompt to its attribution graph."""

from collections.abc import Callable, Iterator
from dataclasses import asdict

import torch
from jaxtyping import Int
from torch import Tensor
from torch.linalg import vector_norm

from mindscope.circuits.attribution.backward import backward_rows
from mindscope.circuits.attribution.config import TraceConfig
from mindscope.circuits.attribution.selection import TracedRows, select_features
from mindscope.circuits.attribution.targets import ResolvedTargets, TargetSpec, top_logits
from mindscope.circuits.graph.graph import AttributionGraph
from mindscope.circuits.replacement.local_model import Injections, LocalReplacementModel, ReplacementModel
from mindscope.models import Model, Row, written

Progress = Callable[[int, int, str], None]
MOST_ROWS = 128
"""More rows in a block are not faster, and lie at more different positions."""


def trace(
    model: Model,
    replacement: ReplacementModel,
    prompt: Row | str,
    config: TraceConfig | None = None,
    *,
    targets: TargetSpec | None = None,
    progress: Progress | None = None,
) -> AttributionGraph:
    """Explain what a model says after a prompt.

    Args:
        model: the model, in float32.
        replacement: what stands in for its MLPs.
        prompt: a row as it is, or text, which gets a beginning-of-text token if the tokenizer has one.
        config: how.
        targets: what to explain (see `targets`); by default the most probable next tokens, at most ten that
            together have 95 %.
        progress: called with (rows done, rows in all, what).

    Returns:
        The graph, on the CPU.

    Raises:
        ModelError: the prompt is empty or too long, or the model cannot be held linear.
        DataError: the dictionary or a target does not fit.
    """
    config, targets = config or TraceConfig(), targets or top_logits()
    row = as_prompt_row(model, prompt)
    with torch.no_grad():
        frozen = replacement.freeze(model, row, skip_tokens=config.skip_tokens)
        resolved = targets.resolve(model, frozen)
        weights = torch.tensor([one.weight for one in resolved.targets], device=model.device)
        rows, wanted = TracedRows(frozen), min(config.max_features, frozen.n_features)
        done = 0

        def add(which: Tensor, seeds_of: Callable[[Tensor], Injections]) -> None:
            nonlocal done
            features = bool((which >= 0).all())
            position = frozen.features[which, 1] if features else seeds_of(which).position
            for lines in split_into_blocks(frozen, position, config.memory):
                block = which[lines]
                edges = backward_rows(frozen, seeds_of(block))
                rows.add(block[edges.order], edges)
                done += len(block)
                if progress is not None:
                    progress(done, max(done, wanted + len(resolved.targets)), "tracing features")

        numbers = torch.arange(len(resolved.targets), device=model.device)
        add(-1 - numbers, lambda which: resolved.injections[-1 - which])
        chosen = select_features(
            rows,
            weights,
            config.max_features,
            config.rank_every,
            lambda which: add(which, frozen.inject_features),
        )
        return _graph(model, replacement, frozen, resolved, rows, chosen, config, targets)


def split_into_blocks(
    local_model: LocalReplacementModel, position: Int[Tensor, "rows"], memory: int
) -> Iterator[Int[Tensor, "block"]]:
    """Rows in blocks of neighbouring positions, as many in each as the memory allows.

    Args:
        frozen: the local replacement model.
        position: of each row.
        memory: bytes for the gradients of a block.
    """
    order = position.argsort(descending=True, stable=True)
    tokens = (position[order] + 1).tolist()
    block = local_model.blocks[0]
    numbers = 2 * local_model.embeddings.shape[1] + 2 * len(block.output) + 2 * len(block.value)
    start = 0
    while start < len(order):
        size = memory // (4 * numbers * tokens[start])
        stop = start + max(1, min(MOST_ROWS, size))
        yield order[start:stop]
        start = stop


def _graph(
    model: Model,
    replacement: ReplacementModel,
    local_model: LocalReplacementModel,
    resolved: ResolvedTargets,
    rows: TracedRows,
    chosen: Tensor,
    config: TraceConfig,
    targets: TargetSpec,
) -> AttributionGraph:
    """The graph of the chosen features: their rows and columns of all that was traced."""
    n, count, (layers, tokens) = len(chosen), len(resolved.targets), local_model.errors.shape[:2]
    line = torch.full((local_model.n_features + 1,), -1, device=chosen.device)
    line[chosen] = torch.arange(n, device=chosen.device)
    columns = local_model.column_of[chosen]
    edges = torch.zeros(n + count, n + layers * tokens + tokens)
    biases, left, left_absolute = (torch.zeros(n + count) for _ in range(3))
    for which, block in rows.blocks:
        at = torch.where(which < 0, n - 1 - which, line[which.clamp(min=0)])
        mine = (at >= 0).nonzero().flatten()
        at, features = at[mine].cpu(), block.features[mine]
        there = columns < features.shape[1]
        kept = features[:, columns[there]]
        edges[at[:, None], there.nonzero().flatten().cpu()] = kept.cpu()
        errors = torch.zeros(len(mine), layers, tokens)
        errors[:, :, : block.errors.shape[2]] = block.errors[mine].cpu()
        edges[at, n : n + layers * tokens] = errors.flatten(1)
        edges[at, n + layers * tokens : n + layers * tokens + block.tokens.shape[1]] = block.tokens[
            mine
        ].cpu()
        biases[at] = block.bias[mine].cpu()
        left[at] = (features.sum(1) - kept.sum(1)).cpu()
        left_absolute[at] = (vector_norm(features, 1, dim=1) - vector_norm(kept, 1, dim=1)).clamp(min=0).cpu()
    ids = local_model.frozen_pass.row.ids
    return AttributionGraph(
        ids=ids,
        tokens=tuple(written(model.tokenizer, ids)),
        n_layers=layers,
        features=local_model.features[chosen].cpu(),
        activations=local_model.activations[chosen].cpu(),
        targets=resolved.targets,
        edges=edges,
        preactivations=torch.cat(
            [local_model.preactivations[chosen], local_model.read_values(resolved.injections)]
        ).cpu(),
        biases=biases,
        unselected=left,
        unselected_absolute=left_absolute,
        fingerprint=model.fingerprint,
        replacement_digest=replacement.digest,
        metadata={
            "model": model.name,
            "replacement": type(replacement).__name__,
            "active_features": local_model.n_features,
            "traced_features": int(rows.traced.sum()),
            "config": asdict(config),
            "targets": dict(targets.description),
        },
    )


def as_prompt_row(model: Model, prompt: Row | str) -> Row:
    """Text as a row that begins with the beginning-of-text token, if the tokenizer has one."""
    if isinstance(prompt, Row):
        return prompt
    row, begin = model.text(prompt), model.tokenizer.bos_token_id
    if begin is None or row.ids[:1] == (begin,):
        return row
    return Row((begin, *row.ids), row.prompt_length + 1)
