"""A Ray cluster of two nodes on this machine, and jobs of the organism that run on it or in process."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from mindscope.engines import ray_engine
from mindscope.engines.pool import CopyPool, connect_cluster
from mindscope.jobs.job import RunFolder, SilentReporter

STORE = 100 * 2**20
"""Bytes of a node's object store: what goes through it here is a few kilobytes."""


class KeptCopies:
    """Ray, where the copies of a job that is over work for the next one, which loads its model into them.

    A process that imports PyTorch takes five seconds of a processor before it is a copy. One that was killed
    meanwhile is found lost, and replaced as it would be in the middle of work. Jobs come one after the other.
    """

    def __init__(self, ray: Any) -> None:
        self._ray, self._copies = ray, []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ray, name)

    def remote(self, **options: Any) -> Callable[[type], Any]:
        """As `ray.remote` with options: what makes an actor of a class."""
        spare = list(self._copies)

        def start_with(actor: Any) -> Callable[[int], Any]:
            def start(threads: int) -> Any:
                if spare:
                    return spare.pop()
                self._copies.append(actor.remote(threads))
                return self._copies[-1]

            return start

        return lambda own: SimpleNamespace(remote=start_with(self._ray.remote(**options)(own)))


@contextmanager
def two_nodes() -> Iterator[tuple[Any, Any]]:
    """A cluster with a CPU on each of two nodes, connected; and the node that may be lost.

    Jobs hand their copies on, with one thread each.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # as `connect_cluster` does, before any node is started
    os.environ["RAY_worker_niceness"] = "5"  # noqa: SIM112 - 15, as it is, starves copies where much runs
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False},
    )
    try:
        second = cluster.add_node(num_cpus=1, object_store_memory=STORE)
        cluster.wait_for_nodes()
        kept = KeptCopies(connect_cluster(cluster.address))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ray_engine, "connect_cluster", lambda address: kept)
            yield cluster, second
    finally:
        ray.shutdown()
        cluster.shutdown()


def run_job(job: Callable[..., Any], spec: Any, folder: Path) -> Path:
    """Does a job with one thread, as each copy has."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        job(spec, run=RunFolder(folder), reporter=SilentReporter())
    finally:
        torch.set_num_threads(threads)
    return folder


@contextmanager
def at_hand_out(number: int, act: Callable[[CopyPool], None]) -> Iterator[list[int]]:
    """Acts when so many forward passes, batches of answers or calls have been given to copies."""
    plain, seen = CopyPool._hand_out, []

    def counted(self: CopyPool, piece: Any) -> None:
        plain(self, piece)
        if piece.method in ("read", "generate", "call"):
            seen.append(piece.number)
            if len(seen) == number:
                act(self)

    CopyPool._hand_out = counted
    try:
        yield seen
    finally:
        CopyPool._hand_out = plain


def kill_a_working_copy(pool: CopyPool) -> None:
    """One that has work just now."""
    copy, _ = next(iter(pool._working.values()))
    pool.ray.kill(copy)
