"""The base model's own answers to the data's prompts: drawn once, read while they are drawn, kept.

An answer is kept as token ids under a name made of the model, the sampling, the prompts and the seeds. Other
vectors, another data set with the same prompts, or a resumed run find it there and generate nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.core import Progress
from mindscope.errors import ModelError
from mindscope.models import Model, Row
from mindscope.screening.config import ScreenConfig
from mindscope.screening.traits import ScreenedTraits
from mindscope.store import Run, digest

NOT_FINITE = "the model's activations hold NaN or infinity: load it in float32 (dtype='float32')"

Origin = tuple[str, int]
"""The piece that holds an answer, and its place there."""


@dataclass(frozen=True)
class BaselineAnswers:
    """The model's own answers to prompts, in the caller's order."""

    means: Float[Tensor, "prompts traits"]
    """Answer-token means of the projections; NaN where the model said nothing."""
    origins: list[Origin]


class BaselineSampler:
    """The base model's answers in one run, projected on the vectors of all traits."""

    def __init__(self, model: Model, traits: ScreenedTraits, run: Run, config: ScreenConfig) -> None:
        self.model, self.traits, self.run, self.config = model, traits, run, config

    def own(
        self,
        prompts: Sequence[Row],
        seeds: Sequence[int],
        progress: Progress | None = None,
        label: str = "own answers",
    ) -> BaselineAnswers:
        """An answer per prompt and seed, longest prompts first; each slice is a batch and a piece."""
        order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
        means = torch.empty(len(prompts), len(self.traits.names))
        origins: list[Origin] = [("", 0)] * len(prompts)
        for start in range(0, len(order), self.config.shard_rows):
            batch = order[start : start + self.config.shard_rows]
            name, projected = self._batch([prompts[i] for i in batch], [seeds[i] for i in batch])
            means[batch] = projected
            for slot, i in enumerate(batch):
                origins[i] = (name, slot)
            if progress is not None:
                progress(start + len(batch), len(order), label)
        return BaselineAnswers(means, origins)

    def text(self, origin: Origin) -> str:
        """An answer as text, without its reasoning."""
        name, slot = origin
        ids, n_reasoning = _split(self.run.load_tensors(f"{name}/ids.safetensors"))[slot]
        return self.model.decode(ids[n_reasoning:])

    def _batch(
        self, prompts: Sequence[Row], seeds: Sequence[int]
    ) -> tuple[str, Float[Tensor, "prompts traits"]]:
        sampling = self.config.sampling()
        setup = {
            "model": self.model.fingerprint,
            "dtype": str(self.model.dtype),
            "sampling": [sampling.temperature, sampling.top_p, sampling.max_new_tokens],
            "prompts": [prompt.ids for prompt in prompts],
            "seeds": seeds,
        }
        name = f"base/{digest(setup)}"
        ids, projected = f"{name}/ids.safetensors", f"{name}/{self.traits.features.digest()}.safetensors"
        if not self.run.has(ids):
            generations = self.model.generate(
                prompts,
                sampling,
                reads=self.traits.build_reads("final"),
                seeds=seeds,
                batch_rows=len(prompts),
            )
            means = torch.stack(
                [self._mean(self.traits.features.assemble(item.reads)) for item in generations]
            )
            # The projections first: ids without them would be read again, and differ in the last bit.
            self.run.save_tensors(projected, {"means": means})
            self.run.save_tensors(ids, _flat([item.row for item in generations]))
        elif not self.run.has(projected):
            answers = _split(self.run.load_tensors(ids))
            rows = [prompt.answered(*answer) for prompt, answer in zip(prompts, answers, strict=True)]
            tokens = self.traits.features.read(self.model, rows, where="final")
            means = torch.stack([self._mean(values) for values in tokens])
            self.run.save_tensors(projected, {"means": means})
        return name, self.run.load_tensors(projected)["means"]

    @staticmethod
    def _mean(tokens: Float[Tensor, "tokens traits"]) -> Float[Tensor, "traits"]:
        if not tokens.isfinite().all():
            raise ModelError(NOT_FINITE)
        return tokens.double().mean(0).float()


def _flat(rows: Sequence[Row]) -> dict[str, Tensor]:
    lengths = torch.tensor([len(row.answer) for row in rows], dtype=torch.int32)
    ids = torch.tensor(list(chain.from_iterable(row.answer for row in rows)), dtype=torch.int32)
    n_reasoning = torch.tensor([row.final_start - row.prompt_length for row in rows], dtype=torch.int32)
    return {"ids": ids, "lengths": lengths, "n_reasoning": n_reasoning}


def _split(stored: dict[str, Tensor]) -> list[tuple[list[int], int]]:
    """The ids of every answer, and how many of them are reasoning."""
    answers = [part.tolist() for part in stored["ids"].split(stored["lengths"].tolist())]
    return list(zip(answers, stored["n_reasoning"].tolist(), strict=True))
