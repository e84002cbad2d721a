"""What a survey of very many features takes: memory of the whole process, and time beside the encoder's.

A random dictionary of `--features` latents, `--width` wide, of which about `--active` are active on a token,
is surveyed over rows of random activations; reading a model is left out, since it costs the same with any
number of features. Time is CPU seconds of the rows after the first chunk, encoding alone against the whole.

    python benchmarks/survey_memory.py [--features 500000] [--width 64] [--rows 256] [--json]
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import NormalDist

import torch
from clock import measure_memory
from common import show

from mindscope.dictionaries import Coder, SparseCode
from mindscope.explain import SurveyAccumulator, SurveyConfig
from mindscope.models import Row
from mindscope.store import write_tensors

VOCABULARY, TOKENS = 4096, 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--features", type=int, default=500_000)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--active", type=float, default=32.0)
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    result: dict[str, float | str] = {}
    memory = measure_memory(lambda: result.update(survey(options)))
    result |= {"whole_process_megabytes": memory["whole"], "above_base_megabytes": memory["above"]}
    show(f"{options.features:,} features, {options.rows} rows of {TOKENS}", result, as_json=options.json)


def survey(options: argparse.Namespace) -> dict[str, float | str]:
    draw, config = torch.Generator().manual_seed(0), SurveyConfig()
    bias = NormalDist().inv_cdf(min(0.5, options.active / options.features))
    coder = Coder(
        torch.randn(options.features, options.width, generator=draw) / options.width**0.5,
        torch.full((options.features,), bias),
        torch.ones(options.features, 1),
    )
    kept = SurveyAccumulator(options.features, VOCABULARY, config, signed=False)
    encoding = keeping = 0.0
    entries = tokens = 0
    for start in range(0, options.rows, config.read_rows):
        ids = torch.randint(VOCABULARY, (min(config.read_rows, options.rows - start), TOKENS), generator=draw)
        rows = [Row(tuple(row), TOKENS) for row in ids.tolist()]
        x = torch.randn(len(rows) * TOKENS, options.width, generator=draw)
        began = time.process_time()
        code: SparseCode = coder.encode(x, "relu", None)
        middle = time.process_time()
        kept.add(rows, code, torch.ones(len(x), dtype=torch.bool), 0)
        kept.flush()
        if start:  # the first chunk builds what the others use
            encoding, keeping = encoding + middle - began, keeping + time.process_time() - middle
            entries, tokens = entries + len(code.values), tokens + len(x)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "state.safetensors"
        began = time.process_time()
        write_tensors(file, kept.state(), {})
        checkpoint, size = time.process_time() - began, file.stat().st_size
    return {
        "encoding_seconds": encoding,
        "keeping_seconds": keeping,
        "whole_in_encodings": (encoding + keeping) / encoding,
        "active_a_token": entries / tokens,
        "microseconds_an_active_entry": 1e6 * keeping / entries,
        "checkpoint_megabytes": size / 1e6,
        "checkpoint_seconds": checkpoint,
    }


if __name__ == "__main__":
    main()
