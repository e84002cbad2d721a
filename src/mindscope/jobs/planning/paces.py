"""What one token, step or answer of a model costs: measured on it, or by the rates of a card.

Two sources answer the same questions, so that a plan does not know which it was:

- `MeasuredPaces` times a few passes of a model that is loaded: the job's own, as it opens; or a stand-in of
  the same configuration with random weights, for a plan from a configuration alone.
- `CardPaces` divides counted operations and bytes by what a card does a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Protocol

from mindscope.core import Clock
from mindscope.jobs.estimates import AnswerPace
from mindscope.jobs.planning.machines import BANDWIDTH_SHARE, HOST_SECONDS_PER_LAYER, MachineRates

if TYPE_CHECKING:
    from mindscope.models import Model, ModelShape, Row

PASSES = 2
"""Timed passes, after a first one that builds what others use."""
SURVEYED = 4
"""Chunks of rows that a survey's cost is measured on."""
SURVEY_SECONDS_PER_ENTRY = 1.2e-6
"""Of one core for each active feature of a token, measured on a CPU (`benchmarks/plan.py`)."""
PROBED_NODES = 24, 96
"""Nodes of the two graphs by which tracing is timed."""
RANKED_AGAIN = 1.15
"""Rows that choosing features exactly traces for each node: 1.05 to 1.2 on random and trained models."""
SWEEP_SHARE = 0.5
"""The share of the products' largest rate that tracing reaches (`benchmarks/attribution.py`)."""
PASS_TOKENS = 16_384
"""Tokens of a pass on a card."""


@dataclass(frozen=True, slots=True)
class CoderSize:
    """One coder of a dictionary: what it reads, how many latents, how many are active, what it writes."""

    d_in: int
    latents: int
    active: float
    d_out: int


class PaceSource(Protocol):
    """What a plan asks. All are seconds."""

    def read_token(self, tokens: int) -> float:
        """A token of a row of so many, read at all layers."""
        ...

    def predict_token(self, tokens: int) -> float:
        """The same with logits."""
        ...

    def answer(self, prompt: int, n_side: int, *, reads: bool) -> AnswerPace:
        """Writing answers side by side, with or without reading every layer."""
        ...

    def tune_token(self, tokens: int, rows: int, *, adapters: bool) -> float:
        """A token of a training step, forward and back."""
        ...

    def encode_token(self, coder: CoderSize) -> float:
        """A token's code."""
        ...

    def survey_token(self, latents: int, active: float, tokens: int) -> float:
        """What a survey keeps of a token in rows of so many, for all coders together."""
        ...

    def train_dictionary(self, config: Mapping[str, Any], width: int, batch: int) -> float:
        """A training step of one dictionary."""
        ...

    def trace_graph(self, coder: CoderSize, tokens: int, nodes: int) -> float:
        """A graph of so many nodes, with one coder a layer."""
        ...

    def grown(self) -> int:
        """The most bytes that the work asked for so far took beside the weights."""
        ...

    def multiply(self, operations: float) -> float:
        """So many operations of large products in float32."""
        ...


