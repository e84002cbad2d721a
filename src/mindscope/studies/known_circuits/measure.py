"""Graphs of known prompts, and the heads that move a name: by loadings, and by activation patching."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.circuits import (
    AttributionGraph,
    ReplacementModel,
    TraceConfig,
    ValidationConfig,
    compute_head_loadings,
    score_graph,
    targets,
    trace,
    validate_graph,
)
from mindscope.core import Progress
from mindscope.errors import DataError
from mindscope.models import Edit, Model, Raw, Read
from mindscope.studies.known_circuits.prompts import KnownPrompt, NamedPrompt
from mindscope.studies.known_circuits.results import HeadEffect, HeadRanking, TracedPrompt

SHOWN = 10
"""So many heads are kept of each ranking."""


def word_id(model: Model, word: str) -> int:
    """The one token of a word; DataError where it has several."""
    ids = model.tokenizer.encode(word, add_special_tokens=False)
    if len(ids) != 1:
        raise DataError(f"{word!r} is {len(ids)} tokens in {model.name}: the study needs words of one token")
    return ids[0]


def trace_known(
    model: Model, replacement: ReplacementModel, prompt: KnownPrompt, config: TraceConfig
) -> TracedPrompt:
    """Trace a prompt's answer, and check the graph by turning features off."""
    spec = (
        targets.tokens(prompt.answer)
        if prompt.instead_of is None
        else targets.difference(prompt.answer, prompt.instead_of)
    )
    row = model.text(prompt.text)
    graph = trace(model, replacement, row, config, targets=spec)
    probabilities = model.next_logits([row])[0].softmax(-1)
    scores, least = score_graph(graph), score_graph(graph, unselected=True)
    free = validate_graph(model, replacement, graph)
    try:
        held = validate_graph(model, replacement, graph, ValidationConfig(mode="frozen_norms"))
    except DataError:  # gated MLPs are quadratic: without norms a change may grow from block to block
        held = None
    return TracedPrompt(
        name=prompt.name,
        prompt=prompt.text,
        answer=prompt.answer,
        probability=float(probabilities[word_id(model, prompt.answer)]),
        likeliest=model.decode([int(probabilities.argmax())]),
        features=graph.n_features,
        replacement=scores.replacement,
        completeness=scores.completeness,
        least_replacement=least.replacement,
        least_completeness=least.completeness,
        open=free.overall,
        held=held and held.overall,
    )


def rank_heads(
    model: Model,
    replacement: ReplacementModel,
    prompts: Sequence[NamedPrompt],
    config: TraceConfig,
    progress: Progress,
) -> HeadRanking:
    """Heads by what they carry of the edges into the difference of two names, beside patching."""
    loadings, effects = [], []
    for number, prompt in enumerate(prompts):
        progress(number, len(prompts), "heads")
        more, less = f" {prompt.answer}", f" {prompt.giver}"
        spec = targets.difference(more, less)
        graph = trace(model, replacement, model.text(prompt.text), config, targets=spec)
        loadings.append(_sum_loadings(model, replacement, graph))
        effects.append(patch_heads(model, prompt, loadings[-1].shape[1]))
    loaded, patched = torch.stack(loadings).mean(0), torch.stack(effects).mean(0)
    return HeadRanking(
        prompts=len(prompts),
        loaded=_strongest(loaded, loaded, patched),
        patched=_strongest(patched, loaded, patched),
        correlation=float(torch.corrcoef(torch.stack([loaded.flatten(), patched.flatten()]))[0, 1]),
    )


def _sum_loadings(
    model: Model, replacement: ReplacementModel, graph: AttributionGraph
) -> Float[Tensor, "layers heads"]:
    """Of all edges into the one target of a graph."""
    target = graph.id(int(graph.rows[-1]))
    return compute_head_loadings(model, replacement, graph, into=[target]).loadings.sum(0)


def patch_heads(model: Model, prompt: NamedPrompt, n_heads: int) -> Float[Tensor, "layers heads"]:
    """By how much the difference of two logits falls where a head's output is that of the opposite prompt.

    Plain activation patching, one head at a time, at every token from the one on where the prompts differ.
    """
    row, opposite = model.text(prompt.text), model.text(prompt.opposite)
    if len(row) != len(opposite):
        raise DataError(f"{prompt.text!r} and its opposite have unlike lengths")
    more, less = (word_id(model, f" {name}") for name in (prompt.answer, prompt.giver))
    first = next(
        i for i, (ours, other) in enumerate(zip(row.ids, opposite.ids, strict=True)) if ours != other
    )
    reads = {f"z.{layer}": Read(f"z.{layer}", Raw("all")) for layer in range(model.n_layers)}
    written = model.read([row, opposite], reads)
    effects = torch.zeros(model.n_layers, n_heads)
    (before,) = model.next_logits([row])
    for layer in range(model.n_layers):
        ours, theirs = written[f"z.{layer}"].values
        size = ours.shape[1] // n_heads
        edits = []
        for head in range(n_heads):
            patched = ours.clone()
            part = slice(head * size, (head + 1) * size)
            patched[first:, part] = theirs[first:, part]
            edits.append(
                [
                    Edit(f"z.{layer}", "replace", patched[token], where=(token,))
                    for token in range(first, len(row))
                ]
            )
        after = model.next_logits([row] * n_heads, edits=edits)
        effects[layer] = (before[more] - before[less]) - (after[:, more] - after[:, less])
    return effects


def _strongest(
    values: Float[Tensor, "layers heads"],
    loaded: Float[Tensor, "layers heads"],
    patched: Float[Tensor, "layers heads"],
) -> tuple[HeadEffect, ...]:
    n_heads = values.shape[1]
    order = values.flatten().abs().argsort(descending=True, stable=True)[:SHOWN].tolist()
    return tuple(
        HeadEffect(
            layer=index // n_heads,
            head=index % n_heads,
            loading=float(loaded.flatten()[index]),
            patched=float(patched.flatten()[index]),
        )
        for index in order
    )
