"""Every format against a few lines that do what its own tool does with the files; and back again."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from torch import Tensor

from mindscope.dictionaries.formats import detect, read_dictionary, write_dictionary
from mindscope.dictionaries.formats.base import ReadOptions

D, F, K = 12, 40, 5
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
    """How to write a file by hand, and what its tool makes of x: activations and output."""

    name: str
    format: str
    make: Callable[[Path], None]
    run: Callable[[Path, Tensor], tuple[Tensor, Tensor]]
    options: ReadOptions = field(default_factory=ReadOptions)
    file: str = ""


def saelens(architecture: str, **config) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        tensors = {"W_enc": draw(D, F), "W_dec": draw(F, D) / 3, "b_dec": draw(D)}
        if architecture == "gated":
            tensors |= {"b_gate": draw(F), "r_mag": draw(F) / 2, "b_mag": draw(F)}
        else:
            tensors["b_enc"] = draw(F)
        if "jumprelu" in architecture:
            tensors["threshold"] = draw(F)  # some below 0, where SAELens' ReLU still cuts
        if architecture == "skip_transcoder":
            tensors["W_skip"] = draw(D, D)
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
        save_file(tensors, path / "sae_weights.safetensors")
        (path / "cfg.json").write_text(json.dumps(settings | config))

    return make


def run_saelens(path: Path, x: Tensor) -> tuple[Tensor, Tensor]:
    w, cfg = load_file(path / "sae_weights.safetensors"), json.loads((path / "cfg.json").read_text())
    sae_in = x - w["b_dec"] * cfg["apply_b_dec_to_input"]
    if cfg["architecture"] == "gated":
        on = (sae_in @ w["W_enc"] + w["b_gate"] > 0).float()
        acts = on * torch.relu(sae_in @ (w["W_enc"] * w["r_mag"].exp()) + w["b_mag"])
        return acts, acts @ w["W_dec"] + w["b_dec"]
    pre = sae_in @ w["W_enc"] + w["b_enc"]
    if cfg["architecture"] == "topk":
        norm = w["W_dec"].norm(dim=-1) if cfg.get("rescale_acts_by_decoder_norm") else torch.ones(F)
        acts = top(pre * norm, cfg["k"])
        return acts, (acts / norm) @ w["W_dec"] + w["b_dec"]
    acts = torch.relu(pre)
    if "threshold" in w:
        acts = acts * (pre > w["threshold"])
    out = acts @ w["W_dec"] + w["b_dec"]
    return acts, out + x @ w["W_skip"].T if "W_skip" in w else out


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
    decoder = w["decoder.weight"] * f_in / f_out
    norm = decoder.norm(dim=0) if cfg["sparsity_include_decoder_norm"] else torch.ones(F)
    pre = (x @ w["encoder.weight"].T + w["encoder.bias"] / f_in) * norm
    acts = pre * (pre > cfg["jump_relu_threshold"])
    return acts, acts @ (decoder / norm).T + w["decoder.bias"] / f_out


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
    Case("standard", "saelens", saelens("standard"), run_saelens),
    Case("topk", "saelens", saelens("topk", k=K), run_saelens),
    Case("topk rescaled", "saelens", saelens("topk", k=K, rescale_acts_by_decoder_norm=True), run_saelens),
    Case("jumprelu", "saelens", saelens("jumprelu"), run_saelens),
    Case("not centred", "saelens", saelens("standard", apply_b_dec_to_input=False), run_saelens),
    Case("gated", "saelens", saelens("gated"), run_saelens),
    Case("transcoder", "saelens", saelens("transcoder"), run_saelens),
    Case("skip transcoder", "saelens", saelens("skip_transcoder"), run_saelens),
    Case("jumprelu transcoder", "saelens", saelens("jumprelu_transcoder"), run_saelens),
    Case("sae", "gemma_scope", gemma_scope, run_gemma_scope, RESID),
    Case("transcoder", "gemma_scope", gemma_scope, run_gemma_scope, MLP),
    Case("skip transcoder", "gemma_scope_2", gemma_scope_2, run_gemma_scope_2, MLP),
    Case("sae", "sparsify", sparsify(False), run_sparsify, RESID),
    Case("skip transcoder", "sparsify", sparsify(True), run_sparsify, MLP),
    *[
        Case(name, "dictionary_learning", dictionary_learning(name), run_dictionary_learning)
        for name in (
            "AutoEncoder", "AutoEncoderNew", "AutoEncoderTopK", "BatchTopKSAE", "MatryoshkaBatchTopKSAE",
            "JumpReluAutoEncoder", "GatedAutoEncoder",
        )
    ],
    Case("transcoder", "llama_scope", llama_scope, run_llama_scope),
    Case("sae", "qwen_scope", qwen_scope, run_qwen_scope, ReadOptions(k=K), file="layer2.sae.pt"),
    Case("relu", "circuit_tracer", circuit_tracer_set("relu"), run_circuit_tracer_set),
    Case("topk", "circuit_tracer", circuit_tracer_set("topk"), run_circuit_tracer_set),
    Case("jumprelu", "circuit_tracer", circuit_tracer_set("jumprelu"), run_circuit_tracer_set),
    Case("clt", "circuit_tracer", circuit_tracer_clt, run_circuit_tracer_clt),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.format} {case.name}")
def test_forward_and_round_trip(case: Case, tmp_path: Path):
    DRAW.manual_seed(0)
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.mkdir()
    case.make(source)
    source, copy = source / case.file, copy / case.file
    assert detect(source).name == case.format
    dictionary = read_dictionary(source, options=case.options)
    inputs = x(dictionary.d_in)
    acts, out = case.run(source, inputs)
    assert 0 < (acts != 0).float().mean() < 1
    torch.testing.assert_close(dictionary.encode(inputs).dense(), acts, rtol=1e-5, atol=2e-5)
    torch.testing.assert_close(dictionary(inputs), out, rtol=1e-5, atol=5e-5)

    write_dictionary(dictionary, copy, case.format, case.options)
    written = case.run(copy, inputs)
    torch.testing.assert_close(written[1], out, rtol=1e-5, atol=5e-5)  # what the tool makes of our file
    again = read_dictionary(copy, case.format, case.options)
    torch.testing.assert_close(again.encode(inputs).dense(), acts, rtol=1e-5, atol=2e-5)
    torch.testing.assert_close(again(inputs), dictionary(inputs), rtol=1e-5, atol=5e-5)
    assert (again.reads, again.writes, again.wiring, again.k) == (
        dictionary.reads, dictionary.writes, dictionary.wiring, dictionary.k
    )  # fmt: skip


def test_lazy_layers_are_the_same_and_read_one_by_one(tmp_path: Path):
    DRAW.manual_seed(0)
    circuit_tracer_clt(tmp_path)
    eager, lazy = (read_dictionary(tmp_path, options=ReadOptions(lazy=lazy)) for lazy in (False, True))
    assert torch.equal(lazy(x(3 * D)), eager(x(3 * D)))
    (tmp_path / "W_dec_2.safetensors").unlink()
    assert torch.equal(lazy.coders[1].W_dec, eager.coders[1].W_dec)
    with pytest.raises(Exception, match=r"W_dec_2"):
        lazy.coders[2]
