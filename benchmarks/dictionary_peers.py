"""What training steps and reading activations cost in other tools, in an environment of their own.

Run by `benchmarks/dictionary.py --peers PYTHON` and `benchmarks/diff.py --peers PYTHON`, in the same units. A
training step is the peer's own: loss, gradients, clipping, its optimiser, decoder norms and dead-latent
counts. Reading is TransformerLens' cache of the same model: all of it, and that of the one place, stopped
there. A peer that is not installed is left out.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec

import torch
from clock import bare_forward, interleaved, ratio, step_data
from torch import Tensor

Step = Callable[[Tensor], object]


def main() -> None:
    settings = json.loads(sys.argv[1])
    torch.set_num_threads(settings["threads"])
    found: dict[str, float] = {}
    for name, size in settings["sizes"].items():
        batches, product = step_data(size)
        ways: dict[str, Callable[[], object]] = {"product": product}
        peers = [*crosscoders(*size)] if settings.get("crosscoders") else []
        for way, step in peers or [*dictionary_learning(*size), *sae_lens(*size)]:
            ways[way] = lambda step=step, batches=batches: step(next(batches))
        seconds = interleaved(ways, settings["rounds"])
        found |= {f"{name}_{way}": ratio(seconds, way, "product") for way in ways if way != "product"}
    if settings.get("model") and find_spec("transformer_lens"):
        found |= reading(settings["model"], settings["layer"], settings["rows"], settings["rounds"])
    print(json.dumps(found))


def dictionary_learning(d: int, latents: int, k: int, batch: int) -> Iterator[tuple[str, Step]]:
    if not find_spec("dictionary_learning"):
        return
    from dictionary_learning.trainers.batch_top_k import BatchTopKTrainer
    from dictionary_learning.trainers.top_k import TopKTrainer

    for kind, trainer in (("topk", TopKTrainer), ("batchtopk", BatchTopKTrainer)):
        one = trainer(
            steps=10_000, activation_dim=d, dict_size=latents, k=k, layer=0, lm_name="x", seed=0, device="cpu"
        )
        steps = iter(range(10**9))
        yield (
            f"{kind}_step_of_dictionary_learning",
            lambda x, one=one, steps=steps: one.update(next(steps), x),
        )


def crosscoders(d: int, latents: int, k: int, batch: int) -> Iterator[tuple[str, Step]]:
    """Of two models whose activations lie side by side: `d` is the width of both together."""
    if not find_spec("dictionary_learning") or not find_spec("dictionary_learning.trainers.crosscoder"):
        return
    from dictionary_learning.trainers.crosscoder import BatchTopKCrossCoderTrainer, CrossCoderTrainer

    shared = {"activation_dim": d // 2, "dict_size": latents, "layer": 0, "lm_name": "x", "seed": 0}
    for kind, trainer in (
        ("l1", CrossCoderTrainer(num_layers=2, device="cpu", **shared)),
        ("batchtopk", BatchTopKCrossCoderTrainer(steps=10_000, k=k, device="cpu", **shared)),
    ):
        steps = iter(range(10**9))
        yield (
            f"{kind}_step_of_dictionary_learning",
            # It scales what it is given in place.
            lambda x, one=trainer, steps=steps: one.update(
                next(steps), x.clone().view(len(x), 2, x.shape[1] // 2)
            ),
        )


def sae_lens(d: int, latents: int, k: int, batch: int) -> Iterator[tuple[str, Step]]:
    if not find_spec("sae_lens"):
        return
    from sae_lens import (
        BatchTopKTrainingSAE,
        BatchTopKTrainingSAEConfig,
        TopKTrainingSAE,
        TopKTrainingSAEConfig,
    )
    from sae_lens.config import SAETrainerConfig
    from sae_lens.training.sae_trainer import SAETrainer

    kinds = (
        ("topk", TopKTrainingSAE, TopKTrainingSAEConfig),
        ("batchtopk", BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig),
    )
    for kind, sae, config in kinds:
        settings = SAETrainerConfig(10_000 * batch, batch, lr_end=3e-5)
        trainer = SAETrainer(settings, sae(config(d_in=d, d_sae=latents, k=k, device="cpu")), iter(()))
        yield f"{kind}_step_of_sae_lens", trainer.step


def reading(folder: str, layer: int, rows: int, rounds: int) -> Mapping[str, float]:
    """Ratios to a bare forward pass that ends at the layer, checked to read the same activations."""
    from transformer_lens import HookedTransformer, HookedTransformerConfig
    from transformer_lens.pretrained.weight_conversions import convert_qwen2_weights
    from transformers import AutoModelForCausalLM

    hf = AutoModelForCausalLM.from_pretrained(folder).eval()
    c = hf.config
    config = HookedTransformerConfig(
        n_layers=c.num_hidden_layers, d_model=c.hidden_size, n_ctx=1024, n_heads=c.num_attention_heads,
        d_head=c.hidden_size // c.num_attention_heads, n_key_value_heads=c.num_key_value_heads,
        d_mlp=c.intermediate_size, d_vocab=c.vocab_size, act_fn="silu", gated_mlp=True, eps=c.rms_norm_eps,
        normalization_type="RMS", positional_embedding_type="rotary", final_rms=True,
        rotary_adjacent_pairs=False, rotary_dim=c.hidden_size // c.num_attention_heads,
        rotary_base=int(c.rope_parameters["rope_theta"]), original_architecture="Qwen2ForCausalLM",
    )  # fmt: skip
    model = HookedTransformer(config)
    model.load_state_dict(convert_qwen2_weights(hf, config), strict=False)
    ids = torch.randint(0, c.vocab_size, (64, 128), generator=torch.Generator().manual_seed(1))
    place = f"blocks.{layer}.hook_resid_post"

    def cached(**options: object) -> Tensor:
        with torch.inference_mode():
            return torch.cat([model.run_with_cache(part, **options)[1][place] for part in ids.split(rows)])

    ways = {
        "bare": lambda: bare_forward(hf, layer, ids, rows),
        "full": cached,
        "stopped": lambda: cached(names_filter=place, stop_at_layer=layer + 1),
    }
    torch.testing.assert_close(cached().flatten(0, 1), ways["bare"](), atol=1e-4, rtol=1e-4)
    seconds = interleaved(ways, rounds)
    return {
        "reading_with_the_full_cache_of_transformer_lens": ratio(seconds, "full", "bare"),
        "reading_with_transformer_lens_stopped": ratio(seconds, "stopped", "bare"),
    }


if __name__ == "__main__":
    main()
