"""A causal language model under the microscope."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from threading import RLock
from typing import Any

import numpy as np
import torch
from interp_engine import EagerModel
from jaxtyping import Float
from torch import Tensor

from mindscope.errors import ModelError
from mindscope.models import addresses
from mindscope.models.chat import chat_row, text_row
from mindscope.models.edits import Edit, Program
from mindscope.models.fingerprint import fingerprint
from mindscope.models.generate import Generation, OnToken, generate
from mindscope.models.hooks import Tap, ambient, attached
from mindscope.models.load import load_parts
from mindscope.models.passes import Pass, left_padded
from mindscope.models.read import Progress, Read, Reading, batches, read
from mindscope.models.reduce import Project
from mindscope.models.rows import Message, Row
from mindscope.models.sample import Sampling
from mindscope.models.text import decode


class Model:
    """A causal LM: read activations, write into them, generate with both."""

    def __init__(self, hf: Any, tokenizer: Any, name: str):
        self.hf, self.tokenizer, self.name = hf, tokenizer, name
        self.engine = EagerModel(name, hf_model=hf, tokenizer=tokenizer)
        self.n_layers, self.d_model = self.engine.n_layers, self.engine.d_model
        self._lock = RLock()
        self._places: dict[str, addresses.Place] = {}
        self._widths: dict[str, int] = {}
        self._now: Pass | None = None

    @classmethod
    def load(
        cls, name: str, *, dtype: str = "auto", device: str = "auto", revision: str | None = None
    ) -> "Model":
        hf, tokenizer = load_parts(str(name), dtype=dtype, device=device, revision=revision)
        return cls(hf, tokenizer, str(name))

    @classmethod
    def wrap(cls, hf: Any, tokenizer: Any, *, name: str) -> "Model":
        return cls(hf, tokenizer, name)

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(self.hf)

    @property
    def device(self) -> torch.device:
        return self.engine.device

    @property
    def dtype(self) -> torch.dtype:
        return self.engine.dtype

    @property
    def context_length(self) -> int | None:
        return getattr(self.hf.config.get_text_config(), "max_position_embeddings", None)

    @cached_property
    def eos_ids(self) -> frozenset[int]:
        generation = getattr(self.hf, "generation_config", None)
        named = getattr(generation, "eos_token_id", None)
        named = [named] if isinstance(named, int) else list(named or ())
        return frozenset(i for i in (*named, self.tokenizer.eos_token_id) if i is not None)

    def chat(self, messages: Sequence[Message], answer: str | None = None) -> Row:
        return chat_row(self.tokenizer, messages, answer)

    def text(self, text: str, answer: str | None = None) -> Row:
        return text_row(self.tokenizer, text, answer)

    def decode(self, ids: Sequence[int]) -> str:
        return decode(self.tokenizer, ids)

    def read(
        self,
        rows: Sequence[Row],
        reads: Mapping[str, Read],
        *,
        edits: Sequence[Edit] | Sequence[Sequence[Edit]] | None = None,
        batch_tokens: int = 8192,
        progress: Progress | None = None,
    ) -> dict[str, Reading]:
        return read(self, rows, reads, edits=edits, batch_tokens=batch_tokens, progress=progress)

    def generate(
        self,
        rows: Sequence[Row],
        sampling: Sampling = Sampling(),
        *,  # noqa: B008
        edits: Sequence[Edit] | Sequence[Sequence[Edit]] | None = None,
        reads: Mapping[str, Read] | None = None,
        seeds: Sequence[int] | None = None,
        batch_rows: int = 64,
        progress: Progress | None = None,
        on_token: OnToken | None = None,
    ) -> list[Generation]:
        return generate(
            self,
            rows,
            sampling,
            edits=edits,
            reads=reads,
            seeds=seeds,
            batch_rows=batch_rows,
            progress=progress,
            on_token=on_token,
        )

    def next_logits(
        self,
        rows: Sequence[Row],
        *,
        edits: Sequence[Edit] | Sequence[Sequence[Edit]] | None = None,
        batch_tokens: int = 8192,
    ) -> Float[Tensor, "rows vocabulary"]:
        """The logits of the token after each row, float32 on the CPU, in the caller's order."""
        self.check_rows(rows, new=1)
        own = self.edits_of(edits, len(rows))
        found: list[Tensor | None] = [None] * len(rows)
        for batch in batches([len(row) for row in rows], batch_tokens):
            ids, now = left_padded([rows[i] for i in batch])
            program = self.program([own[i] for i in batch]) if own else None
            with torch.inference_mode():
                logits = self.forward_pass(ids, now, program, [], whole=True)
            assert logits is not None
            for i, line in zip(batch, logits.float().cpu(), strict=True):
                found[i] = line
        return torch.stack([line for line in found if line is not None])

    @contextmanager
    def edited(self, edits: Sequence[Edit]) -> Iterator[None]:
        program = self.program([list(edits)])
        with self._lock, ambient(self, program):
            yield

    # -- what reading and generating share --

    def place(self, address: str) -> addresses.Place:
        if address not in self._places:
            self._places[address] = addresses.find(self.engine, address)
        return self._places[address]

    def place_of(self, read: Read) -> addresses.Place:
        place = self.place(read.address)
        if isinstance(read.reduce, Project) and read.reduce.directions.shape[1] != self.width(place):
            raise ModelError(
                f"directions of width {read.reduce.directions.shape[1]} cannot be read at {read.address}, "
                f"which is {self.width(place)} wide"
            )
        return place

    def width(self, place: addresses.Place) -> int:
        if place.width is not None:
            return place.width
        if place.address not in self._widths:
            seen: list[int] = []

            class Probe:
                def take(self, slots, hidden, mask):
                    seen.append(hidden.shape[-1])

            now = Pass(np.array([[0]]), np.array([1]))
            with torch.inference_mode():
                self.forward_pass(
                    np.array([[0]]),
                    now,
                    None,
                    [Tap(place, "all", Probe())],
                    whole=place.module is self.engine.arch.lm_head,
                )
            self._widths[place.address] = seen[0]
        return self._widths[place.address]

    def edits_of(self, edits, rows: int) -> list[list[Edit]] | None:
        if not edits:
            return None
        if all(isinstance(edit, Edit) for edit in edits):
            return [list(edits)] * rows
        if len(edits) != rows:
            raise ModelError(f"{len(edits)} lists of edits for {rows} rows; give one list per row")
        return [list(row) for row in edits]

    def program(self, edits: Sequence[Sequence[Edit]]) -> Program:
        for edit in {id(edit): edit for row in edits for edit in row}.values():
            width = self.width(self.place(edit.address))
            if edit.vector.shape[0] != width:
                raise ModelError(
                    f"a vector of width {edit.vector.shape[0]} cannot be written at {edit.address}, which is {width} wide; "
                    "use a vector made for this model"
                )
        return Program(edits, self.place, self.device)

    def check_rows(self, rows: Sequence[Row], new: int = 0) -> None:
        size = self.engine.vocab_size
        for i, row in enumerate(rows):
            if row.ids and not 0 <= min(row.ids) <= max(row.ids) < size:
                raise ModelError(f"row {i} has a token id outside the vocabulary of {size}")
            if new and not row.ids:
                raise ModelError(f"row {i} is empty; a prompt needs at least one token")
            if self.context_length is not None and len(row) + new > self.context_length:
                raise ModelError(
                    f"row {i} has {len(row)} tokens, the model takes {self.context_length}; shorten the prompt"
                )

    def forward_pass(
        self,
        ids: np.ndarray,
        now: Pass,
        program: Program | None,
        taps: Sequence[Tap],
        *,
        whole: bool,
        slots: np.ndarray | None = None,
        cache: Any = None,
        real: np.ndarray | None = None,
    ) -> Tensor | None:
        if real is None and cache is None:
            real = now.positions >= 0
        kwargs: dict[str, Any] = {
            "input_ids": torch.from_numpy(ids).to(self.device),
            "use_cache": cache is not None,
        }
        if cache is not None:
            kwargs["past_key_values"] = cache
        if real is not None and not real.all():
            kwargs["attention_mask"] = torch.from_numpy(real).to(self.device, torch.long)
        if self._takes_positions:
            kwargs["position_ids"] = torch.from_numpy(np.maximum(now.positions, 0)).to(self.device)
        slots = np.arange(len(ids)) if slots is None else slots
        with self._lock, attached(now, slots, program, taps, stop_when_served=not whole):
            self._now = now
            try:
                if not whole:
                    self.engine.arch.trunk(**kwargs)
                    return None
                return self.hf(**kwargs, logits_to_keep=1).logits[:, -1]
            finally:
                self._now = None
        return None

    @cached_property
    def _takes_positions(self) -> bool:
        import inspect

        return "position_ids" in inspect.signature(self.engine.arch.trunk.forward).parameters


def load(name: str, *, dtype: str = "auto", device: str = "auto", revision: str | None = None) -> Model:
    return Model.load(name, dtype=dtype, device=device, revision=revision)
