"""Where one model stands along persona vectors: projections of its activations, prompt by prompt."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mindscope.core import Progress, with_label
from mindscope.engines import AnswerPlan, generate_pieces
from mindscope.models import Last, Mean, Model, Read, Row
from mindscope.personas.answers import kept_shard_rows, require_final_answers
from mindscope.personas.config import ShiftConfig, ShiftPosition
from mindscope.store import Run, derived_seed


@dataclass(frozen=True)
class LayerUnits:
    """The unit vectors of one layer, float64."""

    layer: int
    traits: tuple[str, ...]
    units: Float[Tensor, "traits d_model"]


@dataclass(frozen=True)
class ModelProjections:
    """What was read of a model at the last prompt token, or in its answers; float64."""

    projections: Float[Tensor, "prompts vectors"]
    """All traits of the first place, then of the next; NaN for a prompt without an answer. Of several answers
    to a prompt it is their mean."""
    mean: Float[Tensor, "places d_model"]
    """The mean activation over the prompts, or over the answers that hold a token."""

    @property
    def valid(self) -> Bool[Tensor, "prompts"]:
        return self.projections.isfinite().all(1)


def read_projections(
    model: Model,
    rows: Sequence[Row],
    places: Sequence[LayerUnits],
    config: ShiftConfig,
    run: Run | None,
    part: str,
    progress: Progress | None,
) -> dict[ShiftPosition, ModelProjections]:
    """Reads a model's activations piece by piece, or takes what the run has of these very weights.

    Only projections and a sum per place are kept, so memory does not grow with the width. Answers are drawn
    sample by sample, so that more samples are more pieces behind those that are there.
    """
    folder = f"{part}/{model.fingerprint[:16]}"
    shard_rows = config.shard_rows if run is None else kept_shard_rows(run, part, config.shard_rows)
    prompts = _PieceStore(run, f"{folder}/last_prompt", len(rows), shard_rows, places)
    _read_prompts(model, rows, places, prompts, with_label(progress, f"reading {model.name}"))
    read: dict[ShiftPosition, ModelProjections] = {"last_prompt": prompts.joined(1)}
    if config.answers:
        n_draws = len(rows) * config.samples
        answers = _PieceStore(run, f"{folder}/answer", n_draws, shard_rows, places)
        plan = plan_shift_answers(rows, [p.layer for p in places], config, shard_rows)
        _read_answers(model, plan, answers, with_label(progress, f"answers of {model.name}"))
        read["answer"] = answers.joined(config.samples)
    return read


def plan_shift_answers(
    rows: Sequence[Row], layers: Sequence[int], config: ShiftConfig, shard_rows: int
) -> AnswerPlan:
    """The answers that a shift reads, all prompts once, then all of them again."""
    draws = [(row, sample) for sample in range(config.samples) for row in range(len(rows))]
    return AnswerPlan(
        rows=[rows[row] for row, _ in draws],
        sampling=config.sampling(),
        seeds=[derived_seed(config.seed, "shift", *draw) for draw in draws],
        piece_rows=shard_rows,
        batch_rows=config.batch_rows,
        reads={str(layer): Read(f"resid_post.{layer}", Mean("final")) for layer in layers},
    )


def count_shift_answers(run: Run, fingerprint: str, part: str = "shift") -> int:
    """How many answers of a model a measurement holds by now."""
    pieces = (run.path / part / fingerprint[:16] / "answer").glob("*-*.safetensors")
    return sum(int(piece.stem.rpartition("-")[2]) for piece in pieces)


class _PieceStore:
    """What was read of some prompts or answers, piece by piece; in the run, if there is one."""

    def __init__(
        self, run: Run | None, folder: str, n_rows: int, shard_rows: int, places: Sequence[LayerUnits]
    ) -> None:
        self._run, self._places = run, places
        self.spans = [range(start, min(start + shard_rows, n_rows)) for start in range(0, n_rows, shard_rows)]
        # The last piece may be shorter than it is when more samples are asked for.
        self._names = [f"{folder}/{i:04d}-{len(span)}.safetensors" for i, span in enumerate(self.spans)]
        self._pieces: dict[int, dict[str, Tensor]] = {}

    def kept(self, index: int) -> bool:
        """Whether a piece is there; it is loaded then."""
        name = self._names[index]
        if index not in self._pieces and self._run is not None and self._run.has(name):
            self._pieces[index] = self._run.load_tensors(name)
        return index in self._pieces

    def take(self, index: int, layers: Sequence[Float[Tensor, "rows d_model"]]) -> None:
        """Projections of each row, and the sum of the activations with how many it is of."""
        valid = layers[0].isfinite().all(1)
        self._pieces[index] = {
            "projections": torch.cat([h @ p.units.T for h, p in zip(layers, self._places, strict=True)], 1),
            "sum": torch.stack([hidden[valid].sum(0) for hidden in layers]),
            "count": valid.sum().double(),
        }
        if self._run is not None:
            self._run.save_tensors(self._names[index], self._pieces[index])

    def joined(self, samples: int) -> ModelProjections:
        """All pieces together; the rows are the prompts, once for each sample."""
        pieces = [self._pieces[index] for index in range(len(self.spans))]
        drawn = torch.cat([piece["projections"] for piece in pieces]).unflatten(0, (samples, -1))
        total = torch.stack([piece["sum"] for piece in pieces]).sum(0)
        return ModelProjections(drawn.nanmean(0), total / torch.stack([p["count"] for p in pieces]).sum())


def _read_prompts(
    model: Model,
    rows: Sequence[Row],
    places: Sequence[LayerUnits],
    store: _PieceStore,
    progress: Callable[[int, int], None] | None,
) -> None:
    """The last token of every prompt that is not kept."""
    reads = {str(p.layer): Read(f"resid_post.{p.layer}", Last("prompt")) for p in places}
    for index, span in enumerate(store.spans):
        if not store.kept(index):
            values = model.read([rows[row] for row in span], reads)
            store.take(index, [torch.as_tensor(values[str(p.layer)].values).double() for p in places])
        if progress is not None:
            progress(span.stop, len(rows))


def _read_answers(
    model: Model, plan: AnswerPlan, store: _PieceStore, progress: Callable[[int, int], None] | None
) -> None:
    """The mean over the final tokens of every answer that is not kept."""
    for index, generations in generate_pieces(model, plan, kept=store.kept, progress=progress):
        require_final_answers(sum(item.unfinished_reasoning for item in generations), len(generations))
        store.take(index, [torch.stack([g.reads[name].double() for g in generations]) for name in plan.reads])
