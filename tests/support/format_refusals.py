"""Releases of other tools that cannot be read right, and what their user is told."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
import yaml
from format_kit import MLP, RESID
from release_kit import (
    F,
    K,
    dictionary_learning,
    gemma_scope_2,
    llama_scope_with,
    qwen_scope,
    saelens,
    saelens_flat,
    sparsify,
)
from safetensors.torch import load_file, save_file
from torch import Tensor
from tracer_release_kit import circuit_tracer_set

from mindscope.dictionaries.formats.base import ReadOptions


@dataclass(frozen=True)
class Refusal:
    """A release that is refused, and words of the line that says why."""

    name: str
    format: str
    make: Callable[[Path], None]
    words: str
    options: ReadOptions = field(default_factory=ReadOptions)
    file: str = ""


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
