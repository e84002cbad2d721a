"""What `mindscope doctor` prints: this machine, and what would help."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mindscope.cli.terminal.output import print_table, say

if TYPE_CHECKING:
    from mindscope.jobs.doctor import DoctorReport


def print_doctor(report: DoctorReport) -> None:
    """A row per part of the machine; advice on stderr."""
    memory, cpu, organism = report.memory, report.cpu, report.organism
    rows = [
        ["python", f"{report.python} on {report.platform}"],
        *([name, number or "missing"] for name, number in report.libraries.items()),
        ["cpu", f"{cpu.model}, {cpu.cores} cores, torch uses {cpu.threads} threads"],
        ["bfloat16", f"{cpu.bf16_speedup:.1f} times the speed of float32 in matrix products"],
        ["memory", f"{memory.available_gib:.1f} of {memory.total_gib:.1f} GiB free"],
        *(["gpu", f"{gpu.name}, {gpu.memory_gib:.0f} GiB"] for gpu in report.gpus),
        *([] if report.gpus else [["gpu", "none"]]),
        ["extras", ", ".join(name for name, installed in report.extras.items() if installed) or "none"],
        ["organism", f"{organism.bytes / 1e6:.1f} MB" if organism.present else "no weights"],
        ["fits", f"about {report.fits.bfloat16_billions:.1f} billion parameters in bfloat16"],
    ]
    print_table(["", "this machine"], rows)
    for line in report.advice:
        say(line)
