"""Files as circuit-tracer writes them, by hand, and its forward pass in a few lines."""

from collections.abc import Callable
from pathlib import Path

import torch
import yaml
from release_kit import D, F, K, draw, positive, top
from safetensors.torch import load_file, save_file
from torch import Tensor


def circuit_tracer_set(activation: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        for layer in range(3):
            tensors = {
                "W_enc": draw(F, D),
                "W_dec": draw(F, D),
                "b_enc": draw(F),
                "b_dec": draw(D),
                "W_skip": draw(D, D),
            }
            if activation == "jumprelu":
                tensors["activation_function.threshold"] = positive(F)
            save_file(tensors, path / f"layer_{layer}.safetensors")
        config = {"model_kind": "transcoder_set", "model_name": "m", "scan": "s"}
        config |= {"feature_input_hook": "mlp.hook_in", "feature_output_hook": "mlp.hook_out"}
        config |= {"topk": {"activation": "topk", "k": K}}.get(activation, {})
        (path / "config.yaml").write_text(yaml.safe_dump(config))

    return make


def run_circuit_tracer_set(path: Path, x: Tensor) -> tuple[Tensor, Tensor]:
    cfg = yaml.safe_load((path / "config.yaml").read_text())
    all_acts, outs = [], []
    for layer, part in enumerate(x.split(D, dim=1)):
        w = load_file(path / f"layer_{layer}.safetensors")
        pre = part @ w["W_enc"].T + w["b_enc"]
        if cfg.get("activation") == "topk":
            acts = top(pre, cfg["k"])
        elif "activation_function.threshold" in w:
            acts = pre * (pre > w["activation_function.threshold"])
        else:
            acts = pre.relu()
        all_acts.append(acts)
        outs.append(acts @ w["W_dec"] + w["b_dec"] + part @ w["W_skip"].T)
    return torch.cat(all_acts, 1), torch.cat(outs, 1)


def circuit_tracer_clt(path: Path) -> None:
    for layer in range(3):
        encoder = {"W_enc": draw(F, D), "b_enc": draw(F), "b_dec": draw(D), "threshold": positive(F)}
        save_file({f"{name}_{layer}": t for name, t in encoder.items()}, path / f"W_enc_{layer}.safetensors")
        save_file({f"W_dec_{layer}": draw(F, 3 - layer, D)}, path / f"W_dec_{layer}.safetensors")
    config = {"model_kind": "cross_layer_transcoder", "model_name": "m", "scan": "s"}
    config |= {"feature_input_hook": "hook_resid_mid", "feature_output_hook": "mlp.hook_out"}
    (path / "config.yaml").write_text(yaml.safe_dump(config))


def run_circuit_tracer_clt(path: Path, x: Tensor) -> tuple[Tensor, Tensor]:
    outs, all_acts = [torch.zeros(len(x), D) for _ in range(3)], []
    for layer, part in enumerate(x.split(D, dim=1)):
        w = load_file(path / f"W_enc_{layer}.safetensors")
        pre = part @ w[f"W_enc_{layer}"].T + w[f"b_enc_{layer}"]
        acts = pre * (pre > w[f"threshold_{layer}"])
        all_acts.append(acts)
        outs[layer] += w[f"b_dec_{layer}"]
        decoder = load_file(path / f"W_dec_{layer}.safetensors")[f"W_dec_{layer}"]
        for offset in range(3 - layer):
            outs[layer + offset] += acts @ decoder[:, offset]
    return torch.cat(all_acts, 1), torch.cat(outs, 1)
