"""What rounding does to the probes of a steering file, beside what the nearest faults do.

    python benchmarks/steering_files.py MODEL VECTORS --layer 2 --coefficient 1.5

A file is made in float32. The same probes are then measured in every precision: how far unsteered
log-probabilities and the changes by steering are from the recorded ones (root mean squares in nats). The
tolerances of `mindscope vectors check` are set from these.
"""

import argparse
from pathlib import Path

import torch

from mindscope.features import make_steering_file
from mindscope.features.steering_files.probes import expected_changes, measure_probes, recorded_unsteered
from mindscope.jobs import find_vectors
from mindscope.models import load


def rms(values: torch.Tensor) -> float:
    return float(values.square().mean().sqrt())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("vectors", type=Path)
    parser.add_argument("--layer", type=int, required=True)
    parser.add_argument("--coefficient", type=float, default=1.0)
    options = parser.parse_args()
    model = load(options.model, dtype="float32")
    (vectors,) = find_vectors(options.vectors, model)
    edits = [vectors.direction(options.layer).edit(options.coefficient, "all")]
    file = make_steering_file(model, vectors.trait, edits)
    expected = expected_changes(file.probes)
    print(f"steering changes log-probabilities by {rms(expected):.3f} nats")
    for kind, share in file.resolution.model_dump().items():
        print(f"nearest wrong {kind}: {'none' if share is None else f'{share:.1%}'} of that")
    for dtype in ("float32", "bfloat16", "float16"):
        rounded = model if dtype == "float32" else load(options.model, dtype=dtype)
        unsteered, steered = measure_probes(rounded, file.probes, [[], edits])
        noise, error = unsteered - recorded_unsteered(file.probes), steered - unsteered - expected
        print(f"{dtype}: unsteered {rms(noise):.2g}, changes {rms(error):.2g} nats")


if __name__ == "__main__":
    main()
