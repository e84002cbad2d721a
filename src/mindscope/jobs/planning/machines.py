"""What machines can do: this one as it was measured, and named cards as their makers say."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import time
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from mindscope.core import cache_folder
from mindscope.errors import DataError, StoreError
from mindscope.store import Document, read_json, write_json

GIB = 2**30
COMPUTE_SHARE, BANDWIDTH_SHARE = 0.4, 0.5
"""What of a card's largest matrix rate and of its memory's rate eager passes reach: assumed, because no card
was at hand to measure on (`benchmarks/gpu.py` measures it). Published trainings report 0.3 to 0.5."""
HOST_SECONDS_PER_LAYER = 0.75e-3
"""What the host takes to launch one layer of a step: measured on a CPU as (17.4 + 6.6) ms for 32 layers."""
RESERVED = 1.5 * GIB
"""Bytes of a card's memory that the driver, the libraries and broken-up free memory take: assumed."""


class MachineRates(Document):
    """One device, or several of a kind."""

    name: str
    count: int = 1
    memory_bytes: int
    """Of one device."""
    float32_rate: float
    """Operations a second of large float32 matrix products, on one device."""
    bfloat16_rate: float
    """The same in bfloat16."""
    memory_rate: float
    """Bytes a second between the device's memory and its cores."""
    disk_rate: float
    """Bytes a second to disk, and back."""
    source: str
    """Where the numbers are from."""
    is_measured: bool

    def rate(self, dtype: str) -> float:
        """Operations a second that are reached in a precision."""
        rate = self.bfloat16_rate if dtype in ("bfloat16", "float16") else self.float32_rate
        return rate if self.is_measured else rate * COMPUTE_SHARE


_SHEET = "the maker's data sheet, dense rates"
# memory in GB (10^9 bytes), bfloat16 and float32 in 10^12 operations a second, memory's rate in 10^9 bytes
_CARDS: Mapping[str, tuple[float, float, float, float]] = {
    "B200": (180, 2250, 75, 7700),
    "H200": (141, 989, 67, 4800),
    "H100": (80, 989, 67, 3350),
    "A100": (80, 312, 19.5, 2039),
    "A100-40GB": (40, 312, 19.5, 1555),
    "L40S": (48, 362, 91.6, 864),
    "L4": (24, 121, 30.3, 300),
    "A10": (24, 125, 31.2, 600),
    "RTX4090": (24, 165, 82.6, 1008),
    "RTX3090": (24, 71, 35.6, 936),
}
"""Of H100, H200, B200 and A100 the SXM form; of the consumer cards products that are summed in float32."""
NETWORK_DISK = 1e9
"""Bytes a second to the disk of a machine with cards: assumed, a common NVMe."""


def parse_cards(text: str) -> MachineRates:
    """Cards such as `H100` or `8xA100`.

    Raises:
        DataError: a card that is not known here.
    """
    parts = re.fullmatch(r"(?:(?P<count>\d+)\s*[x*]\s*)?(?P<name>[\w-]+)", text.strip())
    names = {name.lower(): name for name in _CARDS}
    name = parts and names.get(parts["name"].lower().replace("_", "-"))
    count = int(parts["count"] or 1) if parts else 0
    if parts is None or not name or count < 1:
        raise DataError(f"--gpus {text}: write 8xH100, with one of {', '.join(_CARDS)}")
    gigabytes, half, full, bandwidth = _CARDS[name]
    return MachineRates(
        name=name,
        count=count,
        memory_bytes=round(gigabytes * 1e9),
        float32_rate=full * 1e12,
        bfloat16_rate=half * 1e12,
        memory_rate=bandwidth * 1e9,
        disk_rate=NETWORK_DISK,
        source=f"{_SHEET}; {COMPUTE_SHARE:.0%} of the products and {BANDWIDTH_SHARE:.0%} of the bandwidth "
        "assumed",
        is_measured=False,
    )


def measure_machine(*, again: bool = False) -> MachineRates:
    """This machine, with the threads that torch uses here: measured once in about two seconds, and kept."""
    kept = recall_measure("machine", again)
    if kept is not None:
        return MachineRates(**kept)
    import psutil
    import torch

    def best(work, times: int = 4) -> float:
        work()
        seconds = []
        for _ in range(times):
            began = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - began)
        return min(seconds)

    rates = {}
    for dtype in (torch.float32, torch.bfloat16):
        matrix = torch.ones(768, 768, dtype=dtype)
        rates[dtype] = 2 * 768**3 / best(lambda matrix=matrix: torch.mm(matrix, matrix))
    large = torch.ones(2**26)  # 256 MB, more than a cache holds
    memory_rate = large.nbytes / best(lambda: large.sum(), 3)
    measured = MachineRates(
        name=f"this machine, {torch.get_num_threads()} threads",
        memory_bytes=psutil.virtual_memory().available,
        float32_rate=rates[torch.float32],
        bfloat16_rate=rates[torch.bfloat16],
        memory_rate=memory_rate,
        disk_rate=_measure_disk(),
        source="measured on this machine",
        is_measured=True,
    )
    keep_measure("machine", measured.model_dump(mode="json"))
    return measured


def _measure_disk() -> float:
    """Bytes a second of writing and syncing 32 MB where caches are kept."""
    import torch

    from mindscope.store import write_tensors

    path = cache_folder() / "plan" / f"disk-{os.getpid()}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = torch.ones(2**23)
    began = time.perf_counter()
    try:
        write_tensors(path, {"part": part}, {})
        return part.nbytes / (time.perf_counter() - began)
    finally:
        path.unlink(missing_ok=True)


def _key(name: str) -> str:
    """Which machine, libraries and threads a measurement is of."""
    import torch

    of = [name, platform.machine(), platform.node(), os.cpu_count(), torch.get_num_threads()]
    of += [version(library) for library in ("mindscope", "torch", "transformers")]
    return hashlib.blake2b(json.dumps(of).encode(), digest_size=12).hexdigest()


def recall_measure(name: str, again: bool) -> Any:
    """What was measured here before; None where nothing was, or it is to be measured anew."""
    path = cache_folder() / "plan" / f"{_key(name)}.json"
    try:
        return None if again or not path.is_file() else read_json(path)
    except StoreError:  # cut short or of a time before: measured once more
        return None


def keep_measure(name: str, value: Any) -> None:
    """Keep what was measured here, with these libraries and threads."""
    write_json(cache_folder() / "plan" / f"{_key(name)}.json", value)
