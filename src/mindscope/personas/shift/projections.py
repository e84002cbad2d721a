"""Where one model stands along persona vectors: projections of its activations, prompt by prompt."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mindscope.core import Progress, with_label
from mindscope.engines import AnswerPlan, generate_pieces
from mindscope.models import Last, Mean, Model, Read, Row
from mindscope.personas.answers import require_final_answers
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
    """All traits of the first place, then of the next; NaN for a prompt without an answer."""
    mean: Float[Tensor, "places d_model"]
    """The mean activation over the prompts that have one."""

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
    """Reads a model's activations shard by shard, or takes what the run has of these very weights.

    Only projections and a sum per place are kept, so memory does not grow with the width.
    """
    folder, label = f"{part}/{model.fingerprint[:16]}", f"reading {model.name}"
    pieces: dict[int, dict[str, Tensor]] = {}

    def kept(index: int) -> bool:
        piece = f"{folder}/{index:04d}.safetensors"
        if run is not None and run.has(piece):
            pieces[index] = run.load_tensors(piece)
        return index in pieces

    read_shards = _read_answered if config.answers else _read_prompts
    for index, read in read_shards(model, rows, places, config, kept, with_label(progress, label)):
        pieces[index] = _project(read, places, config)
        if run is not None:
            run.save_tensors(f"{folder}/{index:04d}.safetensors", pieces[index])
    return {
        position: _joined(position, [pieces[index] for index in sorted(pieces)])
        for position in config.positions
    }


def _project(
    read: Mapping[str, Tensor], places: Sequence[LayerUnits], config: ShiftConfig
) -> dict[str, Tensor]:
    """Projections of each row, and the sum of the activations with how many it is of."""
    sums: dict[str, Tensor] = {}
    for position in config.positions:
        layers = [read[f"{position}/{p.layer}"] for p in places]
        valid = layers[0].isfinite().all(1)
        sums[position] = torch.cat([hidden @ p.units.T for hidden, p in zip(layers, places, strict=True)], 1)
        sums[f"{position}/sum"] = torch.stack([hidden[valid].sum(0) for hidden in layers])
        sums[f"{position}/count"] = valid.sum().double()
    return sums


def _read_prompts(
    model: Model,
    rows: Sequence[Row],
    places: Sequence[LayerUnits],
    config: ShiftConfig,
    kept: Callable[[int], bool],
    progress: Callable[[int, int], None] | None,
) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """The number of each shard that is not kept, and what was read of its prompts."""
    reads = {f"last_prompt/{p.layer}": Read(f"resid_post.{p.layer}", Last("prompt")) for p in places}
    for index, start in enumerate(range(0, len(rows), config.shard_rows)):
        shard = rows[start : start + config.shard_rows]
        if not kept(index):
            values = {name: reading.values for name, reading in model.read(shard, reads).items()}
            yield index, {name: value.double() for name, value in values.items() if isinstance(value, Tensor)}
        if progress is not None:
            progress(start + len(shard), len(rows))


def _read_answered(
    model: Model,
    rows: Sequence[Row],
    places: Sequence[LayerUnits],
    config: ShiftConfig,
    kept: Callable[[int], bool],
    progress: Callable[[int, int], None] | None,
) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """The same while the model answers: of a row, the mean over its answers that hold a token."""
    reads = {f"last_prompt/{p.layer}": Read(f"resid_post.{p.layer}", Last("prompt")) for p in places}
    reads |= {f"answer/{p.layer}": Read(f"resid_post.{p.layer}", Mean("final")) for p in places}
    draws = [(row, sample) for row in range(len(rows)) for sample in range(config.samples)]
    plan = AnswerPlan(
        rows=[rows[row] for row, _ in draws],
        sampling=config.sampling(),
        seeds=[derived_seed(config.seed, "shift", *draw) for draw in draws],
        piece_rows=config.shard_rows * config.samples,
        batch_rows=config.batch_rows,
        reads=reads,
    )
    for index, generations in generate_pieces(model, plan, kept=kept, progress=progress):
        require_final_answers(sum(item.unfinished_reasoning for item in generations), len(generations))
        yield (
            index,
            {
                # The answers of a row stand side by side.
                name: torch.stack([item.reads[name].double() for item in generations])
                .unflatten(0, (-1, config.samples))
                .nanmean(1)
                for name in reads
            },
        )


def _joined(position: ShiftPosition, shards: Sequence[Mapping[str, Tensor]]) -> ModelProjections:
    total = torch.stack([shard[f"{position}/sum"] for shard in shards]).sum(0)
    count = torch.stack([shard[f"{position}/count"] for shard in shards]).sum()
    return ModelProjections(torch.cat([shard[position] for shard in shards]), total / count)