@dataclass(frozen=True)
class MeasuredPaces:
    """Times a model that is loaded, on the machine that is to do the work."""

    model: Model
    machine: MachineRates
    clock: Clock = time.perf_counter
    _known: dict[tuple, float] = field(default_factory=dict, init=False)
    _grown: dict[tuple, int] = field(default_factory=dict, init=False)
    """Bytes that each kind of work took at its peak, beside what there was."""

    def read_token(self, tokens: int) -> float:
        """See `PaceSource`."""
        from mindscope.models import Mean, Read

        rows = self._rows(tokens)
        reads = {f"{i}": Read(f"resid_post.{i}", Mean("all")) for i in range(self.model.n_layers)}
        return self._timed(("read", tokens), lambda: self.model.read(rows, reads)) / (len(rows) * tokens)

    def predict_token(self, tokens: int) -> float:
        """See `PaceSource`."""
        import torch

        rows = self._rows(tokens)[: max(1, self.model.pass_tokens // tokens)]

        def work() -> None:
            with torch.inference_mode():
                self.model.hf(**self.model.batch(rows), use_cache=False)

        return self._timed(("predict", tokens), work) / (len(rows) * tokens)

    def answer(self, prompt: int, n_side: int, *, reads: bool) -> AnswerPace:
        """See `PaceSource`."""
        from mindscope.models import Sampling
        from mindscope.personas import rollout_reads

        asked = rollout_reads(self.model) if reads else None
        rows = self._rows(prompt, n_side)

        def write(n_tokens: int) -> Callable[[], object]:
            sampling = Sampling(temperature=1.0, max_new_tokens=n_tokens)
            return lambda: self.model.generate(rows, sampling, reads=asked, batch_rows=n_side)

        first = self._timed(("prompt", prompt, n_side, reads), write(1))
        n_tokens = 9
        several = self._timed(("steps", prompt, n_side, reads), write(n_tokens))
        return AnswerPace(n_side, first, max(several - first, 1e-6) / (n_tokens - 1))

    def tune_token(self, tokens: int, rows: int, *, adapters: bool) -> float:
        """See `PaceSource`. Only for a stand-in: its weights are changed."""
        import torch
        from peft import LoraConfig, get_peft_model

        model: Any = self.model.hf
        if adapters:
            model = get_peft_model(
                model, LoraConfig(r=32, lora_alpha=64, target_modules=list(self.model.projections))
            )
        model = model.float().train()
        trained = [weight for weight in model.parameters() if weight.requires_grad]
        optimiser = torch.optim.AdamW(trained, lr=1e-9)
        batch = self.model.batch(self._rows(tokens, rows))

        def work() -> None:
            model(**batch, labels=batch["input_ids"], use_cache=False).loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimiser.step()
            optimiser.zero_grad()

        return self._timed(("tune", tokens, rows, adapters), work) / (rows * tokens)

    def encode_token(self, coder: CoderSize) -> float:
        """See `PaceSource`."""
        import torch

        from mindscope.dictionaries import Coder

        if coder.latents * coder.d_in * 4 > self.machine.memory_bytes / 8:
            return self.multiply(2.0 * coder.d_in * coder.latents)
        draw, tokens = torch.Generator().manual_seed(0), 256
        W_enc = torch.randn(coder.latents, coder.d_in, generator=draw) / coder.d_in**0.5
        bias = NormalDist().inv_cdf(min(0.5, coder.active / coder.latents))
        random = Coder(W_enc, torch.full((coder.latents,), bias), torch.ones(coder.latents, 1))
        x = torch.randn(tokens, coder.d_in, generator=draw)
        return self._timed(("encode", coder), lambda: random.encode(x, "relu", None)) / tokens

    def survey_token(self, latents: int, active: float, tokens: int) -> float:
        """See `PaceSource`. Measured on tables that fill, as they do in the first thousands of rows."""
        import torch

        from mindscope.dictionaries import SparseCode
        from mindscope.explain import SurveyAccumulator, SurveyConfig

        rows = self._rows(tokens, SurveyConfig().read_rows)
        n_tokens, draw = len(rows) * tokens, torch.Generator().manual_seed(0)
        count = max(1, round(active))
        kept = SurveyAccumulator(min(latents, 2**16), self.model.vocab_size, SurveyConfig(), signed=False)
        indices = torch.randint(kept.n_features, (n_tokens, count), generator=draw)
        code = SparseCode.of_top(indices, torch.rand(n_tokens, count, generator=draw), kept.n_features)
        counted = torch.ones(n_tokens, dtype=torch.bool)

        def work() -> None:
            for _ in range(SURVEYED):
                kept.add(rows, code, counted, 0)
            kept.flush()

        return self._timed(("survey", latents, count, tokens), work) / (SURVEYED * n_tokens)

    def train_dictionary(self, config: Mapping[str, Any], width: int, batch: int) -> float:
        """See `PaceSource`. One too large to try out is planned by rates."""
        import torch

        from mindscope.dictionaries import DictionaryConfig, DictionaryTrainer, Site
        from mindscope.models import shape_of

        by_rates = CardPaces(shape_of(self.model), self.machine)
        if by_rates.count_dictionary(config, width) * 16 > self.machine.memory_bytes / 8:
            return by_rates.train_dictionary(config, width, batch)
        sized = DictionaryConfig(**config)
        draw = torch.Generator().manual_seed(0)
        reads, writes = ([Site(name, width) for name in names] for names in (sized.reads, sized.targets))
        trainer = DictionaryTrainer(sized, reads, writes, steps=10_000)
        x = torch.randn(batch, width * len(reads), generator=draw)
        y = None if sized.reads == sized.targets else torch.randn(batch, width * len(writes), generator=draw)
        trainer.begin(x, x if y is None else y)
        key = ("dictionary", str(config), width, batch)
        return self._timed(key, lambda: trainer.step(x, y))

    def trace_graph(self, coder: CoderSize, tokens: int, nodes: int) -> float:
        """See `PaceSource`. Two small graphs of a stand-in tell what the pass and what a node costs."""
        from mindscope.jobs.planning.probes import trace_small

        few, more = PROBED_NODES
        if nodes <= few:
            return self._timed(("trace", coder, tokens, nodes), trace_small(self.model, coder, tokens, nodes))
        first, second = (
            self._timed(("trace", coder, tokens, n), trace_small(self.model, coder, tokens, n))
            for n in (few, min(more, nodes))
        )
        each = max(second - first, 0.0) / (min(more, nodes) - few)
        return first + each * (nodes - few)

    def multiply(self, operations: float) -> float:
        """See `PaceSource`."""
        return operations / self.machine.float32_rate

    def grown(self) -> int:
        """See `PaceSource`."""
        return max(self._grown.values(), default=0)

    def _rows(self, tokens: int, count: int | None = None) -> Sequence[Row]:
        from mindscope.models import Row

        count = count or max(2, min(32, 2 * self.model.pass_tokens // tokens))
        size = self.model.vocab_size
        ids = [tuple((17 + 101 * i + 31 * place) % size for i in range(tokens)) for place in range(count)]
        return [Row(row, tokens) for row in ids]

    def _timed(self, key: tuple, work: Callable[[], object]) -> float:
        if key not in self._known:
            before = restart_peak()
            work()
            began = self.clock()
            for _ in range(PASSES):
                work()
            self._known[key] = (self.clock() - began) / PASSES
            self._grown[key] = max(0, read_peak() - before)
        return self._known[key]


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
        from mindscope.jobs.planning.work import count_weights

        return count_weights(config["kind"], len(config["reads"]), config["n_latents"], width)

    def survey_token(self, latents: int, active: float, tokens: int) -> float:
        """See `PaceSource`. Surveys keep their tables in the host's memory."""
        return SURVEY_SECONDS_PER_ENTRY * active

    def trace_graph(self, coder: CoderSize, tokens: int, nodes: int) -> float:
        """See `PaceSource`. Counted as `benchmarks/attribution_case.py` does, with rows at all positions."""
        shape = self.shape
        operations = count_row_operations(shape, coder, tokens) * nodes * RANKED_AGAIN
        return self.multiply(operations / SWEEP_SHARE) + self.predict_token(tokens) * tokens

    def multiply(self, operations: float) -> float:
        """See `PaceSource`."""
        return operations / self.machine.rate("float32") / self.copies

    def grown(self) -> int:
        """See `PaceSource`. Of one pass: the stream, and what a block makes of it."""
        return round(PASS_TOKENS * self.shape.d_model * 2 * 24)

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


def restart_peak() -> int:
    """The resident bytes of this process, with its largest size counted anew; 0 where there is no /proc."""
    try:
        _CLEAR.write_text("5")
        return _status("VmRSS")
    except OSError:
        return 0


def read_peak() -> int:
    """The largest resident bytes since `restart_peak`; 0 where there is no /proc."""
    try:
        return _status("VmHWM")
    except OSError:
        return 0


_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


def _status(name: str) -> int:
    lines = _STATUS.read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))
