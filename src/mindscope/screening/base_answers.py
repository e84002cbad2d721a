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

from mindscope.core import Progress, with_label
from mindscope.engines import AnswerPlan, Engine, generate_pieces
from mindscope.errors import ModelError
from mindscope.models import Row
from mindscope.personas import require_final_answers
from mindscope.screening.config import ScreenConfig
from mindscope.screening.traits import ScreenedTraits
from mindscope.store import Run, digest

NOT_FINITE = "the model's activations hold NaN or infinity: load it in float32 (dtype='float32')"

_IDS = "ids.safetensors"

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

    def __init__(self, model: Engine, traits: ScreenedTraits, run: Run, config: ScreenConfig) -> None:
        self.model, self.traits, self.run, self.config = model, traits, run, config

    def own(
        self,
        prompts: Sequence[Row],
        seeds: Sequence[int],
        progress: Progress | None = None,
        label: str = "own answers",
    ) -> BaselineAnswers:
        """An answer per prompt and seed, longest prompts first; each slice of them is a piece."""
        order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
        plan = AnswerPlan(
            rows=[prompts[i] for i in order],
            sampling=self.config.sampling(),
            seeds=[seeds[i] for i in order],
            piece_rows=self.config.shard_rows,
            batch_rows=self.config.batch_rows,
            reads=self.traits.build_reads("final"),
        )
        names = [self._name(plan, rows) for rows in plan.pieces]
        for number, generations in generate_pieces(
            self.model,
            plan,
            kept=lambda number: self.run.has(f"{names[number]}/{_IDS}"),
            progress=with_label(progress, label),
        ):
            read = [self.traits.features.assemble(item.reads) for item in generations]
            # The projections first: ids without them would be read again, and differ in the last bit.
            self._save_means(names[number], read)
            self.run.save_tensors(f"{names[number]}/{_IDS}", _flat([item.row for item in generations]))
        means = torch.empty(len(prompts), len(self.traits.names))
        origins: list[Origin] = [("", 0)] * len(prompts)
        n_cut = 0
        for name, rows in zip(names, plan.pieces, strict=True):
            means[[order[row] for row in rows]] = self._means(name, [plan.rows[row] for row in rows])
            stored = _split(self.run.load_tensors(f"{name}/{_IDS}"))
            n_cut += sum(0 < n_reasoning == len(ids) for ids, n_reasoning in stored)
            for place, row in enumerate(rows):
                origins[order[row]] = (name, place)
        require_final_answers(n_cut, len(prompts))
        return BaselineAnswers(means, origins)

    def text(self, origin: Origin) -> str:
        """An answer as text, without its reasoning."""
        name, slot = origin
        ids, n_reasoning = _split(self.run.load_tensors(f"{name}/{_IDS}"))[slot]
        return self.model.decode(ids[n_reasoning:])

    def _name(self, plan: AnswerPlan, rows: range) -> str:
        """The folder of a piece, named by all that decides its answers."""
        sampling = plan.sampling
        setup = {
            "model": self.model.fingerprint,
            "dtype": str(self.model.dtype),
            "sampling": [sampling.temperature, sampling.top_p, sampling.max_new_tokens],
            "prompts": [plan.rows[row].ids for row in rows],
            "seeds": [plan.seeds[row] for row in rows],
        }
        return f"base/{digest(setup)}"

    def _means(self, name: str, prompts: Sequence[Row]) -> Float[Tensor, "prompts traits"]:
        """The projections of a piece's answers; answers that were drawn for other vectors are read again."""
        projected = f"{name}/{self._projected}"
        if not self.run.has(projected):
            answers = _split(self.run.load_tensors(f"{name}/{_IDS}"))
            rows = [prompt.answered(*answer) for prompt, answer in zip(prompts, answers, strict=True)]
            self._save_means(name, self.traits.features.read(self.model, rows, where="final"))
        return self.run.load_tensors(projected)["means"]

    def _save_means(self, name: str, tokens: Sequence[Float[Tensor, "_ traits"]]) -> None:
        means = torch.stack([self._mean(values) for values in tokens])
        self.run.save_tensors(f"{name}/{self._projected}", {"means": means})

    @property
    def _projected(self) -> str:
        """The file of a piece's projections on these vectors."""
        return f"{self.traits.features.digest()}.safetensors"

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
