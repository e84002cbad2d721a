"""What a plan says: phases with their time, memory and disk by what takes them, and cost."""

from __future__ import annotations

from mindscope.core import format_duration
from mindscope.store import Document

GIB = 2**30


class PlannedPhase(Document):
    """A part of a job, in the order of the work."""

    name: str
    work: str
    """How much it is."""
    seconds: float


class PlannedBytes(Document):
    """What takes memory or disk."""

    name: str
    bytes: int


class JobPlan(Document):
    """What a job will take, before it begins."""

    job: str
    model: str
    parameters: int
    machine: str
    """Where it is planned for."""
    phases: tuple[PlannedPhase, ...]
    memory: tuple[PlannedBytes, ...]
    """At the peak, in one process and on one device."""
    host: tuple[PlannedBytes, ...] = ()
    """Of the host's memory, where that is another than the device's."""
    disk: tuple[PlannedBytes, ...]
    """Of what the run holds at its largest."""
    room_bytes: int
    """Memory that one device has for this."""
    cost: float | None = None
    """At the price that was given for an hour of one device; None where none was."""
    is_most: bool = False
    """Whether answers are taken to be as long as they may be, so that it takes at most this."""
    source: str
    """What the numbers rest on."""
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Of all phases."""
        return sum(phase.seconds for phase in self.phases)

    @property
    def memory_bytes(self) -> int:
        """Of one process at its peak."""
        return sum(part.bytes for part in self.memory)

    @property
    def disk_bytes(self) -> int:
        """Of the run at its largest."""
        return sum(part.bytes for part in self.disk)

    @property
    def fits(self) -> bool:
        """Whether the memory is there."""
        return self.memory_bytes <= self.room_bytes

    def __str__(self) -> str:
        about = "at most" if self.is_most else "about"
        shown = f"{about} {format_duration(self.seconds)}, {show_bytes(self.memory_bytes)} of memory and "
        shown += f"{show_bytes(self.disk_bytes)} on disk ({self.source})"
        return shown if self.fits else f"{shown}; there are only {show_bytes(self.room_bytes)} of memory"


def show_bytes(count: float) -> str:
    """Bytes in MB or GiB."""
    return f"{count / GIB:,.1f} GiB" if count >= GIB / 2 else f"{count / 2**20:,.0f} MiB"
