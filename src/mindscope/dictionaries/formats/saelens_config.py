"""The `cfg.json` of SAELens, of any age, as the settings that decide the forward pass.

1. Names of versions before 6 become those of version 6. They were flat; since then `metadata` holds what
   belongs to the model, and releases exist that have one and the other mixed.
2. What the forward pass depends on is taken out, each setting with the default it had.
3. What is not supported, or contradicts itself, is refused. So is any other setting that sounds as if it
   changed activations: see `refuse_unknown`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindscope.dictionaries.formats.files import refuse_unknown, setting
from mindscope.dictionaries.kinds import Normalisation
from mindscope.errors import DataError

RENAMED = {
    "hook_point": "hook_name",
    "hook_point_layer": "hook_layer",
    "hook_point_head_index": "hook_head_index",
    "activation_fn_str": "activation_fn",
}
NORMALISATIONS: Mapping[str, Normalisation] = {
    "layer_norm": "layer_norm",
    "constant_norm_rescale": "unit_norm",
}
SCALED = "expected_average_only_in"
"""Activations times one factor, which a file holds only folded into the weights."""
UNDERSTOOD = frozenset(
    {
        # the forward pass; read below
        "activation_fn", "activation_fn_kwargs", "apply_b_dec_to_input", "finetuning_scaling_factor",
        "normalize_activations", "rescale_acts_by_decoder_norm", "reshape_activations",
        # of the training alone
        "activation_store_batch_size", "activations_mixing_fraction", "activations_path", "b_dec_init_method",
        "cached_activations_path", "dead_feature_threshold", "decoder_heuristic_init_norm",
        "decoder_init_norm", "jumprelu_init_threshold", "mse_loss_normalization",
        "n_batches_for_norm_estimate", "normalize_sae_decoder", "scale_sparsity_penalty_by_decoder_norm",
        "use_cached_activations", "n_batches_in_buffer", "topk_threshold_lr",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SaelensConfig:
    """What decides the forward pass.

    Attributes:
        architecture: in the words of version 6.
        k: active latents; None but for `topk`.
        subtract: whether b_dec is subtracted from the input.
        normalisation: of every token.
        scaled: whether the input is multiplied by a factor that the file does not hold.
        finetuned: whether the tensor `scaling_factor` multiplies activations before they are decoded.
        rescaled: whether latents are chosen by activation times decoder norm.
        hook, hook_out: TransformerLens names of what is read and, by a transcoder, written.
    """

    architecture: str
    d_in: int
    d_sae: int
    k: int | None
    subtract: bool
    normalisation: Normalisation | None
    scaled: bool
    finetuned: bool
    rescaled: bool
    hook: str | None
    hook_out: str | None

    @property
    def transcoder(self) -> bool:
        return self.architecture.endswith("transcoder")


def read_saelens_config(given: Mapping[str, Any], file: Path) -> SaelensConfig:
    """The settings of a `cfg.json`.

    Raises:
        DataError: a setting that is missing, contradicts another, or asks for what is not supported.
    """
    top = _renamed(given)
    inner = _renamed(setting(top, file, "metadata" if top.get("metadata") else "meta", dict, {}))
    refuse_unknown({name: value for name, value in top.items() if name != "metadata"}, file, UNDERSTOOD)
    config = inner | {name: value for name, value in top.items() if value is not None}
    architecture, k = _architecture(config, file)
    transcoder = architecture.endswith("transcoder")
    normalisation, scaled = _normalisation(config, file)
    if config.get("hook_head_index") is not None:
        raise DataError(
            f"{file}: it reads one attention head (hook_head_index {config['hook_head_index']}), which is "
            "not supported: an SAE of z reads all heads of a layer"
        )
    hook = _hook(config, "hook_name", config.get("hook_layer"), file)
    reshape = config.get("reshape_activations") or "none"
    if reshape not in ("none", "hook_z") or (reshape == "hook_z" and not (hook or "z").endswith("z")):
        raise DataError(f"{file}: reshape_activations {reshape!r} of {hook} is not supported, hook_z of z is")
    subtract = setting(config, file, "apply_b_dec_to_input", bool, not transcoder)
    if transcoder and subtract:
        raise DataError(
            f"{file}: a transcoder's b_dec is of what it writes, and apply_b_dec_to_input would subtract it "
            "from what it reads: not supported"
        )
    rescaled = bool(config.get("rescale_acts_by_decoder_norm"))
    if rescaled and architecture != "topk":
        raise DataError(f"{file}: rescale_acts_by_decoder_norm is known for topk, not for {architecture}")
    return SaelensConfig(
        architecture=architecture,
        d_in=setting(config, file, "d_in", int),
        d_sae=setting(config, file, "d_sae", int),
        k=k,
        subtract=subtract,
        normalisation=normalisation,
        scaled=scaled,
        finetuned=bool(config.get("finetuning_scaling_factor")),
        rescaled=rescaled,
        hook=hook,
        hook_out=_hook(config, "hook_name_out", config.get("hook_layer_out"), file) if transcoder else None,
    )


def _renamed(config: Mapping[str, Any]) -> dict[str, Any]:
    return {RENAMED.get(name, name): value for name, value in config.items()}


def _architecture(config: Mapping[str, Any], file: Path) -> tuple[str, int | None]:
    """The architecture of version 6, and k. Before, top-k was an activation of the standard SAE."""
    architecture = setting(config, file, "architecture", str, "standard")
    activation = setting(config, file, "activation_fn", str, "relu")
    options = dict(setting(config, file, "activation_fn_kwargs", dict, {}))
    if activation == "topk" and architecture in ("standard", "topk"):
        architecture = "topk"
    elif activation == "topk":
        raise DataError(f"{file}: the activation topk of a {architecture} SAE is not supported")
    elif activation not in ("relu", architecture.removesuffix("_transcoder")):
        raise DataError(
            f"{file}: the activation {activation!r} of a {architecture} SAE is not supported, only relu, topk"
        )
    k = options.pop("k", None)
    refuse_unknown({f"activation_fn_kwargs.{name}": value for name, value in options.items()}, file, ())
    if architecture != "topk":
        return architecture, None
    named = {"activation_fn_kwargs.k": k, "k": config.get("k")}
    counts = {setting(named, file, name, int) for name, count in named.items() if count is not None}
    if len(counts) != 1:
        raise DataError(f"{file}: top-k needs k, and one alone: it says {sorted(counts) or 'none'}")
    return architecture, counts.pop()


def _normalisation(config: Mapping[str, Any], file: Path) -> tuple[Normalisation | None, bool]:
    """What is done to every token, and whether all are multiplied by a factor that is not in the file."""
    name = config.get("normalize_activations") or "none"
    if name is True:  # before version 3
        name = SCALED
    if name in ("none", SCALED):
        return None, name == SCALED
    if name not in NORMALISATIONS:
        raise DataError(
            f"{file}: normalize_activations {name!r} is not supported, only none, {SCALED}, "
            f"{' and '.join(NORMALISATIONS)}"
        )
    return NORMALISATIONS[name], False


def _hook(config: Mapping[str, Any], key: str, layer: object, file: Path) -> str | None:
    """A TransformerLens name, with the layer that old files give apart from it."""
    hook = config.get(key)
    if not isinstance(hook, str) or not hook:
        return None
    if isinstance(layer, int) and not isinstance(layer, bool):
        hook = hook.replace("{layer}", str(layer))
        named = re.match(r"blocks\.(\d+)\.", hook)
        if named is None and hook.startswith(("hook_resid", "hook_mlp", "hook_attn", "attn.", "mlp.", "ln")):
            hook = f"blocks.{layer}.{hook}"
        elif named is not None and int(named[1]) != layer:
            raise DataError(f"{file}: {key} is {hook}, and the layer is said to be {layer}: which is it?")
    if "{layer}" in hook:
        raise DataError(f"{file}: {key} is {hook}, and hook_layer is missing: give the address")
    return hook
