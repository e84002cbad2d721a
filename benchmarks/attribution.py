"""What tracing a graph costs: against the products it cannot do without, and against circuit-tracer.

A random Llama (12 layers, 512 wide) with random transcoders of 8,192 features a layer, or a cross-layer
transcoder, of which about 0.6 % are active; 2,000 features become nodes. Seconds are CPU seconds of this
process from prompt to graph, the frozen pass included; memory is the largest size of the process above what
it had before, freed memory handed back first. First comes the default, which chooses features exactly. The
floor is the time of the matrix products that any method by explicit rows needs (`count_operations`), at the
speed this machine multiplies two square matrices.

`--peer PYTHON` runs circuit-tracer on the same model, prompt and files, in an environment of its own (see
`attribution_peer.py`), warm and with the same meter. Features are ranked again after as many on both sides
(`--rank-every`); its batch size is the one of `--peer-batches` (1 is its best on a CPU). `--peer-default`
adds its default, batches of 512 ranked every 2,048. The same graph comes out: the share of features that both
chose and the largest difference of an edge are printed.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import torch
from attribution_case import count_operations, random_dictionary, random_llama, random_prompt
from clock import measure
from common import arguments, median, show
from safetensors.torch import load_file

from mindscope.circuits import AttributionGraph, DictionaryReplacement, TraceConfig, trace
from mindscope.dictionaries import Dictionary
from mindscope.dictionaries.formats import ReadOptions, write_dictionary
from mindscope.models import Model, Row

Result = dict[str, float | str]


def main() -> None:
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--lengths", type=int, nargs="+", default=[32], help="tokens of the prompts")
    parser.add_argument("--nodes", type=int, default=2000)
    parser.add_argument("--latents", type=int, default=8192, help="features a layer")
    parser.add_argument("--kinds", nargs="+", choices=["transcoders", "clt"], default=["transcoders", "clt"])
    parser.add_argument("--rank-every", type=int, nargs="*", default=[64, 2048], help="schedules of both")
    parser.add_argument("--peer", help="a Python that has circuit-tracer")
    parser.add_argument("--peer-batches", type=int, nargs="+", default=[1])
    parser.add_argument("--peer-rounds", type=int, default=1, help="runs of the peer, after a short one")
    parser.add_argument("--peer-default", action="store_true", help="minutes, and gigabytes for a CLT")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model, peak = random_llama(max(options.lengths)), gemm_peak()
    for kind in options.kinds:
        dictionary = random_dictionary(options.latents, cross=kind == "clt")
        for length in options.lengths:
            result: Result = {"kind": kind, "tokens": length, "gemm_peak_gflops": peak / 1e9}
            result |= compared(model, dictionary, random_prompt(length), options, peak)
            show(f"{kind}, {length} tokens, {options.nodes} nodes", result, as_json=options.json)


def compared(
    model: Model, dictionary: Dictionary, row: Row, options: argparse.Namespace, peak: float
) -> Result:
    replacement = DictionaryReplacement(dictionary)
    trace(model, replacement, Row(row.ids[:4], 4), TraceConfig(max_features=8))  # what is kept with a model
    graph, exact, megabytes = traced(model, replacement, row, options, None)
    floor = count_operations(replacement.freeze(model, row), graph) / peak * torch.get_num_threads()
    gap = graph.edges.sum(1) + graph.unselected + graph.biases - graph.preactivations
    result: Result = {
        "active_features": graph.metadata["active_features"],
        "default_seconds": exact,
        "default_megabytes": megabytes,
        "floor_seconds": floor,
        "default_share_of_gemm_peak": floor / exact,
        "default_largest_gap_of_a_sum": float(gap.abs().max()),
    }
    if not options.peer:
        return result
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model.hf.save_pretrained(folder / "model")
        model.tokenizer.save_pretrained(folder / "model")
        write_dictionary(dictionary, folder / "dictionary", "circuit_tracer", ReadOptions())
        for schedule in options.rank_every:
            for batch in options.peer_batches:
                if batch <= schedule:
                    result |= against(model, replacement, row, options, folder, (batch, schedule))
        if options.peer_default:
            result |= against(model, replacement, row, options, folder, (512, 2048))
    return result


def traced(
    model: Model,
    replacement: DictionaryReplacement,
    row: Row,
    options: argparse.Namespace,
    rank_every: int | None,
) -> tuple[AttributionGraph, float, float]:
    """A graph, the median of CPU seconds, and the most megabytes above base."""
    config = TraceConfig(max_features=options.nodes, rank_every=rank_every)
    graphs: list[AttributionGraph] = []

    def work() -> None:
        graphs.clear()
        graphs.append(trace(model, replacement, row, config))

    costs = [measure(work) for _ in range(options.rounds)]
    return graphs[0], median([cost.seconds for cost in costs]), max(cost.megabytes for cost in costs)


def against(
    model: Model,
    replacement: DictionaryReplacement,
    row: Row,
    options: argparse.Namespace,
    folder: Path,
    peer_setting: tuple[int, int],
) -> Result:
    """What both take, ours measured before and behind the peer's run, and how far their graphs differ."""
    batch, schedule = peer_setting
    _, before, _ = traced(model, replacement, row, options, schedule)
    settings = {
        "folder": str(folder),
        "threads": options.threads,
        "ids": row.ids,
        "batch": batch,
        "update_interval": schedule // batch,
        "nodes": options.nodes,
        "rounds": options.peer_rounds,
    }
    script = Path(__file__).with_name("attribution_peer.py")
    command = [options.peer, str(script), json.dumps(settings)]
    written = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    peer, found = json.loads(written.splitlines()[-1]), load_file(folder / "peer.safetensors")
    graph, behind, megabytes = traced(model, replacement, row, options, schedule)
    index_of = {tuple(feature): index for index, feature in enumerate(found["features"].tolist())}
    ours = [index for index, feature in enumerate(graph.features.tolist()) if tuple(feature) in index_of]
    theirs = [index_of[tuple(feature)] for feature in graph.features[ours].tolist()]
    off = graph.edges[ours][:, ours] - found["adjacency"][theirs][:, theirs]
    seconds, name = median([before, behind]), f"every_{schedule}_peer_batch_{batch}"
    return {
        f"seconds_{name}": seconds,
        f"megabytes_{name}": megabytes,
        f"peer_seconds_{name}": peer["seconds"],
        f"peer_megabytes_{name}": peer["megabytes"],
        f"seconds_ratio_{name}": peer["seconds"] / seconds,
        f"megabytes_ratio_{name}": peer["megabytes"] / megabytes,
        f"same_features_{name}": len(ours) / len(index_of),
        f"largest_edge_difference_{name}": float(off.abs().max()),
    }


def gemm_peak(size: int = 2048) -> float:
    """Operations a second of a product of two square matrices, the best of some."""
    x, y = torch.randn(2, size, size)
    best = min(measure(lambda: x @ y).seconds for _ in range(5))
    return 2 * size**3 / best * torch.get_num_threads()


if __name__ == "__main__":
    main()
