"""Why a head looked there: one attention score as a sum over pairs of what query and key are made of.

Kamath et al. 2025, "Tracing Attention Computation Through Feature Interactions", QK attributions:

1. Hold the prompt. With norms' scales held, the head's query at a token is a linear map of the stream there,
   and so is its key at every other token (`models.head_reading`); the score is their scaled product.
2. Sweep the rows of the query map down the replacement like rows of a graph: what each feature, error and
   token adds to each component of the query. Likewise the rows of the key map at the key's token.
3. Sweep the mean of the keys over all tokens that the query may look at: one row per component, injected at
   all of these tokens at once.
4. The score is the sum over pairs of a source of the query and a source of the key. Softmax does not see what
   is added to all scores of a query, so that pairs can be taken less their mean over keys.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mindscope.circuits.attribution.backward import backward_rows
from mindscope.circuits.attribution.config import TraceConfig
from mindscope.circuits.attribution.prompt_row import as_prompt_row
from mindscope.circuits.attribution.retrace import rebuild_local_model
from mindscope.circuits.attribution.targets import resolve_position
from mindscope.circuits.attribution.trace import split_into_blocks
from mindscope.circuits.graph.graph import AttributionGraph
from mindscope.circuits.heads.qk_attribution import BIAS, QKAttribution
from mindscope.circuits.index_spaces import BlockRow, StreamPoint
from mindscope.circuits.replacement.block import FrozenNorm
from mindscope.circuits.replacement.injections import Injections, before_norm
from mindscope.circuits.replacement.local_model import LocalReplacementModel, ReplacementModel
from mindscope.errors import DataError
from mindscope.models import HeadReading, Model, Row, find_linear_parts, head_reading


class AttentionScore(NamedTuple):
    """One score of one head.

    Attributes:
        layer: of the head.
        head: which of the layer's query heads.
        query: the token that looks, from 0; negative from the end.
        key: the token that is looked at, likewise; None for the one that gets most of the attention.
    """

    layer: int
    head: int
    query: int = -1
    key: int | None = None


def compute_qk_attribution(
    model: Model,
    replacement: ReplacementModel,
    prompt: AttributionGraph | Row | str,
    score: AttentionScore,
    config: TraceConfig | None = None,
) -> QKAttribution:
    """Take apart the score with which a head looks from one token at another.

    Args:
        model: the model, in float32.
        replacement: what replaces its MLPs.
        prompt: a graph, whose prompt and settings are used, a row, or text.
        score: which score of which head.
        config: as for `trace`; a graph brings its own.

    Raises:
        DataError: no such token, a query that may not look at the key (which comes later, or lies outside the
            window of the layer), or a graph of another model or replacement.
        ModelError: no such layer or head, or the model cannot be held linear.
    """
    config = config or TraceConfig()
    # 1: the prompt, and the head's maps
    if isinstance(prompt, AttributionGraph):
        local_model = rebuild_local_model(model, replacement, prompt)
    else:
        row = as_prompt_row(model, prompt)
        with torch.no_grad():
            local_model = replacement.freeze(model, row, skip_tokens=config.skip_tokens)
    layer, head = score.layer, score.head
    query = resolve_position(local_model, score.query)
    key = None if score.key is None else resolve_position(local_model, score.key)
    if key is not None and key > query:
        raise DataError(f"token {query} cannot look at token {key}, which comes after it")
    reading = head_reading(model, local_model.frozen_pass, layer, head, query)
    key = int(reading.pattern.argmax()) if key is None else key
    if not bool(reading.visible[key]):
        raise DataError(
            f"token {query} cannot look at token {key} in layer {layer}: it lies outside the layer's window"
        )
    # 2 and 3: three groups of rows, one row per component of the query, the key and the mean key
    with torch.inference_mode():
        injections, row_of = _inject_sides(model, local_model, reading, layer, query, key)
        sides = _sweep(local_model, injections, row_of, config.memory)
        names, kinds, columns = _list_sources(local_model, layer, query)
        queries, keys, mean_keys = sides[:, columns].cpu().chunk(3)
    return QKAttribution(
        layer=layer,
        head=head,
        query=query,
        key=key,
        names=names,
        kinds=kinds,
        queries=queries,
        keys=keys,
        mean_keys=mean_keys,
        scaling=reading.scaling,
        softcap=reading.softcap,
        attention=float(reading.pattern[key]),
    )


def _inject_sides(
    model: Model, local_model: LocalReplacementModel, reading: HeadReading, layer: int, query: int, key: int
) -> tuple[Injections, BlockRow]:
    """Gradients of the query, the key, and the mean of the keys, in the stream; and the row of each."""
    size, device = len(reading.query.bias), local_model.embeddings.device
    norm = FrozenNorm.of(find_linear_parts(model), local_model.frozen_pass, f"attn_in.{layer}")
    visible = reading.visible.nonzero().flatten()
    # [size, d_model] each, the mean's once per visible key: [visible * size, d_model]
    weights = [
        reading.query.weight,
        reading.weights[key],
        (reading.weights[visible] / len(visible)).flatten(0, 1),
    ]
    biases = [reading.query.bias, reading.biases[key], (reading.biases[visible] / len(visible)).flatten()]
    position = torch.cat(
        [
            torch.full((size,), query, device=device),
            torch.full((size,), key, device=device),
            visible.repeat_interleave(size),
        ]
    )
    vector, bias = before_norm(norm, position, torch.cat(weights), torch.cat(biases))
    component = torch.arange(size, device=device)
    # The mean key's injections at different tokens are summed into the same rows.
    row_of = torch.cat([component, size + component, 2 * size + component.repeat(len(visible))])
    point = torch.full_like(position, StreamPoint(layer).number)
    return Injections(point, position, vector, bias), row_of


def _sweep(
    local_model: LocalReplacementModel, injections: Injections, row_of: BlockRow, memory: int
) -> Float[Tensor, "rows sources"]:
    """Rows of all features by column, errors by (layer, position), tokens, and the bias."""
    n, tokens = int(row_of.max()) + 1, local_model.n_positions
    swept = local_model.embeddings.new_zeros(
        n, local_model.n_features + (local_model.n_layers + 1) * tokens + 1
    )
    # A row is carried at all tokens up to the last one that it reads.
    furthest = row_of.new_zeros(n).scatter_reduce(0, row_of, injections.position, "amax")
    for block in split_into_blocks(local_model, furthest, memory):
        place = row_of.new_full((n,), -1)
        place[block] = torch.arange(len(block), device=row_of.device)
        inside = (place[row_of] >= 0).nonzero().flatten()
        edges = backward_rows(local_model, injections[inside], place[row_of[inside]])
        rows, start = block[edges.order], local_model.n_features
        swept[rows, : edges.features.shape[1]] = edges.features
        for vectors in (*edges.errors.unbind(1), edges.tokens):
            swept[rows, start : start + vectors.shape[1]] = vectors
            start += tokens
        swept[rows, -1] = edges.bias
    return swept


def _list_sources(
    local_model: LocalReplacementModel, layer: int, query: int
) -> tuple[tuple[str, ...], tuple[int, int, int, int], Int[Tensor, "sources"]]:
    """Names of all below a layer and not behind a token, how many of each kind, and their columns."""
    features, tokens, n = local_model.features, local_model.n_positions, local_model.n_features
    below = ((features[:, 0] < layer) & (features[:, 1] <= query)).nonzero().flatten()
    positions = torch.arange(query + 1, device=below.device)
    errors = [n + source * tokens + positions for source in range(layer)]
    first_token = n + local_model.n_layers * tokens
    bias = positions.new_tensor([first_token + tokens])
    columns = torch.cat([local_model.column_of[below], *errors, first_token + positions, bias])

    def name_sources() -> Iterator[str]:
        for source, position, latent in features[below].tolist():
            yield f"{source}_{latent}_{position}"
        for source in range(layer):
            yield from (f"{source}_-1_{position}" for position in range(query + 1))
        ids = local_model.frozen_pass.row.ids[: query + 1]
        yield from (f"E_{token}_{position}" for position, token in enumerate(ids))
        yield BIAS

    return tuple(name_sources()), (len(below), layer * (query + 1), query + 1, 1), columns
