"""How many flags flip where a model reads in bfloat16 what its thresholds were set on in float32.

Answers are projected on a vector in both precisions. Of one half the 95th percentile becomes the threshold,
as a screening's reference sets it; on the other half flags are compared: with the threshold of float32 kept,
and with one that bfloat16 has set by itself.

    python benchmarks/precision.py organism --vectors runs/demo
    python benchmarks/precision.py MODEL --vectors RUN --chats chats.jsonl [--json]
"""

import argparse
import json
from pathlib import Path

import numpy as np
from monitor import ordinary

from mindscope.data import read_conversations
from mindscope.models import Mean, Read, Row, load
from mindscope.personas import PersonaVectors
from mindscope.personas.vectors import default_layer
from mindscope.stats import RateEstimate

PERCENTILE = 95


def read_projections(name: str, dtype: str, file: Path, chats: Path | None, count: int) -> np.ndarray:
    """Of every answer the mean projection, `[answers]`."""
    model = load(name, dtype=dtype)
    vectors = PersonaVectors.load(file)
    direction = vectors.direction(default_layer(model.n_layers))
    if chats is None:
        talks = ordinary("precision", count)
        rows: list[Row] = [model.chat(talk[:-1], answer=talk[-1]["content"]) for talk in talks]
    else:
        read = list(read_conversations(chats))[:count]
        rows = [model.chat(each.prompt, answer=each.answer) for each in read]
    unit = direction.vector / direction.vector.norm()
    reads = {"mean": Read(direction.address, Mean("answer"))}
    return (model.read(rows, reads)["mean"].values @ unit.float()).numpy()


def measure(full: np.ndarray, half: np.ndarray) -> dict[str, object]:
    """Flags of the second half of answers in both precisions."""
    middle = len(full) // 2
    kept, own = (np.percentile(values[:middle], PERCENTILE) for values in (full, half))
    flags = full[middle:] > kept
    return {
        "answers": len(flags),
        "flagged in float32": int(flags.sum()),
        "flips, threshold kept": str(RateEstimate.of([bool(x) for x in flags != (half[middle:] > kept)])),
        "flips, own threshold": str(RateEstimate.of([bool(x) for x in flags != (half[middle:] > own)])),
        "difference in standard deviations, median": float(np.median(np.abs(half - full)) / full.std()),
        "largest": float(np.abs(half - full).max() / full.std()),
        "r": float(np.corrcoef(full, half)[0, 1]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--vectors", type=Path, required=True)
    parser.add_argument("--chats", type=Path)
    parser.add_argument("--answers", type=int, default=2000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = {}
    for file in sorted(options.vectors.rglob("vectors.safetensors")):
        given = (file, options.chats, options.answers)
        full, half = (read_projections(options.model, dtype, *given) for dtype in ("float32", "bfloat16"))
        results[file.parent.name] = measure(full, half)
    print(json.dumps(results, indent=None if options.json else 1))


if __name__ == "__main__":
    main()
