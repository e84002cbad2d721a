"""One training step of dictionary_learning, against the encoder's matrix product, in its own environment.

Run by `benchmarks/dictionary.py --peers PYTHON`. A step is the peer's own `update`: loss, gradients,
clipping, its optimiser, decoder norms and dead-latent counts.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable

import torch


def main() -> None:
    sizes, rounds, threads = json.loads(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(threads)
    from dictionary_learning.trainers.batch_top_k import BatchTopKTrainer
    from dictionary_learning.trainers.top_k import TopKTrainer

    found = {}
    for name, (d, latents, k, batch) in sizes.items():
        draw = torch.Generator().manual_seed(0)
        batches = [torch.randn(batch, d, generator=draw) for _ in range(4)]
        weight, bias, out = torch.randn(latents, d), torch.zeros(latents), torch.empty(batch, latents)
        trainers = {
            kind: trainer(
                steps=10_000,
                activation_dim=d,
                dict_size=latents,
                k=k,
                layer=0,
                lm_name="x",
                seed=0,
                device="cpu",
            )
            for kind, trainer in (("topk", TopKTrainer), ("batchtopk", BatchTopKTrainer))
        }
        ratios: dict[str, list[float]] = {kind: [] for kind in trainers}
        for step in range(rounds + 2):
            product = seconds(torch.addmm, bias, batches[0], weight.T, out=out)
            for kind, trainer in trainers.items():
                took = seconds(trainer.update, step, batches[step % 4])
                if step > 1:
                    ratios[kind].append(took / product)
        for kind, values in ratios.items():
            found[f"{name}_{kind}_step_of_dictionary_learning"] = statistics.median(values)
    print(json.dumps(found))


def seconds(work: Callable[..., object], *arguments: object, **options: object) -> float:
    start = time.process_time()
    work(*arguments, **options)
    return time.process_time() - start


if __name__ == "__main__":
    main()
