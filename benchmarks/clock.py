"""What the benchmarks and their peers share: this file needs torch alone."""

import ctypes
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Cost(NamedTuple):
    """What some work took: CPU seconds of this process, and by how much it grew at most."""

    seconds: float
    megabytes: float


def measure(work: Callable[[], object]) -> Cost:
    """The cost of some work.

    Memory that was freed before is handed back first, so that it does not hide what the work uses, and the
    kernel is told to begin anew with the largest size of this process.
    """
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before, start = _largest_size(), time.process_time()
    work()
    seconds = time.process_time() - start
    return Cost(seconds, (_largest_size() - before) / 1e3)


def measure_memory(work: Callable[[], object]) -> dict[str, float]:
    """The most resident memory while some work is done, in megabytes: `whole`, and `above` what there was."""
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = _largest_size()
    work()
    return {"whole": _largest_size() / 1e3, "above": (_largest_size() - before) / 1e3}


def _largest_size() -> int:
    """The largest resident size of this process, in kilobytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def interleaved(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each way in each round, after two rounds to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 2):
        for name, way in ways.items():
            start = time.process_time()
            way()
            if number > 1:
                seconds[name].append(time.process_time() - start)
    return seconds


def ratio(seconds: Mapping[str, Sequence[float]], name: str, base: str) -> float:
    return statistics.median(one / other for one, other in zip(seconds[name], seconds[base], strict=True))


def step_data(size: tuple[int, int, int, int]) -> tuple[Iterator[Tensor], Callable[[], object]]:
    """Batches for training steps, over and over, and the encoder's product alone."""
    d, latents, _, batch = size
    draw = torch.Generator().manual_seed(0)
    batches = [torch.randn(batch, d, generator=draw) for _ in range(4)]
    weight, bias, out = torch.randn(latents, d), torch.zeros(latents), torch.empty(batch, latents)
    return cycle(batches), lambda: torch.addmm(bias, batches[0], weight.T, out=out)


def bare_forward(hf: nn.Module, layer: int, ids: Tensor, rows: int) -> Tensor:
    """The residual stream after a layer, `[tokens, width]`, by a hook that ends the pass there."""

    class Enough(Exception):  # noqa: N818
        pass

    def stop(_module: object, _inputs: object, output: Tensor | tuple) -> None:
        kept.append(output if isinstance(output, Tensor) else output[0])
        raise Enough

    kept: list[Tensor] = []
    for part in ids.split(rows):
        handle = hf.model.layers[layer].register_forward_hook(stop)
        try:
            with torch.inference_mode():
                hf.model(input_ids=part, use_cache=False)
        except Enough:
            handle.remove()
    return torch.cat(kept).flatten(0, 1)
