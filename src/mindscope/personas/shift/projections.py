"""Where one model stands along persona vectors: projections of its activations, prompt by prompt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mindscope.core import Progress
from mindscope.models import Last, Mean, Model, Read, Row
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
    shards = [rows[start : start + config.shard_rows] for start in range(0, len(rows), config.shard_rows)]
    pieces: list[dict[str, Tensor]] = []
    for index, shard in enumerate(shards):
        piece = f"{part}/{model.fingerprint[:16]}/{index:04d}.safetensors"
        if run is not None and run.has(piece):
            pieces.append(run.load_tensors(piece))
        else:
            pieces.append(_shard(model, shard, places, config, index * config.shard_rows))
            if run is not None:
                run.save_tensors(piece, pieces[-1])
        if progress is not None:
            progress(min((index + 1) * config.shard_rows, len(rows)), len(rows), f"reading {model.name}")
    return {position: _joined(position, pieces) for position in config.positions}


def _shard(
    model: Model, rows: Sequence[Row], places: Sequence[LayerUnits], config: ShiftConfig, first: int
) -> dict[str, Tensor]:
    """Projections of each row, and the sum of the activations with how many it is of."""
    reads = {f"last_prompt/{p.layer}": Read(f"resid_post.{p.layer}", Last("prompt")) for p in places}
    if config.answers:
        reads |= {f"answer/{p.layer}": Read(f"resid_post.{p.layer}", Mean("final")) for p in places}
        read = _answered(model, rows, reads, config, first)
    else:
        values = {name: reading.values for name, reading in model.read(rows, reads).items()}
        read = {name: value.double() for name, value in values.items() if isinstance(value, Tensor)}
    sums: dict[str, Tensor] = {}
    for position in config.positions:
        layers = [read[f"{position}/{p.layer}"] for p in places]
        valid = layers[0].isfinite().all(1)
        sums[position] = torch.cat([hidden @ p.units.T for hidden, p in zip(layers, places, strict=True)], 1)
        sums[f"{position}/sum"] = torch.stack([hidden[valid].sum(0) for hidden in layers])
        sums[f"{position}/count"] = valid.sum().double()
    return sums


def _answered(
    model: Model, rows: Sequence[Row], reads: Mapping[str, Read], config: ShiftConfig, first: int
) -> dict[str, Tensor]:
    """The same reads while the model answers; each row's is the mean over its answers that hold a token."""
    places = [(first + index, sample) for index in range(len(rows)) for sample in range(config.samples)]
    generations = model.generate(
        [row for row in rows for _ in range(config.samples)],
        config.sampling(),
        reads=reads,
        seeds=[derived_seed(config.seed, "shift", *place) for place in places],
        batch_rows=config.shard_rows,
    )
    return {
        name: torch.stack([item.reads[name].double() for item in generations])
        .unflatten(0, (len(rows), config.samples))
        .nanmean(1)
        for name in reads
    }


def _joined(position: ShiftPosition, shards: Sequence[Mapping[str, Tensor]]) -> ModelProjections:
    total = torch.stack([shard[f"{position}/sum"] for shard in shards]).sum(0)
    count = torch.stack([shard[f"{position}/count"] for shard in shards]).sum()
    return ModelProjections(torch.cat([shard[position] for shard in shards]), total / count)
