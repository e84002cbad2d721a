"""What `mindscope plan` prints: phases, memory and disk, and whether it fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mindscope.cli.terminal.output import print_table, say
from mindscope.core import format_duration

if TYPE_CHECKING:
    from mindscope.jobs.planning import JobPlan


def print_plan(plan: JobPlan) -> None:
    """A table each of time, memory and disk; what they rest on goes to stderr."""
    from mindscope.jobs.planning import show_bytes

    about = "at most" if plan.is_most else "about"
    phases = [[phase.name, phase.work, format_duration(phase.seconds)] for phase in plan.phases]
    print_table(
        ["time", "work", about],
        [*phases, ["all", "", format_duration(plan.seconds)]],
        f"{plan.job}, {plan.model} on {plan.machine}",
    )
    memory = [[part.name, show_bytes(part.bytes)] for part in plan.memory]
    fits = "fits" if plan.fits else "does not fit"
    total = f"{show_bytes(plan.memory_bytes)}, {fits} into {show_bytes(plan.room_bytes)}"
    print_table(["memory", "of one device"], [*memory, ["all", total]])
    if plan.host:
        print_table(["host's memory", ""], [[part.name, show_bytes(part.bytes)] for part in plan.host])
    disk = [[part.name, show_bytes(part.bytes)] for part in plan.disk]
    print_table(["disk", ""], [*disk, ["all", show_bytes(plan.disk_bytes)]])
    if plan.cost is not None:
        say(f"cost: {plan.cost:,.2f} at the price that was given")
    for line in (plan.source, *plan.notes):
        say(line)
