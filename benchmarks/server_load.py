"""A server under mixed load for minutes: its memory, its log, and how long a first token takes.

    python benchmarks/server_load.py                     # five minutes, the organism
    python benchmarks/server_load.py --model NAME --seconds 60 --clients 8

The server runs in a process of its own, with its log. Clients ask in every way, whole and streamed, plain,
steered and monitored, for several choices, and what must be refused; three of ten that stream leave at the
first token. Memory is that of the server's process, its highest in the last tenth of the time beside its
highest in the first tenth after a fifth has passed. A row is lost where an answer was given and the log does
not have it. The exit code is 1 where memory grew by more than 5 %, a row was lost, or a reply was wrong.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

import load_kit

MOST_GROWTH = 0.05


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="organism")
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--log", default=None, help="a database; by default a new file of SQLite")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log = options.log or f"{folder}/log.sqlite"
        with load_kit.server_process(options.model, "--log", log) as (port, process):
            figures = load_kit.put_load(port, process, options.seconds, options.clients)
        turns, readings = load_kit.lost_rows(log, figures)
    growth = figures.growth(options.seconds / 5)
    megabytes = figures.memory[-1][1] / 2**20
    print(f"{options.model}: {options.seconds:.0f} s, {options.clients} clients, {dict(figures.statuses)}")
    print(f"memory {megabytes:.0f} MiB, {100 * growth:+.1f} % after warming up")
    tenths = [
        max(size for when, size in figures.memory if 10 * when <= (i + 1) * options.seconds)
        for i in range(10)
    ]
    print("highest until each tenth of the time, MiB:", " ".join(f"{size / 2**20:.0f}" for size in tenths))
    print(f"{len(figures.answers)} answers given; lost: {turns} turns, {readings} with readings")
    print(f"first token: median {statistics.median(figures.firsts):.3f} s, p95 {figures.p95():.3f} s")
    for wrong in figures.wrong[:10]:
        print(f"wrong: {wrong}")
    return int(growth > MOST_GROWTH or bool(turns or readings or figures.wrong))


if __name__ == "__main__":
    raise SystemExit(main())
