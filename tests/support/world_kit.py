"""Several processes that train together, started as torchrun starts them."""

import multiprocessing
import os
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess

import torch

from mindscope.dictionaries.training.processes import TrainingWorld, torchrun_world


def start_side_by_side(work: Callable[[], object], count: int = 2) -> Sequence[BaseProcess]:
    """Begins the work in so many processes, with what torchrun would tell them."""

    def run(rank: int) -> None:
        torch.set_num_threads(1)
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count)}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        work()

    port = 20_000 + os.getpid() % 20_000
    started = [multiprocessing.get_context("fork").Process(target=run, args=(rank,)) for rank in range(count)]
    for process in started:
        process.start()
    return started


def side_by_side(work: Callable[[], object], count: int = 2) -> list[int | None]:
    """Does the work in so many processes; how each ended."""
    started = start_side_by_side(work, count)
    for process in started:
        process.join(120)
    return [process.exitcode for process in started]


def together(work: Callable[[TrainingWorld], object], count: int = 2) -> list[int | None]:
    """The same with work that is told who works together."""

    def launch() -> None:
        with torchrun_world() as processes:
            work(processes)

    return side_by_side(launch, count)
