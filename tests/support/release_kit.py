"""Files as other tools write them, by hand, and each tool's forward pass in a few lines of its own."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

D, F, K, SCALE = 12, 40, 5, 0.35

DRAW = torch.Generator()


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=DRAW)


def positive(*shape: int) -> Tensor:
    return draw(*shape).abs()


def x(width: int = D) -> Tensor:
    return torch.randn(9, width, generator=torch.Generator().manual_seed(5)) * 2 + 1


def top(pre: Tensor, k: int) -> Tensor:
    values, indices = pre.relu().topk(k, dim=-1)
    return torch.zeros_like(pre).scatter(-1, indices, values)


def saelens_tensors(architecture: str) -> dict[str, Tensor]:
    tensors = {"W_enc": draw(D, F), "W_dec": draw(F, D) / 3, "b_dec": draw(D)}
    if architecture == "gated":
        tensors |= {"b_gate": draw(F), "r_mag": draw(F) / 2, "b_mag": draw(F)}
    else:
        tensors["b_enc"] = draw(F)
    if "jumprelu" in architecture:
        tensors["threshold"] = draw(F)  # some below 0, where SAELens' ReLU still cuts
    if architecture == "skip_transcoder":
        tensors["W_skip"] = draw(D, D)
    return tensors


def saelens(architecture: str, **config) -> Callable[[Path], None]:
    """A release of version 6."""

    def make(path: Path) -> None:
        hooks = {"hook_name": "blocks.2.hook_resid_post", "model_name": "m"}
        if "transcoder" in architecture:
            hooks = {"hook_name": "blocks.2.mlp.hook_in", "hook_name_out": "blocks.2.mlp.hook_out"}
        settings = {
            "architecture": architecture,
            "d_in": D,
            "d_sae": F,
            "dtype": "float32",
            "metadata": hooks,
        }
        settings["apply_b_dec_to_input"] = "transcoder" not in architecture
        save_file(saelens_tensors(architecture), path / "sae_weights.safetensors")
        (path / "cfg.json").write_text(json.dumps(settings | config))

    return make


def saelens_flat(weights: str = "standard", *, finetuned: bool = False, **config) -> Callable[[Path], None]:
    """A release of the versions before, as they were written then: everything on one level."""

    def make(path: Path) -> None:
        settings = {
            "d_in": D, "d_sae": F, "dtype": "torch.float32", "model_name": "gpt2-small", "context_size": 128,
            "hook_layer": 2, "hook_head_index": None, "prepend_bos": True, "activation_fn_kwargs": {},
            "normalize_activations": "none", "device": "cuda", "sae_lens_training_version": "3.22.2",
            "dead_feature_threshold": 1e-8, "finetuning_scaling_factor": finetuned,
        }  # fmt: skip
        if "hook_point" not in config:
            settings["hook_name"] = "blocks.2.hook_resid_post"
        tensors = saelens_tensors(weights)
        if finetuned:
            tensors["scaling_factor"] = 1 + draw(F).abs()
        save_file(tensors, path / "sae_weights.safetensors")
        merged = settings | config
        (path / "cfg.json").write_text(json.dumps({k: v for k, v in merged.items() if v != "absent"}))

    return make


def run_saelens(path: Path, x: Tensor, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    """`scale` is the factor that SAELens would fold into a release that does not hold it."""
    w, cfg = load_file(path / "sae_weights.safetensors"), json.loads((path / "cfg.json").read_text())
    cfg = (cfg.get("metadata") or {}) | cfg
    activation = cfg.get("activation_fn_str", cfg.get("activation_fn", "relu"))
    k = cfg.get("k", (cfg.get("activation_fn_kwargs") or {}).get("k"))
    norm, finetuned = cfg.get("normalize_activations"), w.get("scaling_factor", torch.ones(F))
    if norm in (True, "expected_average_only_in"):
        w |= {"W_enc": w["W_enc"] * scale, "W_dec": w["W_dec"] / scale, "b_dec": w["b_dec"] / scale}
    raw, undo = x, lambda out: out
    if norm == "layer_norm":
        mu = x.mean(-1, keepdim=True)
        std = (x - mu).std(-1, keepdim=True)
        x, undo = (x - mu) / (std + 1e-5), lambda out: out * std + mu
    elif norm == "constant_norm_rescale":
        factor = x.shape[-1] ** 0.5 / x.norm(dim=-1, keepdim=True)
        x, undo = x * factor, lambda out: out / factor
    sae_in = x - w["b_dec"] * cfg.get("apply_b_dec_to_input", True)
    if cfg.get("architecture") == "gated":
        on = (sae_in @ w["W_enc"] + w["b_gate"] > 0).float()
        acts = on * torch.relu(sae_in @ (w["W_enc"] * w["r_mag"].exp()) + w["b_mag"])
        return acts, undo(acts @ w["W_dec"] + w["b_dec"])
    pre = sae_in @ w["W_enc"] + w["b_enc"]
    if cfg.get("architecture") == "topk" or activation == "topk":
        norms = w["W_dec"].norm(dim=-1) if cfg.get("rescale_acts_by_decoder_norm") else torch.ones(F)
        acts = top(pre * norms, k)
        return acts, undo((acts / norms) @ w["W_dec"] + w["b_dec"])
    acts = torch.relu(pre)
    if "threshold" in w:
        acts = acts * (pre > w["threshold"])
    out = undo((acts * finetuned) @ w["W_dec"] + w["b_dec"])
    return acts, out + raw @ w["W_skip"].T if "W_skip" in w else out


def run_scaled(path: Path, x: Tensor) -> tuple[Tensor, Tensor]:
    return run_saelens(path, x, scale=SCALE)


def gemma_scope(path: Path) -> None:
    arrays = {
        "W_enc": draw(D, F),
        "W_dec": draw(F, D),
        "b_enc": draw(F),
        "b_dec": draw(D),
        "threshold": positive(F),
    }
    np.savez(path / "params.npz", **{name: tensor.numpy() for name, tensor in arrays.items()})


def run_gemma_scope(path: Path, x: Tensor) -> tuple[Tensor, Tensor]:
    w = {name: torch.from_numpy(value) for name, value in np.load(path / "params.npz").items()}
    pre = x @ w["W_enc"] + w["b_enc"]
    acts = (pre > w["threshold"]) * torch.relu(pre)
    return acts, acts @ w["W_dec"] + w["b_dec"]


def gemma_scope_2(path: Path) -> None:
    tensors = {
        "w_enc": draw(D, F),
        "w_dec": draw(F, D),
        "b_enc": draw(F),
        "b_dec": draw(D),
        "threshold": positive(F),
    }
    save_file(tensors | {"affine_skip_connection": draw(D, D)}, path / "params.safetensors")
    config = {"architecture": "jump_relu", "width": F, "affine_connection": True, "type": "transcoder"}
    (path / "config.json").write_text(json.dumps(config))


def run_gemma_scope_2(path: Path, x: Tensor) -> tuple[Tensor, Tensor]:
    w = load_file(path / "params.safetensors")
    pre = x @ w["w_enc"] + w["b_enc"]
    acts = (pre > w["threshold"]) * torch.relu(pre)
    return acts, acts @ w["w_dec"] + w["b_dec"] + x @ w["affine_skip_connection"]


def sparsify(transcode: bool) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        tensors = {
            "encoder.weight": draw(F, D),
            "encoder.bias": draw(F),
            "W_dec": draw(F, D),
            "b_dec": draw(D),
        }
        if transcode:
            tensors["W_skip"] = draw(D, D)
        save_file(tensors, path / "sae.safetensors")
        config = {"activation": "topk", "num_latents": F, "k": K, "d_in": D, "expansion_factor": 32}
        config |= {"transcode": transcode, "skip_connection": transcode}
        (path / "cfg.json").write_text(json.dumps(config))

    return make


def run_sparsify(path: Path, x: Tensor) -> tuple[Tensor, Tensor]:
    w, cfg = load_file(path / "sae.safetensors"), json.loads((path / "cfg.json").read_text())
    centred = x if cfg["transcode"] else x - w["b_dec"]
    acts = top(centred @ w["encoder.weight"].T + w["encoder.bias"], cfg["k"])
    out = acts @ w["W_dec"] + w["b_dec"]
    return acts, out + x @ w["W_skip"].mT if "W_skip" in w else out


def dictionary_learning(name: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        linear = {"encoder.weight": draw(F, D), "encoder.bias": draw(F), "decoder.weight": draw(D, F)}
        matrices = {"W_enc": draw(D, F), "W_dec": draw(F, D), "b_enc": draw(F), "b_dec": draw(D)}
        scalars = {"k": torch.tensor(K, dtype=torch.int), "threshold": torch.tensor(0.7)}
        state = {
            "AutoEncoder": linear | {"bias": draw(D)},
            "AutoEncoderNew": linear | {"decoder.bias": draw(D)},
            "AutoEncoderTopK": linear | scalars | {"b_dec": draw(D)},
            "BatchTopKSAE": linear | scalars | {"b_dec": draw(D)},
            "MatryoshkaBatchTopKSAE": matrices | scalars | {"group_sizes": torch.tensor([10, 30])},
            "JumpReluAutoEncoder": matrices | {"threshold": positive(F)},
            "GatedAutoEncoder": {
                "encoder.weight": draw(F, D), "decoder.weight": draw(D, F), "decoder_bias": draw(D),
                "r_mag": draw(F) / 2, "gate_bias": draw(F), "mag_bias": draw(F),
            },
        }[name]  # fmt: skip
        trainer = {"dict_class": name, "activation_dim": D, "dict_size": F, "layer": 2}
        trainer |= {"submodule_name": "resid_post_layer_2"} | ({"k": K} if "k" in state else {})
        torch.save(state, path / "ae.pt")
        (path / "config.json").write_text(json.dumps({"trainer": trainer, "buffer": {"ctx_len": 128}}))

    return make


def run_dictionary_learning(path: Path, x: Tensor) -> tuple[Tensor, Tensor]:
    w = torch.load(path / "ae.pt", weights_only=True)
    name = json.loads((path / "config.json").read_text())["trainer"]["dict_class"]
    if name == "GatedAutoEncoder":
        pre = (x - w["decoder_bias"]) @ w["encoder.weight"].T
        acts = (pre + w["gate_bias"] > 0) * torch.relu(w["r_mag"].exp() * pre + w["mag_bias"])
        return acts, acts @ w["decoder.weight"].T + w["decoder_bias"]
    if "W_enc" in w:
        centre = w["b_dec"] if name == "MatryoshkaBatchTopKSAE" else 0
        pre = (x - centre) @ w["W_enc"] + w["b_enc"]
        acts = torch.relu(pre * (pre > w["threshold"]))
        return acts, acts @ w["W_dec"] + w["b_dec"]
    centre = w["bias"] if name == "AutoEncoder" else w.get("b_dec", torch.zeros(D))
    pre = (x - centre) @ w["encoder.weight"].T + w["encoder.bias"]
    acts = pre.relu()
    if name == "AutoEncoder":  # what from_pretrained does to the decoder
        norm = w["decoder.weight"].norm(dim=0)
        return acts * norm, (acts * norm) @ (w["decoder.weight"] / norm).T + centre
    if name == "AutoEncoderTopK":
        acts = top(pre, int(w["k"]))
    if name == "BatchTopKSAE":
        acts = acts * (acts > w["threshold"])
    return acts, acts @ w["decoder.weight"].T + w.get("decoder.bias", centre)


def llama_scope_with(**settings) -> Callable[[Path], None]:
    """With other settings than the released transcoders'."""

    def make(path: Path) -> None:
        llama_scope(path)
        file = path / "hyperparams.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | settings))

    return make


