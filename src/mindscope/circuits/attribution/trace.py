"""From a prompt to its attribution graph.

Ameisen et al. 2025, "Circuit Tracing", section "Attribution graphs":

1. Hold the prompt: build its local replacement model, in which everything between MLPs is linear.
2. Resolve what is to be explained into readings of the stream: a vector, a position, a point.
3. Trace the targets' rows: direct effects of every active feature, error and token on them.
4. Choose features by their influence on the targets, and trace theirs (`selection`).
5. Assemble: of all rows and columns traced, keep those of the chosen features. What the left-out columns gave
   to a row is kept as one number, so that a row still sums to what it explains.

Rows are traced in blocks (`backward`). The order of rows in a block is none of the graph's: `index_spaces`
says which index counts what.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor
from torch.linalg import vector_norm

from mindscope.circuits.attribution.backward import backward_rows
from mindscope.circuits.attribution.config import TraceConfig
from mindscope.circuits.attribution.forecast import PaceWatch, TraceForecast
from mindscope.circuits.attribution.prompt_row import as_prompt_row
from mindscope.circuits.attribution.selection import select_features
from mindscope.circuits.attribution.targets import ResolvedTargets, TargetSpec, top_logits
from mindscope.circuits.attribution.traced_rows import TracedRows
from mindscope.circuits.graph.graph import AttributionGraph
from mindscope.circuits.index_spaces import BlockRow, FeatureIndex, TraceRow
from mindscope.circuits.replacement.injections import Injections
from mindscope.circuits.replacement.local_model import LocalReplacementModel, ReplacementModel
from mindscope.core import Clock, Progress
from mindscope.models import Edit, Model, Row, written

MOST_ROWS = 128
"""More rows in a block are not faster, and lie at more different positions."""
LONG_MEMORY = 3 * 2**30
"""Bytes of a block where patterns are made again for each: rows share the work."""
FEWEST_ROWS = 32
"""A block of so many rows ends where those that follow reach half as many tokens at most: smaller blocks cost
more than the tokens that they save."""


def trace(
    model: Model,
    replacement: ReplacementModel,
    prompt: Row | str,
    config: TraceConfig | None = None,
    *,
    targets: TargetSpec | None = None,
    edits: Sequence[Edit] = (),
    progress: Progress | None = None,
    folder: Path | None = None,
    on_forecast: Callable[[TraceForecast], None] | None = None,
    clock: Clock = time.perf_counter,
) -> AttributionGraph:
    """Explain what a model says after a prompt.

    Args:
        model: the model, in float32.
        replacement: what replaces its MLPs.
        prompt: a row as it is, or text, which gets a special token in front if it has none (`as_prompt_row`).
        config: how.
        targets: what to explain (see `targets`); by default the most probable next tokens, at most ten that
            together have 95 %.
        edits: steering of the residual stream behind blocks (`resid_post.LAYER`), under which the prompt is
            read; what it adds is held as it was, and counts in the rows' biases. A graph that was made so is
            not put to the test: interventions run on the model as it is.
        progress: called with (rows done, rows in all, what).
        folder: where rows are kept that are too many for memory; the system's folder for temporary files by
            default. Nothing is left there.
        on_forecast: is told what the whole will take, once targets and a first block of features are traced.
        clock: tells the time for that.

    Returns:
        The graph, on the CPU.

    Raises:
        ModelError: the prompt is empty or too long, or the model cannot be held linear.
        DataError: the dictionary or a target does not fit.
    """
    model.capabilities.require("an attribution graph", "gradients", "attention_patterns")
    config, spec = config or TraceConfig(), targets or top_logits()
    with torch.no_grad():
        # 1 and 2: the prompt held, and what is read in it
        local_model = replacement.freeze(
            model, as_prompt_row(model, prompt), skip_tokens=config.skip_tokens, edits=edits
        )
        resolved = spec.resolve(model, local_model)
        weights = torch.tensor([target.weight for target in resolved.targets], device=model.device)
        # 3 and 4: the targets' rows, then those of the features that matter to them
        tracer = _RowTracer(local_model, resolved, config, progress, folder, on_forecast, clock)
        tracer.trace_targets()
        chosen = select_features(tracer.rows, weights, config, tracer.trace_features)
        # 5: the graph
        edges = _GraphEdges(tracer.rows, chosen)
    ids = local_model.frozen_pass.row.ids
    preactivations = torch.cat(
        [local_model.preactivations[chosen], local_model.read_values(resolved.injections)]
    )
    return AttributionGraph(
        ids=ids,
        tokens=tuple(written(model.tokenizer, ids)),
        n_layers=local_model.n_layers,
        features=local_model.features[chosen].cpu(),
        activations=local_model.activations[chosen].cpu(),
        targets=resolved.targets,
        edges=edges.edges,
        preactivations=preactivations.cpu(),
        biases=edges.biases,
        unselected=edges.unselected,
        unselected_absolute=edges.unselected_absolute,
        fingerprint=model.fingerprint,
        replacement_digest=replacement.digest(),
        skip_tokens=local_model.skip_tokens,
        target_spec=spec.description,
        metadata={
            "model": model.name,
            "replacement": type(replacement).__name__,
            "active_features": local_model.n_features,
            "traced_features": int(tracer.rows.traced.sum()),
            "config": config.model_dump(),
            **({"edits": [describe_edit(edit) for edit in edits]} if edits else {}),
        },
    )


class _RowTracer:
    """Traces rows in blocks, keeps them, and says how far it is."""

    def __init__(
        self,
        local_model: LocalReplacementModel,
        resolved: ResolvedTargets,
        config: TraceConfig,
        progress: Progress | None,
        folder: Path | None,
        on_forecast: Callable[[TraceForecast], None] | None,
        clock: Clock,
    ):
        self.rows = TracedRows(local_model, len(resolved.targets), folder)
        self._on_forecast, self._clock = on_forecast, clock
        self._local_model, self._resolved, self._progress = local_model, resolved, progress
        self._memory = config.memory
        self._n_done = 0
        self._n_expected = min(config.max_features, local_model.n_features) + len(resolved.targets)

    def trace_targets(self) -> None:
        """Trace the row of every target."""
        injections, first = self._resolved.injections, self.rows.n_features
        self._trace(self.rows.target_rows, injections.position, lambda rows: injections[rows - first])

    def trace_features(self, features: FeatureIndex) -> None:
        """Trace the rows of features, which are their own `TraceRow`s."""
        layers, positions, _ = self._local_model.features[features].unbind(1)
        watch = None
        if self._on_forecast is not None:  # the first ranking names nearly all that will be traced
            watch = PaceWatch(
                self._local_model, layers, positions, self.rows.n_targets, self._on_forecast, self._clock
            )
            self._on_forecast = None
        self._trace(features, positions, self._local_model.inject_features, watch)

    def _trace(
        self,
        rows: TraceRow,
        positions: Int[Tensor, "rows"],
        inject: Callable[[TraceRow], Injections],
        watch: PaceWatch | None = None,
    ) -> None:
        for block in split_into_blocks(self._local_model, positions, self._memory):
            # Encoders are gathered block by block: those of all features at once might not fit.
            edges = backward_rows(self._local_model, inject(rows[block]))
            self.rows.add(rows[block][edges.order], edges)
            if watch is not None:
                watch.take(block)
            self._n_done += len(block)
            if self._progress is not None:
                # Selecting exactly can trace more features than are chosen in the end.
                self._progress(self._n_done, max(self._n_done, self._n_expected), "tracing features")


def describe_edit(edit: Edit) -> str:
    """An edit in words, for what a graph says of itself."""
    length = edit.vector.norm().item()
    return (
        f"{edit.op} {edit.value:g} x a vector of length {length:.3g} at {edit.address}, {edit.where} tokens"
    )


def split_into_blocks(
    local_model: LocalReplacementModel, position: Int[Tensor, "rows"], memory: int
) -> Iterator[BlockRow]:
    """Rows in blocks of neighbouring positions, as many in each as the memory allows and positions are alike.

    Args:
        local_model: the local replacement model.
        position: of each row.
        memory: bytes for the gradients of a block.
    """
    # Falling, so that the first row of a block says at how many tokens all of its rows are carried.
    order = position.argsort(descending=True, stable=True)
    tokens = (position[order] + 1).tolist()
    block = local_model.blocks[0]
    # Numbers per row and token: the gradient and a copy, the mixed values and the values, each twice; and the
    # edges of the features at a token.
    numbers = 2 * local_model.embeddings.shape[1] + 2 * len(block.output) + 2 * len(block.value)
    numbers += local_model.n_features // local_model.n_positions
    if not block.mixing.is_kept:
        memory = max(memory, LONG_MEMORY)
    start = 0
    while start < len(order):
        size = memory // (4 * numbers * tokens[start])
        stop = min(start + max(1, min(MOST_ROWS, size)), len(order))
        likely = range(start + FEWEST_ROWS, stop)
        stop = next((row for row in likely if 2 * tokens[row] <= tokens[start]), stop)
        yield order[start:stop]
        start = stop


class _GraphEdges:
    """The chosen features' and the targets' rows, and the columns of a graph, out of all that was traced.

    Rows are the chosen features, then the targets; columns are the chosen features, then errors by (layer,
    position), then tokens.
    """

    def __init__(self, rows: TracedRows, chosen: FeatureIndex):
        local_model = rows.local_model
        n_chosen, n_rows = len(chosen), len(chosen) + rows.n_targets
        n_layers, n_tokens = local_model.errors.shape[:2]
        self._first_error, self._first_token = n_chosen, n_chosen + n_layers * n_tokens
        self._error_shape = n_layers, n_tokens
        self.edges = torch.zeros(n_rows, n_chosen + (n_layers + 1) * n_tokens)
        self.biases, self.unselected, self.unselected_absolute = (torch.zeros(n_rows) for _ in range(3))
        # The row of the graph that each TraceRow becomes; -1 for features that were traced and not chosen.
        graph_row_of = torch.full((rows.n_features + rows.n_targets,), -1, device=chosen.device)
        graph_row_of[chosen] = torch.arange(n_chosen, device=chosen.device)
        graph_row_of[rows.target_rows] = torch.arange(n_chosen, n_rows, device=chosen.device)
        columns = local_model.column_of[chosen]
        for block, magnitudes in zip(rows.blocks, rows.magnitudes, strict=True):
            graph_rows = graph_row_of[block.rows]
            kept = (graph_rows >= 0).nonzero().flatten()
            graph_rows = graph_rows[kept].cpu()
            # Nearly all rows of a block are kept, most often all: then they are not copied.
            features = block.features()
            features = features if len(kept) == len(features) else features[kept]
            # A block has the columns of the tokens that its rows can reach; the others stay zero.
            reached = columns < features.shape[1]
            selected = features[:, columns[reached]]
            self.edges[graph_rows[:, None], reached.nonzero().flatten().cpu()] = selected.cpu()
            self._take_errors(graph_rows, block.errors()[kept].cpu())
            self._take_tokens(graph_rows, block.tokens[kept].cpu())
            self.biases[graph_rows] = block.bias[kept].cpu()
            # What active features that are not nodes give to these rows, as a sum and in magnitude.
            self.unselected[graph_rows] = (features.sum(1) - selected.sum(1)).cpu()
            absolute = magnitudes[kept] - vector_norm(selected, 1, dim=1)
            self.unselected_absolute[graph_rows] = absolute.clamp(min=0).cpu()

    def _take_errors(self, graph_rows: Tensor, errors: Tensor) -> None:
        padded = torch.zeros(len(graph_rows), *self._error_shape)
        padded[:, :, : errors.shape[2]] = errors
        self.edges[graph_rows, self._first_error : self._first_token] = padded.flatten(1)

    def _take_tokens(self, graph_rows: Tensor, tokens: Tensor) -> None:
        self.edges[graph_rows, self._first_token : self._first_token + tokens.shape[1]] = tokens
