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
    from mindscope.models import Model, Row

PASSES = 2
"""Timed passes, after a first one that builds what others use."""
SURVEYED = 4
"""Chunks of rows that a survey's cost is measured on."""
PROBED_NODES = 24, 96
"""Nodes of the two graphs by which tracing is timed."""


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
