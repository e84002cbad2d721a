"""Checkpoints of training: one file, or where processes share latents a file for each slice and an index.

1. Each slice is written to a file of its own, named by the step (`checkpoints/00000500.0of4.safetensors`).
2. When all are there, the first process names the step in `checkpoints.json`, which replaces what it said.
3. Then what came before is deleted. Whenever a process is killed, the index names a step of which all files
   are whole.

A checkpoint does not know how many processes go on from it: each reads its rows out of whichever files have
them.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mindscope.dictionaries.training.processes import TrainingMesh, TrainingWorld
from mindscope.errors import StoreError
from mindscope.store import Run, opened_tensors, read_json, write_json, write_tensors

CHECKPOINT = "checkpoint.safetensors"
SLICES, SLICES_INDEX = "checkpoints", "checkpoints.json"
SLICED = ("W_enc", "b_enc", "W_dec", "log_threshold")
"""Parameters with a row for each latent, of which a process holds its slice; Adam's moments are alike."""


def is_sliced(name: str) -> bool:
    """Whether a tensor of a trainer, as `DictionaryTrainer.tensors` names it, has a row for each latent."""
    kind = name.rpartition("/")[2]
    return kind.startswith("silent.") or (kind.endswith(SLICED) and not kind.startswith("adam.step."))


def write_checkpoint(
    folder: Path, run: Run | None, step: int, tensors: Mapping[str, Tensor], mesh: TrainingMesh
) -> None:
    """Keep all that the rest of the training depends on; every process calls it.

    Args:
        folder: of the run.
        run: the run, which the first process holds; None in the others.
        step: how many steps are done.
        tensors: of this process: see `is_sliced`.
        mesh: who trains.
    """
    latents = mesh.latents
    if latents.count == 1:
        if run is not None:
            run.save_tensors(CHECKPOINT, tensors)
            _delete_slices(folder, keep=None)
        return
    if mesh.data.first:
        write_tensors(folder / SLICES / _slice_name(step, latents.rank, latents.count), tensors, {})
    mesh.everyone.wait()
    if run is not None:
        write_json(folder / SLICES_INDEX, {"step": step, "latent_shards": latents.count})
        (folder / CHECKPOINT).unlink(missing_ok=True)
        _delete_slices(folder, keep=step)


def read_checkpoint(folder: Path, latents: TrainingWorld) -> dict[str, Tensor] | None:
    """What this process goes on with, onto the CPU; None where nothing was kept.

    Raises:
        StoreError: a file is absent or damaged.
    """
    files = _newest(folder)
    if not files:
        return None
    opened = [opened_tensors(path)[0] for path in files]
    return {
        name: _read_rows([file.get_slice(name) for file in opened], latents)
        if is_sliced(name)
        else opened[0].get_tensor(name)
        for name in opened[0].keys()  # noqa: SIM118 - a handle is no mapping
    }


def delete_checkpoint(folder: Path) -> None:
    """Delete what was kept."""
    (folder / CHECKPOINT).unlink(missing_ok=True)
    _delete_slices(folder, keep=None)


def _newest(folder: Path) -> list[Path]:
    """The files that hold the last checkpoint. Where a run has gone on in another way, both may be there."""
    single, index = folder / CHECKPOINT, folder / SLICES_INDEX
    if not index.exists():
        return [single] if single.exists() else []
    content = read_json(index)
    try:
        step, count = int(content["step"]), int(content["latent_shards"])
    except (KeyError, TypeError, ValueError):
        raise StoreError(
            f"{index} does not name a checkpoint: delete it, and the training begins anew"
        ) from None
    if single.exists() and int(opened_tensors(single)[0].get_tensor("step")) > step:
        return [single]
    return [folder / SLICES / _slice_name(step, rank, count) for rank in range(count)]


def _read_rows(parts: Sequence[Any], latents: TrainingWorld) -> Tensor:
    """The rows that a process holds, out of the slices of several files in a row."""
    sizes = [part.get_shape()[0] for part in parts]
    wanted, start, rows = latents.share(sum(sizes)), 0, []
    for part, size in zip(parts, sizes, strict=True):
        first, last = max(wanted.start, start), min(wanted.stop, start + size)
        if first < last:
            rows.append(part[first - start : last - start])
        start += size
    return torch.cat(rows)


def _slice_name(step: int, rank: int, count: int) -> str:
    return f"{step:08}.{rank}of{count}.safetensors"


def _delete_slices(folder: Path, keep: int | None) -> None:
    """Delete the files of all steps but one, and of none but that the index is left."""
    if keep is None:
        (folder / SLICES_INDEX).unlink(missing_ok=True)
    for path in (folder / SLICES).glob("*.safetensors"):
        if keep is None or not path.name.startswith(f"{keep:08}."):
            path.unlink(missing_ok=True)
    if keep is None:
        with suppress(OSError):  # there is none, or it holds what a killed process left
            (folder / SLICES).rmdir()
