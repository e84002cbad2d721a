"""Files of other tools in the styles of their releases, and what the tool's own code makes of them.

Each `Case` writes a release by hand and computes its forward pass in a few lines that share nothing with the
package. `format_refusals` has the releases that cannot be read right.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from release_kit import (
    SCALE,
    K,
    dictionary_learning,
    gemma_scope,
    gemma_scope_2,
    llama_scope,
    llama_scope_with,
    qwen_scope,
    run_dictionary_learning,
    run_gemma_scope,
    run_gemma_scope_2,
    run_llama_scope,
    run_qwen_scope,
    run_saelens,
    run_scaled,
    run_sparsify,
    saelens,
    saelens_flat,
    sparsify,
)
from torch import Tensor
from tracer_release_kit import (
    circuit_tracer_clt,
    circuit_tracer_set,
    run_circuit_tracer_clt,
    run_circuit_tracer_set,
)

from mindscope.dictionaries.formats.base import ReadOptions


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
