"""Graphs of long prompts: seconds and memory by length, beside what was said once a first block was traced.

The model and the transcoders of `attribution.py`: a random Llama of 12 layers, 512 wide, with 8,192 features
a layer. Every length is traced in a process of its own. Patterns of more than 1,672 tokens are made again,
and rows beyond 2 GiB lie on disk. `--nodes` is how many features become nodes; fewer nodes take the same
memory but for the graph, so that a length can be looked at that would take hours.

    python benchmarks/long_graphs.py [--lengths 64 256 1024] [--nodes 2000] [--minutes 8] [--json]
"""

import argparse
import json
import subprocess
import sys
import time

import torch
from attribution_case import random_dictionary, random_llama, random_prompt
from clock import measure_memory

from mindscope.circuits import DictionaryReplacement, TraceConfig, TraceForecast, trace
from mindscope.jobs.planning import show_bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=[64, 256, 1024])
    parser.add_argument("--nodes", type=int, default=2000)
    parser.add_argument("--latents", type=int, default=8192)
    parser.add_argument("--minutes", type=float, default=8.0, help="the most that one length may take")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.one is not None:
        print(json.dumps(trace_one(options.one, options.nodes, options.latents)))
        return
    for length in options.lengths:
        command = [sys.executable, __file__, "--one", str(length), "--nodes", str(options.nodes)]
        command += ["--latents", str(options.latents)]
        try:
            ended = subprocess.run(
                command, stdout=subprocess.PIPE, text=True, timeout=60 * options.minutes, check=True
            )
        except subprocess.TimeoutExpired:
            print(f"{length} tokens: not through in {options.minutes:g} minutes", flush=True)
            continue
        figures = json.loads(ended.stdout.splitlines()[-1])
        print(json.dumps(figures) if options.json else describe(figures), flush=True)


def trace_one(length: int, nodes: int, latents: int) -> dict[str, float]:
    model = random_llama(length)
    replacement = DictionaryReplacement(random_dictionary(latents, cross=False))
    heard: list[tuple[TraceForecast, float]] = []
    graphs = []
    began = time.process_time()

    def hear(forecast: TraceForecast) -> None:
        heard.append((forecast, time.process_time() - began))

    config = TraceConfig(max_features=nodes)
    row = random_prompt(length)
    memory = measure_memory(
        lambda: graphs.append(
            trace(model, replacement, row, config, on_forecast=hear, clock=time.process_time)
        )
    )
    seconds, graph = time.process_time() - began, graphs[0]
    forecast, said_at = heard[0]
    gap = graph.edges.sum(1) + graph.unselected + graph.biases - graph.preactivations
    return {
        "tokens": length,
        "nodes": graph.n_features,
        "active_features": graph.metadata["active_features"],
        "traced_features": graph.metadata["traced_features"],
        "seconds": seconds,
        "said_after": said_at,
        "said_seconds": said_at + forecast.seconds,
        "whole_process_megabytes": memory["whole"],
        "row_megabytes": forecast.row_bytes / 1e6,
        "graph_megabytes": 4e-6 * graph.edges.numel(),
        "largest_gap_of_a_sum": float(gap.abs().max()),
    }


def describe(figures: dict[str, float]) -> str:
    """One length in a line."""
    taken, said, after = (figures[name] for name in ("seconds", "said_seconds", "said_after"))
    whole, rows, graph = (
        show_bytes(1e6 * figures[f"{name}_megabytes"]) for name in ("whole_process", "row", "graph")
    )
    return (
        f"{figures['tokens']:,} tokens, {figures['nodes']:,} nodes of {figures['active_features']:,}: "
        f"{taken:.1f} s, said {said:.1f} after {after:.1f} ({said / taken - 1:+.0%}); {whole} in all, rows "
        f"{rows}, graph {graph}; sums off by {figures['largest_gap_of_a_sum']:.1e}"
    )


if __name__ == "__main__":
    main()
