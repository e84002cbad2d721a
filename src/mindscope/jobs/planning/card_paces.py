"""What one token, step or answer of a model costs on a card, by arithmetic; see `paces.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mindscope.jobs.estimates import AnswerPace
from mindscope.jobs.planning.machines import BANDWIDTH_SHARE, HOST_SECONDS_PER_LAYER, MachineRates
from mindscope.jobs.planning.paces import CoderSize

if TYPE_CHECKING:
    from mindscope.models import ModelShape

SURVEY_SECONDS_PER_ENTRY = 1.2e-6
"""Of one core for each active feature of a token, measured on a CPU (`benchmarks/plan.py`)."""
RANKED_AGAIN = 1.15
"""Rows that choosing features exactly traces for each node: 1.05 to 1.2 on random and trained models."""
SWEEP_SHARE = 0.5
"""The share of the products' largest rate that tracing reaches (`benchmarks/attribution.py`)."""
SECONDS_PER_EDGE = 1e-7
"""Of one core for each possible edge of a traced graph, until its page is there: measured on a CPU
(`benchmarks/plan.py`)."""
PASS_TOKENS = 16_384
"""Tokens of a pass on a card."""


@dataclass(frozen=True)
class CardPaces:
    """Counts operations and bytes, and divides by what a card does: arithmetic, without a measurement."""

    shape: ModelShape
    machine: MachineRates
    dtype: str = "bfloat16"
    copies: int = 1
    """Copies of the model that work side by side."""

    def read_token(self, tokens: int) -> float:
        """See `PaceSource`. A product counts as two operations; attention two of them a pair of tokens."""
        return self._forward(tokens) / self.machine.rate(self.dtype) / self.copies

    def predict_token(self, tokens: int) -> float:
        """See `PaceSource`."""
        head = 2.0 * self.shape.embedding
        return self.read_token(tokens) + head / self.machine.rate(self.dtype) / self.copies

    def answer(self, prompt: int, n_side: int, *, reads: bool) -> AnswerPace:
        """See `PaceSource`. A step reads all weights and caches once, or waits for the host to launch it."""
        shape, bandwidth = self.shape, self.machine.memory_rate * BANDWIDTH_SHARE
        weights = 2.0 * shape.parameters  # of experts all: many rows choose many
        caches = float(shape.cache_bytes) * n_side * 2 * prompt
        launched = HOST_SECONDS_PER_LAYER * shape.n_layers * (1.5 if reads else 1.0)
        step = max((weights + caches) / bandwidth, launched) / self.copies
        return AnswerPace(n_side, n_side * prompt * self.predict_token(prompt) + launched, step)

    def tune_token(self, tokens: int, rows: int, *, adapters: bool) -> float:
        """See `PaceSource`. Backwards are two passes, one where weights are held."""
        return (2.2 if adapters else 3.0) * self.predict_token(tokens)

    def load(self, count: float) -> float:
        """See `PaceSource`."""
        return count / self.machine.disk_rate

    def evaluate_token(self, coder: CoderSize, layers: int, tokens: int) -> float:
        """See `PaceSource`. Everything is encoded twice: to measure it, and to splice it."""
        passes = self.read_token(tokens) + 4 * self.predict_token(tokens)
        return passes + 2 * layers * self.encode_token(coder)

    def encode_token(self, coder: CoderSize) -> float:
        """See `PaceSource`."""
        return self.multiply(2.0 * coder.d_in * coder.latents + 2.0 * coder.active * coder.d_out)

    def train_dictionary(self, config: Mapping[str, Any], width: int, batch: int) -> float:
        """See `PaceSource`. The encoder's product, the sparse ones, and 40 bytes of Adam a weight."""
        n_reads, n_writes = len(config["reads"]), len(config.get("writes") or config["reads"])
        weights = self.count_dictionary(config, width)
        encoders = config["n_latents"] * width * n_reads
        sparse = 6.0 * batch * config.get("k", 32) * width * max(n_reads, n_writes)
        moved = 40.0 * weights / self.machine.memory_rate / BANDWIDTH_SHARE
        return self.multiply(2.0 * batch * encoders + sparse) + moved / self.copies

    def count_dictionary(self, config: Mapping[str, Any], width: int) -> int:
        """Numbers of a dictionary's matrices."""
        from mindscope.jobs.planning.feature_work import count_weights

        causal = bool(config.get("causal"))
        return count_weights(config["kind"], len(config["reads"]), config["n_latents"], width, causal=causal)

    def survey_token(self, latents: int, active: float, tokens: int) -> float:
        """See `PaceSource`. Surveys keep their tables in the host's memory."""
        return SURVEY_SECONDS_PER_ENTRY * active

    def trace_graph(self, coder: CoderSize, tokens: int, nodes: int) -> float:
        """See `PaceSource`. Counted as `benchmarks/attribution_case.py` does, with rows at all positions."""
        shape = self.shape
        operations = count_row_operations(shape, coder, tokens) * nodes * RANKED_AGAIN
        return self.multiply(operations / SWEEP_SHARE) + self.predict_token(tokens) * tokens

    def finish_graph(self, coder: CoderSize, tokens: int, nodes: int) -> float:
        """See `PaceSource`. The host does it, whatever the card."""
        return SECONDS_PER_EDGE * nodes * (nodes + (self.shape.n_layers + 1) * tokens)

    def multiply(self, operations: float) -> float:
        """See `PaceSource`."""
        return operations / self.machine.rate("float32") / self.copies

    def grown(self) -> int:
        """See `PaceSource`. Of one pass: the stream, and what a block makes of it."""
        return round(PASS_TOKENS * self.shape.d_model * 2 * 24)

    def spent(self) -> float:
        """See `PaceSource`. Arithmetic takes no time."""
        return 0.0

    def _forward(self, tokens: int) -> float:
        shape = self.shape
        mixing = 2.0 * 2 * shape.n_layers * shape.n_heads * shape.head_dim * tokens / 2
        return 2.0 * shape.block_parameters + mixing


def count_row_operations(shape: ModelShape, coder: CoderSize, tokens: int) -> float:
    """Operations of a row of a graph at the mean position and layer: maps, patterns, all sources below."""
    width, half = shape.n_heads * shape.head_dim, shape.n_layers / 2
    kv = shape.n_kv_heads * shape.head_dim
    # over positions 0 to T the mean of p is T / 2, of p² it is T² / 3
    maps = 2.0 * (tokens / 2) * shape.d_model * (width + kv)
    mixing = width * tokens**2 / 3
    sources = 2.0 * coder.d_out * coder.active * half * tokens / 2
    return half * (maps + mixing) + sources