def llama_scope(path: Path) -> None:
    (path / "checkpoints").mkdir()
    tensors = {
        "encoder.weight": draw(F, D),
        "encoder.bias": draw(F),
        "decoder.weight": draw(D, F),
        "decoder.bias": draw(D),
    }
    save_file(tensors, path / "checkpoints" / "final.safetensors")
    config = {
        "hook_point_in": "blocks.2.mlp.hook_in", "hook_point_out": "blocks.2.mlp.hook_out", "d_model": D,
        "d_sae": F, "act_fn": "jumprelu", "jump_relu_threshold": 0.4, "norm_activation": "dataset-wise",
        "dataset_average_activation_norm": {"in": 9.0, "out": 2.5}, "sparsity_include_decoder_norm": True,
        "use_decoder_bias": True, "apply_decoder_bias_to_pre_encoder": False, "top_k": 50,
    }  # fmt: skip
    (path / "hyperparams.json").write_text(json.dumps(config))


def run_llama_scope(path: Path, x: Tensor) -> tuple[Tensor, Tensor]:
    w = load_file(path / "checkpoints" / "final.safetensors")
    cfg = json.loads((path / "hyperparams.json").read_text())
    f_in = f_out = 1.0
    if cfg["norm_activation"] == "dataset-wise":
        f_in, f_out = (D**0.5 / cfg["dataset_average_activation_norm"][side] for side in ("in", "out"))
    factor = torch.ones(len(x), 1)
    if cfg["norm_activation"] == "token-wise":
        factor = D**0.5 / x.norm(dim=1, keepdim=True)
    decoder = w["decoder.weight"] * f_in / f_out
    norm = decoder.norm(dim=0) if cfg["sparsity_include_decoder_norm"] else torch.ones(F)
    centre = w["decoder.bias"] / f_out if cfg["apply_decoder_bias_to_pre_encoder"] else 0
    pre = ((x * factor - centre) @ w["encoder.weight"].T + w["encoder.bias"] / f_in) * norm
    if cfg["act_fn"] == "topk" and cfg["jump_relu_threshold"] <= 0:
        acts = top(pre, cfg["top_k"])
    elif cfg["act_fn"] == "relu":
        acts = pre.relu()
    else:
        acts = pre * (pre > cfg["jump_relu_threshold"])
    return acts, (acts @ (decoder / norm).T + w["decoder.bias"] / f_out) / factor


def qwen_scope(path: Path) -> None:
    state = {"W_enc": draw(F, D), "W_dec": draw(D, F), "b_enc": draw(F), "b_dec": draw(D)}
    torch.save(state, path / "layer2.sae.pt")


def run_qwen_scope(path: Path, x: Tensor) -> tuple[Tensor, Tensor]:
    w = torch.load(path, weights_only=True)
    acts = top(x @ w["W_enc"].T + w["b_enc"], K)
    return acts, acts @ w["W_dec"].T + w["b_dec"]
