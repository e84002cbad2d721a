"""What one token, step or answer of a model costs, timed on this machine; see `paces.py`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from mindscope.core import Clock
from mindscope.jobs.estimates import AnswerPace
from mindscope.jobs.planning.card_paces import CardPaces
from mindscope.jobs.planning.machines import MachineRates
from mindscope.jobs.planning.paces import CoderSize

if TYPE_CHECKING:
    from mindscope.circuits import DictionaryReplacement
    from mindscope.models import Model, ModelShape, Row

PASSES = 2
"""Timed passes, after a first one that builds what others use."""
SURVEYED = 2
"""Chunks of rows in each timing of a survey: more would take longer than a small survey itself."""
PROBED_NODES = 24, 96, 320
"""Nodes of the graphs by which tracing is timed: the first, and the second where a node is slow, else the
third, which has whole blocks of rows."""
SLOW_NODE = 0.02
"""Seconds of a node from which on the second graph is enough."""
TRIED_SHARE = 0.25
"""The share of the memory that random transcoders may take; larger ones are planned by rates."""
EVALUATED = 64
"""Rows that an evaluation reads between two pieces of its run."""


@dataclass(frozen=True)
class MeasuredPaces:
    """Times a model that is loaded, on the machine that is to do the work."""

    model: Model
    machine: MachineRates
    clock: Clock = time.perf_counter
    _known: dict[tuple, float] = field(default_factory=dict, init=False)
    _grown: dict[tuple, int] = field(default_factory=dict, init=False)
    """Bytes that each kind of work took at its peak, beside what there was."""
    _replacements: dict[CoderSize, DictionaryReplacement] = field(default_factory=dict, init=False)

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

    def load(self, count: float) -> float:
        """See `PaceSource`."""
        return count / self.machine.disk_rate

    def evaluate_token(self, coder: CoderSize, layers: int, tokens: int) -> float:
        """See `PaceSource`. One too large to try out is put together of its parts."""
        from mindscope.jobs.planning.probes import evaluate_small

        if layers * coder.latents * (coder.d_in + coder.d_out) * 4 > self.machine.memory_bytes / 8:
            passes = self.read_token(tokens) + 4 * self.predict_token(tokens)
            return passes + 2 * layers * self.encode_token(coder)
        rows = self._rows(tokens, max(2, min(EVALUATED, self.model.pass_tokens // tokens)))
        work = evaluate_small(self.model, coder, layers, rows)
        return self._timed(("evaluate", coder, layers, tokens), work) / (len(rows) * tokens)

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

        by_rates = CardPaces(self._shape, self.machine)
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
        if self._is_too_large(coder):
            return CardPaces(self._shape, self.machine).trace_graph(coder, tokens, nodes)
        few, more = self._probed_nodes(coder, tokens, nodes)
        first = self._trace(coder, tokens, few)
        if few == nodes:
            return first
        each = max(self._trace(coder, tokens, more) - first, 0.0) / (more - few)
        return first + each * (nodes - few)

    def finish_graph(self, coder: CoderSize, tokens: int, nodes: int) -> float:
        """See `PaceSource`. It grows by the edges of a graph, of which two small ones tell what they cost."""
        if self._is_too_large(coder):
            return CardPaces(self._shape, self.machine).finish_graph(coder, tokens, nodes)

        def count_edges(n: int) -> int:
            return n * (n + (self.model.n_layers + 1) * tokens)

        few, more = self._probed_nodes(coder, tokens, nodes)
        first = self._finish(coder, tokens, few)
        if few == nodes:
            return first
        each = max(self._finish(coder, tokens, more) - first, 0.0) / (count_edges(more) - count_edges(few))
        return first + each * (count_edges(nodes) - count_edges(few))

    def _probed_nodes(self, coder: CoderSize, tokens: int, nodes: int) -> tuple[int, int]:
        """Nodes of two graphs that are traced in place of a larger one; a small one is traced itself."""
        few, usual, many = PROBED_NODES
        if nodes <= few:
            return nodes, nodes
        is_slow = self._trace(coder, tokens, few) > few * SLOW_NODE
        return few, min(nodes, usual if is_slow else many)

    def _trace(self, coder: CoderSize, tokens: int, nodes: int) -> float:
        from mindscope.jobs.planning.probes import trace_small

        work = trace_small(self.model, self._replace_mlps(coder), tokens, nodes)
        return self._timed(("trace", coder, tokens, nodes), work)

    def _finish(self, coder: CoderSize, tokens: int, nodes: int) -> float:
        from mindscope.jobs.planning.probes import finish_small, trace_small

        key, replacement = ("finish", coder, tokens, nodes), self._replace_mlps(coder)
        if key not in self._known:
            graph = trace_small(self.model, replacement, tokens, nodes)()
            self._timed(key, finish_small(self.model, replacement, graph))
        return self._known[key]

    def _replace_mlps(self, coder: CoderSize) -> DictionaryReplacement:
        """Random transcoders, made once."""
        from mindscope.jobs.planning.probes import build_random_replacement

        if coder not in self._replacements:
            self._replacements[coder] = build_random_replacement(self.model, coder)
        return self._replacements[coder]

    def _is_too_large(self, coder: CoderSize) -> bool:
        """Whether transcoders of all layers would take too much of the memory to be tried out."""
        weights = self.model.n_layers * coder.latents * (coder.d_in + coder.d_out)
        return 4 * weights > self.machine.memory_bytes * TRIED_SHARE

    @property
    def _shape(self) -> ModelShape:
        from mindscope.models import shape_of

        return shape_of(self.model)

    def multiply(self, operations: float) -> float:
        """See `PaceSource`."""
        return operations / self.machine.float32_rate

    def grown(self) -> int:
        """See `PaceSource`."""
        return max(self._grown.values(), default=0)

    def spent(self) -> float:
        """See `PaceSource`."""
        return (PASSES + 1) * sum(self._known.values())

    def _rows(self, tokens: int, count: int | None = None) -> Sequence[Row]:
        from mindscope.jobs.planning.probes import build_row

        count = count or max(2, min(32, 2 * self.model.pass_tokens // tokens))
        return [build_row(self.model, tokens, number) for number in range(count)]

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
