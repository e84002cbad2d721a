"""The jobs that were started on the workbench: a process each, how far it is, and what it said."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from mindscope.server.api.errors import ApiError
from mindscope.server.workbench.processes import end_process, json_line, send_line, start_module

MOST_RUNNING = 2
"""Jobs at once: each loads the model again."""
GRACE_SECONDS = 5.0
"""How long a job that was stopped has until it is ended by force."""
MOST_KEPT = 50
MOST_LINES = 100
"""Sentences of a job that are kept, the last ones."""

JobState = Literal["running", "done", "failed", "stopped"]


@dataclass(frozen=True)
class JobStep:
    """A job by its name, what it is to do, and where."""

    job: str
    spec: Mapping[str, Any]
    run: Path
    keep: Path | None = None
    """A file for the document that the job hands back, where the job keeps none itself."""

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> JobStep:
        """What JSON kept of one; KeyError or TypeError where it is something else."""
        keep = plain["keep"]
        return cls(plain["job"], plain["spec"], Path(plain["run"]), None if keep is None else Path(keep))


@dataclass
class StartedJob:
    """A job and its process."""

    number: int
    title: str
    run: str
    process: subprocess.Popen[str]
    began: float = field(default_factory=time.time)
    ended: float | None = None
    state: JobState = "running"
    done: int = 0
    total: int = 0
    label: str = ""
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=MOST_LINES))
    error: str | None = None


class WorkerPool:
    """Starts processes and listens to them."""

    def __init__(self) -> None:
        self._jobs: dict[int, StartedJob] = {}
        self._lock = threading.Lock()
        self._n_started = 0

    def jobs(self) -> list[StartedJob]:
        """All jobs of this server, the newest first."""
        with self._lock:
            return list(reversed(self._jobs.values()))

    def start(self, title: str, run: str, steps: Sequence[JobStep]) -> StartedJob:
        """Begin a job.

        Raises:
            ApiError: as many as there may be are running.
        """
        return self._start(title, run, {"steps": [asdict(step) for step in steps]})

    def resume(self, title: str, run: str, path: Path) -> StartedJob:
        """Give the command of a run again.

        Raises:
            ApiError: as many as there may be are running.
        """
        return self._start(title, run, {"resume": path})

    def _start(self, title: str, run: str, asked: Mapping[str, Any]) -> StartedJob:
        line = json_line(asked)
        with self._lock:
            if sum(job.state == "running" for job in self._jobs.values()) >= MOST_RUNNING:
                raise ApiError(
                    503,
                    f"{MOST_RUNNING} jobs are running: wait for one, or stop it",
                    code="jobs_full",
                    headers={"Retry-After": "30"},
                )
            process = start_module("mindscope.server.workbench.worker")
            self._n_started += 1
            job = StartedJob(self._n_started, title, run, process)
            self._jobs[job.number] = job
            while len(self._jobs) > MOST_KEPT:
                self._jobs.pop(next(iter(self._jobs)))
        send_line(process, line)
        threading.Thread(target=self._listen, args=(job,), daemon=True).start()
        return job

    def stop(self, number: int) -> StartedJob:
        """End a job; what it finished stays in its run.

        Raises:
            ApiError: there is no such job.
        """
        job = self._jobs.get(number)
        if job is None:
            raise ApiError(404, f"there is no job {number}", code="job_not_found")
        if job.state == "running":
            job.state = "stopped"
            threading.Thread(target=end_process, args=(job.process, GRACE_SECONDS), daemon=True).start()
        return job

    def close(self) -> None:
        """End all jobs."""
        for job in self.jobs():
            if job.state == "running":
                job.state = "stopped"
                end_process(job.process, GRACE_SECONDS)

    def _listen(self, job: StartedJob) -> None:
        assert job.process.stdout is not None
        is_through = False
        for line in job.process.stdout:
            try:
                told = json.loads(line)
            except ValueError:
                continue  # a library that prints
            if not isinstance(told, dict):
                continue
            if "progress" in told:
                job.done, job.total, job.label = told["progress"]
            elif "say" in told:
                job.lines.append(told["say"])
            elif "error" in told:
                job.error = told["error"]
            is_through = is_through or "end" in told
        code = job.process.wait()
        job.ended = time.time()
        if job.state == "running":
            job.state = "done" if is_through and code == 0 else "failed"
            if job.state == "failed" and job.error is None:
                job.error = f"the process ended with code {code}: see the server's log"
