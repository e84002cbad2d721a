"""Files of other tools in the styles of their releases, and what the tool's own code makes of them.

Each `Case` writes a release by hand and computes its forward pass in a few lines that share nothing with the
package. Each `Refusal` is a release that cannot be read right, and what its user is told.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import yaml
from safetensors.torch import load_file, save_file
from torch import Tensor

from mindscope.dictionaries.formats.base import ReadOptions

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


@dataclass(frozen=True)
class Case:
    """How to write a file by hand, and what its tool makes of x: activations and output.

    Attributes:
        name: the style of the release.
    """

    name: str
    format: str
    make: Callable[[Path], None]
    run: Callable[[Path, Tensor], tuple[Tensor, Tensor]]
    options: ReadOptions = field(default_factory=ReadOptions)
    file: str = ""


@dataclass(frozen=True)
class Refusal:
    """A release that is refused, and words of the line that says why."""

    name: str
    format: str
    make: Callable[[Path], None]
    words: str
    options: ReadOptions = field(default_factory=ReadOptions)
    file: str = ""


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


RESID, MLP = ReadOptions(reads=("resid_post.2",)), ReadOptions(reads=("mlp_in.2",), writes=("mlp_out.2",))
CASES = [
    Case("version 6, standard", "saelens", saelens("standard"), run_saelens),
    Case("version 6, topk", "saelens", saelens("topk", k=K), run_saelens),
    Case(
        "version 6, topk by decoder norm",
        "saelens",
        saelens("topk", k=K, rescale_acts_by_decoder_norm=True),
        run_saelens,
    ),
    Case("version 6, jumprelu", "saelens", saelens("jumprelu"), run_saelens),
    Case(
        "version 6, layer_norm, topk",
        "saelens",
        saelens("topk", k=K, normalize_activations="layer_norm"),
        run_saelens,
    ),
    Case(
        "version 6, layer_norm, gated",
        "saelens",
        saelens("gated", normalize_activations="layer_norm"),
        run_saelens,
    ),
    Case(
        "version 6, constant_norm_rescale",
        "saelens",
        saelens("jumprelu", normalize_activations="constant_norm_rescale"),
        run_saelens,
    ),
    Case(
        "version 6, expected_average_only_in, factor given",
        "saelens",
        saelens("standard", normalize_activations="expected_average_only_in"),
        run_scaled,
        ReadOptions(input_scale=SCALE),
    ),
    Case(
        "version 6, topk named in metadata",
        "saelens",
        saelens(
            "standard",
            metadata={
                "hook_name": "blocks.2.hook_resid_post",
                "activation_fn": "topk",
                "activation_fn_kwargs": {"k": K},
            },
        ),
        run_saelens,
    ),
    Case(
        "version 6, one layer's heads (hook_z)",
        "saelens",
        saelens("standard", reshape_activations="hook_z", metadata={"hook_name": "blocks.2.attn.hook_z"}),
        run_saelens,
    ),
    Case("flat, standard", "saelens", saelens_flat(), run_saelens),
    Case(
        "flat, activation_fn_str topk, layer_norm (GPT-2 v5)",
        "saelens",
        saelens_flat(
            activation_fn_str="topk", activation_fn_kwargs={"k": K}, normalize_activations="layer_norm"
        ),
        run_saelens,
    ),
    Case(
        "flat, architecture standard with topk",
        "saelens",
        saelens_flat(architecture="standard", activation_fn="topk", activation_fn_kwargs={"k": K}),
        run_saelens,
    ),
    Case("flat, jumprelu", "saelens", saelens_flat("jumprelu", architecture="jumprelu"), run_saelens),
    Case(
        "flat, hook_point with the layer apart",
        "saelens",
        saelens_flat(hook_point="blocks.{layer}.hook_resid_post", hook_point_layer=2),
        run_saelens,
    ),
    Case(
        "flat, hook name without a layer", "saelens", saelens_flat(hook_name="hook_resid_post"), run_saelens
    ),
    Case(
        "flat, normalize_activations true, factor given",
        "saelens",
        saelens_flat(normalize_activations=True),
        run_scaled,
        ReadOptions(input_scale=SCALE),
    ),
    Case("flat, finetuned", "saelens", saelens_flat(finetuned=True), run_saelens),
    Case(
        "version 6, b_dec not subtracted",
        "saelens",
        saelens("standard", apply_b_dec_to_input=False),
        run_saelens,
    ),
    Case("version 6, gated", "saelens", saelens("gated"), run_saelens),
    Case("version 6, transcoder", "saelens", saelens("transcoder"), run_saelens),
    Case("version 6, skip transcoder", "saelens", saelens("skip_transcoder"), run_saelens),
    Case("version 6, jumprelu transcoder", "saelens", saelens("jumprelu_transcoder"), run_saelens),
    Case("sae", "gemma_scope", gemma_scope, run_gemma_scope, RESID),
    Case("transcoder", "gemma_scope", gemma_scope, run_gemma_scope, MLP),
    Case("skip transcoder", "gemma_scope_2", gemma_scope_2, run_gemma_scope_2, MLP),
    Case("sae", "sparsify", sparsify(False), run_sparsify, RESID),
    Case("skip transcoder", "sparsify", sparsify(True), run_sparsify, MLP),
    *[
        Case(name, "dictionary_learning", dictionary_learning(name), run_dictionary_learning)
        for name in (
            "AutoEncoder",
            "AutoEncoderNew",
            "AutoEncoderTopK",
            "BatchTopKSAE",
            "MatryoshkaBatchTopKSAE",
            "JumpReluAutoEncoder",
            "GatedAutoEncoder",
        )
    ],
    Case("transcoder, dataset-wise", "llama_scope", llama_scope, run_llama_scope),
    Case(
        "topk, its threshold unused",
        "llama_scope",
        llama_scope_with(act_fn="topk", top_k=K, jump_relu_threshold=0.0, norm_activation="inference"),
        run_llama_scope,
    ),
    Case(
        "relu, bias subtracted",
        "llama_scope",
        llama_scope_with(
            act_fn="relu",
            jump_relu_threshold=0.0,
            hook_point_in="blocks.2.hook_resid_post",
            hook_point_out="blocks.2.hook_resid_post",
            apply_decoder_bias_to_pre_encoder=True,
        ),
        run_llama_scope,
    ),
    Case(
        "sae, token-wise",
        "llama_scope",
        llama_scope_with(
            norm_activation="token-wise",
            hook_point_in="blocks.2.hook_resid_post",
            hook_point_out="blocks.2.hook_resid_post",
        ),
        run_llama_scope,
    ),
    Case("sae", "qwen_scope", qwen_scope, run_qwen_scope, ReadOptions(k=K), file="layer2.sae.pt"),
    Case("relu", "circuit_tracer", circuit_tracer_set("relu"), run_circuit_tracer_set),
    Case("topk", "circuit_tracer", circuit_tracer_set("topk"), run_circuit_tracer_set),
    Case("jumprelu", "circuit_tracer", circuit_tracer_set("jumprelu"), run_circuit_tracer_set),
    Case("clt", "circuit_tracer", circuit_tracer_clt, run_circuit_tracer_clt),
]


def changed(make: Callable[[Path], None], file: str, **settings) -> Callable[[Path], None]:
    """A release with other settings in its configuration; `trainer` is merged."""

    def make_changed(path: Path) -> None:
        make(path)
        load, dump = (yaml.safe_load, yaml.safe_dump) if file.endswith(".yaml") else (json.loads, json.dumps)
        config = load((path / file).read_text())
        if "trainer" in settings:
            config["trainer"] |= settings["trainer"]
            (path / file).write_text(dump(config))
            return
        (path / file).write_text(dump(config | settings))

    return make_changed


def with_tensor(make: Callable[[Path], None], name: str, tensor: Tensor) -> Callable[[Path], None]:
    def make_with(path: Path) -> None:
        make(path)
        file = path / "sae_weights.safetensors"
        save_file(load_file(file) | {name: tensor}, file)

    return make_with


TRAINER = dictionary_learning("AutoEncoder")
REFUSALS = [
    Refusal(
        "expected_average_only_in, factor not given",
        "saelens",
        saelens("standard", normalize_activations="expected_average_only_in"),
        "input_scale",
    ),
    Refusal(
        "a normalisation that is not known",
        "saelens",
        saelens("standard", normalize_activations="batch_norm"),
        "'batch_norm' is not supported",
    ),
    Refusal(
        "layer_norm of a transcoder",
        "saelens",
        saelens("transcoder", normalize_activations="layer_norm"),
        "normalises every token",
    ),
    Refusal(
        "b_dec subtracted from a transcoder's input",
        "saelens",
        saelens("transcoder", apply_b_dec_to_input=True),
        "apply_b_dec_to_input",
    ),
    Refusal("activation tanh-relu", "saelens", saelens_flat(activation_fn_str="tanh-relu"), "'tanh-relu'"),
    Refusal(
        "top-k of a gated SAE",
        "saelens",
        saelens("gated", activation_fn="topk", activation_fn_kwargs={"k": K}),
        "topk of a gated SAE",
    ),
    Refusal("top-k without k", "saelens", saelens("topk"), "needs k"),
    Refusal("two ks", "saelens", saelens("topk", k=K, activation_fn_kwargs={"k": K + 1}), "one alone"),
    Refusal("a training checkpoint", "saelens", saelens("batchtopk"), "save_inference_model"),
    Refusal(
        "one attention head",
        "saelens",
        saelens_flat(hook_name="blocks.2.attn.hook_z", hook_head_index=3),
        "one attention head",
    ),
    Refusal(
        "hook_z of the residual stream",
        "saelens",
        saelens("standard", reshape_activations="hook_z"),
        "reshape_activations",
    ),
    Refusal("two layers", "saelens", saelens_flat(hook_layer=3), "which is it?"),
    Refusal(
        "finetuning factors that the configuration does not mention",
        "saelens",
        with_tensor(saelens("standard"), "scaling_factor", torch.full((F,), 2.0)),
        "does not set finetuning_scaling_factor",
    ),
    Refusal(
        "finetuning factors that are not there",
        "saelens",
        saelens("standard", finetuning_scaling_factor=True),
        "lacks scaling_factor",
    ),
    Refusal(
        "any other setting that sounds like a normalisation",
        "saelens",
        saelens("standard", center_input=True),
        "center_input",
    ),
    Refusal(
        "architecture relu",
        "gemma_scope_2",
        changed(gemma_scope_2, "config.json", architecture="relu"),
        "'relu' is not supported",
        MLP,
    ),
    Refusal(
        "a setting that is not known",
        "gemma_scope_2",
        changed(gemma_scope_2, "config.json", input_norm="rms"),
        "input_norm",
        MLP,
    ),
    Refusal(
        "groupmax", "sparsify", changed(sparsify(False), "cfg.json", activation="groupmax"), "groupmax", RESID
    ),
    Refusal(
        "a setting that is not known",
        "sparsify",
        changed(sparsify(False), "cfg.json", normalize_io=True),
        "normalize_io",
        RESID,
    ),
    Refusal(
        "a class that is not known",
        "dictionary_learning",
        changed(TRAINER, "config.json", trainer={"dict_class": "CrossCoder"}),
        "'CrossCoder'",
    ),
    Refusal(
        "the input of a submodule",
        "dictionary_learning",
        changed(TRAINER, "config.json", buffer={"io": "in"}),
        "give the address",
    ),
    Refusal(
        "a setting that is not known",
        "dictionary_learning",
        changed(TRAINER, "config.json", trainer={"rescale_input": 2.0}),
        "rescale_input",
    ),
    Refusal(
        "batch-wise normalisation",
        "llama_scope",
        llama_scope_with(norm_activation="batch-wise"),
        "'batch-wise'",
    ),
    Refusal(
        "token-wise normalisation of a transcoder",
        "llama_scope",
        llama_scope_with(norm_activation="token-wise"),
        "normalises every token",
    ),
    Refusal("GLU encoder", "llama_scope", llama_scope_with(use_glu_encoder=True), "GLU"),
    Refusal(
        "an activation that is not known", "llama_scope", llama_scope_with(act_fn="softplus"), "'softplus'"
    ),
    Refusal("a crosscoder", "llama_scope", llama_scope_with(sae_type="crosscoder"), "'crosscoder'"),
    Refusal("k not given", "qwen_scope", qwen_scope, "does not hold k", file="layer2.sae.pt"),
    Refusal(
        "an activation that is not known",
        "circuit_tracer",
        changed(circuit_tracer_set("relu"), "config.yaml", activation="gelu"),
        "'gelu'",
    ),
    Refusal(
        "a setting that is not known",
        "circuit_tracer",
        changed(circuit_tracer_set("relu"), "config.yaml", input_scaling="rms"),
        "input_scaling",
    ),
]
