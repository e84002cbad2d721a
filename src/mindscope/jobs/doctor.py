"""The doctor: what this machine has, and what it can run."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from mindscope.jobs.job import JobSpec, Reporter
from mindscope.store import Document

EXTRAS = {
    "train": ("peft", "trl", "accelerate"),
    "judge": ("openai",),
    "server": (
        "fastapi",
        "uvicorn",
        "sqlalchemy",
        "psycopg",
        "llguidance",
        "httpx2",
        "prometheus_client",
        "opentelemetry",
    ),
    "map": ("umap",),
    "scale": ("ray",),
    "inspect": ("inspect_ai",),
    "lexicon": ("vaderSentiment",),
    "track": ("tensorboard", "trackio", "wandb"),
}
"""The modules that each extra of the package brings."""
USES = {
    "train": "what trains: `persona finetune`, `demo`, `gate --remedy`; and for models that are adapters",
    "judge": "judges and writers behind an endpoint, --judge endpoint:NAME",
    "server": "`serve`, `log` and `conform`",
    "map": "`feature map` by umap; tsne and pca need nothing",
    "scale": "--engine ray, copies of a model on a cluster",
    "inspect": "auditors of Inspect AI, `inspect eval mindscope/audit`",
    "lexicon": "checking the demo's judge by a lexicon of sentiment",
    "track": "--track, metrics in tensorboard, trackio or wandb",
}
"""What each extra is needed for, as the doctor says it."""
LIBRARIES = ("mindscope", "torch", "transformers", "interp-engine", "safetensors", "numpy")
BF16_FLAGS = ("avx512_bf16", "amx_bf16", "bf16")
"""What processors call fast bfloat16 products: x86 with AVX-512 or AMX, and Arm."""

GIB = 2**30
ROOM = 0.7
"""The share of the free memory that weights may take; the rest is for activations and the cache."""


class DoctorSpec(JobSpec):
    """What `doctor` is to do: there is nothing to choose."""


class ProcessorReport(Document):
    """The processors, and how well they compute in bfloat16."""

    model: str
    cores: int | None
    threads: int
    """How many torch uses."""
    bf16_flags: tuple[str, ...]
    bf16_speedup: float
    """How many times faster a matrix product is than in float32."""


class MemoryReport(Document):
    """Main memory in GiB."""

    total_gib: float
    available_gib: float


class GpuReport(Document):
    """A GPU that torch can use."""

    name: str
    memory_gib: float


class OrganismFiles(Document):
    """Whether the bundled model has its weights."""

    present: bool
    bytes: int


class ModelsThatFit(Document):
    """Billions of parameters that fit into the memory of the largest GPU, or into main memory."""

    bfloat16_billions: float
    float32_billions: float


class DoctorReport(Document):
    """What this machine has, what it can run, and what would help."""

    python: str
    platform: str
    libraries: dict[str, str | None]
    """Versions; None for a library that is not installed."""
    cpu: ProcessorReport
    memory: MemoryReport
    gpus: tuple[GpuReport, ...]
    extras: dict[str, bool]
    """Which optional parts of mindscope are installed."""
    organism: OrganismFiles
    fits: ModelsThatFit
    advice: tuple[str, ...]


def examine(spec: DoctorSpec, *, reporter: Reporter) -> DoctorReport:
    """Say what this machine has and what it can run."""
    import psutil
    import torch

    del spec, reporter  # there is nothing to choose, and nothing to wait for
    memory = psutil.virtual_memory()
    gpus, flags, organism = _gpus(), _cpu_flags(), _find_organism()
    room = max((gpu.memory_gib * GIB for gpu in gpus), default=memory.available) * ROOM
    extras = {name: all(find_spec(module) for module in modules) for name, modules in EXTRAS.items()}
    advice = [
        f"pip install 'mindscope[{name}]' is for {USES[name]}"
        for name, installed in extras.items()
        if not installed
    ]
    advice.append("`mindscope quickstart MODEL` says what of a model runs here, and how long it takes")
    if not organism.present:
        advice.append("the organism has no weights here: train them with `mindscope organism train`")
    return DoctorReport(
        python=platform.python_version(),
        platform=platform.platform(terse=True),
        libraries={name: _version(name) for name in LIBRARIES},
        cpu=ProcessorReport(
            model=_cpu_name(),
            cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            threads=torch.get_num_threads(),
            bf16_flags=tuple(flag for flag in BF16_FLAGS if flag in flags),
            bf16_speedup=round(_bf16_speedup(), 2),
        ),
        memory=MemoryReport(
            total_gib=round(memory.total / GIB, 2), available_gib=round(memory.available / GIB, 2)
        ),
        gpus=gpus,
        extras=extras,
        organism=organism,
        fits=ModelsThatFit(
            bfloat16_billions=round(room / 2 / 1e9, 2), float32_billions=round(room / 4 / 1e9, 2)
        ),
        advice=tuple(advice),
    )


def _gpus() -> tuple[GpuReport, ...]:
    import torch

    gpus = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    return tuple(GpuReport(name=gpu.name, memory_gib=round(gpu.total_memory / GIB, 1)) for gpu in gpus)


def _find_organism() -> OrganismFiles:
    weights = Path(str(files("mindscope"))) / "organism" / "weights" / "model.safetensors"
    present = weights.is_file()
    return OrganismFiles(present=present, bytes=weights.stat().st_size if present else 0)


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
    """The lines that Linux has about the processors; none elsewhere."""
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
