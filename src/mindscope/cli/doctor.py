"""`mindscope doctor`: what this machine has, and what it can run."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mindscope.cli.output import Json, print_json, print_table, say

EXTRAS = {
    "train": ("peft", "trl", "accelerate"),
    "server": ("fastapi", "uvicorn", "sqlalchemy"),
    "judge": ("openai",),
    "inspect": ("inspect_ai",),
    "ray": ("ray",),
    "map": ("umap",),
    "track": ("wandb", "trackio"),
}
LIBRARIES = ("mindscope", "torch", "transformers", "interp-engine", "safetensors", "numpy")
BF16_FLAGS = ("avx512_bf16", "amx_bf16", "bf16")
"""What processors call fast bfloat16 products: x86 with AVX-512 or AMX, and Arm."""

GIB = 2**30
ROOM = 0.7
"""The share of the free memory that weights may take; the rest is for activations and the cache."""


def doctor(json: Json = False) -> None:
    """Say what this machine has and what it can run."""
    report = examine()
    if json:
        print_json(report)
        return
    memory, cpu, organism = report["memory"], report["cpu"], report["organism"]
    rows = [
        ["python", f"{report['python']} on {report['platform']}"],
        *([name, number or "missing"] for name, number in report["libraries"].items()),
        ["cpu", f"{cpu['model']}, {cpu['cores']} cores, torch uses {cpu['threads']} threads"],
        ["bfloat16", f"{cpu['bf16_speedup']:.1f} times the speed of float32 in matrix products"],
        ["memory", f"{memory['available_gib']:.1f} of {memory['total_gib']:.1f} GiB free"],
        *(["gpu", f"{gpu['name']}, {gpu['memory_gib']:.0f} GiB"] for gpu in report["gpus"]),
        ["extras", ", ".join(name for name, there in report["extras"].items() if there) or "none"],
        ["organism", f"{organism['bytes'] / 1e6:.1f} MB" if organism["present"] else "no weights"],
        ["fits", f"about {report['fits']['bfloat16_billions']:.1f} billion parameters in bfloat16"],
    ]
    if not report["gpus"]:
        rows.insert(-3, ["gpu", "none"])
    print_table(["", "this machine"], rows)
    for line in report["advice"]:
        say(line)


def examine() -> dict[str, Any]:
    """Everything that the doctor sees, as plain values."""
    import psutil
    import torch

    memory = psutil.virtual_memory()
    gpus = _gpus()
    flags = _cpu_flags()
    room = max((gpu["memory_gib"] * GIB for gpu in gpus), default=memory.available) * ROOM
    extras = {name: all(find_spec(module) for module in modules) for name, modules in EXTRAS.items()}
    organism = _organism()
    advice = [
        f"pip install 'mindscope[{name}]' adds the extra {name}"
        for name, there in extras.items()
        if not there
    ]
    if not organism["present"]:
        advice.append("the organism has no weights here: train them with `mindscope organism train`")
    return {
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "libraries": {name: _version(name) for name in LIBRARIES},
        "cpu": {
            "model": _cpu_name(),
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "threads": torch.get_num_threads(),
            "bf16_flags": [flag for flag in BF16_FLAGS if flag in flags],
            "bf16_speedup": round(_bf16_speedup(), 2),
        },
        "memory": {
            "total_gib": round(memory.total / GIB, 2),
            "available_gib": round(memory.available / GIB, 2),
        },
        "gpus": gpus,
        "extras": extras,
        "organism": organism,
        "fits": {
            "bfloat16_billions": round(room / 2 / 1e9, 2),
            "float32_billions": round(room / 4 / 1e9, 2),
        },
        "advice": advice,
    }


def _gpus() -> list[dict[str, Any]]:
    import torch

    gpus = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    return [{"name": gpu.name, "memory_gib": round(gpu.total_memory / GIB, 1)} for gpu in gpus]


def _organism() -> dict[str, Any]:
    weights = Path(str(files("mindscope"))) / "organism" / "weights" / "model.safetensors"
    present = weights.is_file()
    return {"present": present, "bytes": weights.stat().st_size if present else 0}


def _bf16_speedup() -> float:
    """How much faster a matrix product is in bfloat16 than in float32 on the CPU, measured (0.2 s)."""
    import torch

    def seconds(dtype: torch.dtype) -> float:
        matrix = torch.ones(512, 512, dtype=dtype)
        torch.mm(matrix, matrix)
        best = float("inf")
        for _ in range(5):
            start = time.perf_counter()
            torch.mm(matrix, matrix)
            best = min(best, time.perf_counter() - start)
        return best

    return seconds(torch.float32) / seconds(torch.bfloat16)


def _cpu_flags() -> set[str]:
    lines = _cpuinfo()
    return {flag for line in lines if line.startswith(("flags", "Features")) for flag in line.split()}


def _cpu_name() -> str:
    names = [line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _cpuinfo() -> list[str]:
    """What Linux says about the processors; nothing elsewhere."""
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
