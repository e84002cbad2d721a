"""SAELens: a folder of `cfg.json` and `sae_weights.safetensors` (github.com/decoderesearch/SAELens).

Read and written as its inference classes have it (version 6; configurations of older versions are read, see
`saelens_config.py`). The standard, top-k, JumpReLU and gated SAE and its transcoders, with b_dec subtracted
where `apply_b_dec_to_input`: z = act((x - b_dec)W_enc + b_enc); out = z W_dec + b_dec (+ x W_skipᵀ). A top-k
SAE with `rescale_acts_by_decoder_norm` selects by z·|W_dec| and reports these products. What
`normalize_activations` says is done to x and undone at the output (`layer_norm`, `constant_norm_rescale`), or
is one factor that must be given (`expected_average_only_in`). A `scaling_factor` of finetuning multiplies z
where it is decoded.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from mindscope.dictionaries.dictionary import Dictionary
from mindscope.dictionaries.formats.base import (
    GATE,
    DictionaryFormat,
    ReadOptions,
    as_jumprelu,
    assemble,
    clamp_threshold,
    drop_unused_threshold,
    fold_input_scale,
    gated_to_jumprelu,
    import_metadata,
    original_config,
    parts_of,
    require_single_coder,
    require_supported,
    rescale_latents,
    resolve_sites,
)
from mindscope.dictionaries.formats.files import (
    read_config,
    read_weights,
    write_config,
    write_weights,
)
from mindscope.dictionaries.formats.layout import FileLayout, TensorEntry
from mindscope.dictionaries.formats.saelens_config import (
    NORMALISATIONS,
    SaelensConfig,
    read_saelens_config,
)
from mindscope.errors import DataError
from mindscope.models import address_of_hook, hook_of_address

NAME = "saelens"
CONFIG, WEIGHTS = "cfg.json", "sae_weights.safetensors"

_ALWAYS = (
    TensorEntry("W_enc", "W_enc", "d_in latents"),
    TensorEntry("W_dec", "W_dec", "latents d_out"),
    TensorEntry("b_dec", "b_dec", "d_out"),
)
_BIAS = TensorEntry("b_enc", "b_enc", "latents")
_THRESHOLD = TensorEntry("threshold", "threshold", "latents")
_SKIP = TensorEntry("W_skip", "W_skip", "d_out d_in")
LAYOUTS = {
    "standard": FileLayout((*_ALWAYS, _BIAS)),
    "topk": FileLayout((*_ALWAYS, _BIAS)),
    "jumprelu": FileLayout((*_ALWAYS, _BIAS, _THRESHOLD)),
    "gated": FileLayout((*_ALWAYS, *(TensorEntry(name, name, "latents", ours="latents") for name in GATE))),
    "transcoder": FileLayout((*_ALWAYS, _BIAS), square=False),
    "skip_transcoder": FileLayout((*_ALWAYS, _BIAS, _SKIP), square=False),
    "jumprelu_transcoder": FileLayout((*_ALWAYS, _BIAS, _THRESHOLD), square=False),
}


FINETUNED = ("scaling_factor", "finetuning_scaling_factor")
"""What the factors of finetuning have been called."""
NORMALISED = {None: "none"} | {ours: theirs for theirs, ours in NORMALISATIONS.items()}


def read(path: Path, options: ReadOptions) -> Dictionary:
    """See `DictionaryFormat.read`."""
    file = path / CONFIG
    given = read_config(file)
    config = read_saelens_config(given, file)
    if config.architecture not in LAYOUTS:
        raise DataError(
            f"{file}: the architecture {config.architecture!r} is not supported ({', '.join(LAYOUTS)}); "
            "a training checkpoint must be saved with save_inference_model"
        )
    weights = path / WEIGHTS
    layout = LAYOUTS[config.architecture]
    parts = layout.take(
        _unscaled(read_weights(weights), config, weights), weights, d_in=config.d_in, latents=config.d_sae
    )
    if config.architecture == "gated":
        parts = gated_to_jumprelu(parts)
    if "threshold" in parts:
        parts = clamp_threshold(parts)
    if config.rescaled:
        parts = rescale_latents(parts, parts["W_dec"].norm(dim=1))
    if config.scaled:
        parts = fold_input_scale(parts, _require_scale(config, file, options))
    hook, out = config.hook, config.hook_out
    read_at, write_at = resolve_sites(
        options,
        (lambda: address_of_hook(hook, options.model)) if hook else None,
        (lambda: address_of_hook(out, options.model)) if out else None,
    )
    if config.transcoder and not out and not options.writes:
        raise DataError(f"{file} does not say where the transcoder writes: give the address")
    return assemble(
        parts,
        read_at,
        write_at,
        options,
        activation="topk" if config.k else "jumprelu" if "threshold" in parts else "relu",
        k=config.k,
        subtract=config.subtract,
        normalisation=config.normalisation,
        metadata=import_metadata(NAME, path, given),
    )


def write(dictionary: Dictionary, path: Path, options: ReadOptions) -> None:
    """See `DictionaryFormat.write`. BatchTopK becomes JumpReLU, as it does in SAELens."""
    require_single_coder(dictionary, NAME)
    require_supported(dictionary, NAME, normalised=True)
    parts = drop_unused_threshold(dictionary, parts_of(dictionary, dictionary.apply_b_dec_to_input))
    transcoder = dictionary.kind == "transcoder"
    if dictionary.activation == "topk":
        architecture = "topk"
        require_supported(dictionary, "SAELens with top-k", kinds=("sae",), normalised=True)
    elif dictionary.activation == "relu":
        architecture = (
            ("skip_transcoder" if "W_skip" in parts else "transcoder") if transcoder else "standard"
        )
    else:
        architecture = "jumprelu_transcoder" if transcoder else "jumprelu"
        parts = as_jumprelu(dictionary, parts, NAME, normalised=True)
    tensors = LAYOUTS[architecture].give(parts, f"SAELens' {architecture}")
    before = original_config(dictionary, NAME)
    metadata: dict[str, Any] = dict(before.get("metadata") or {})
    metadata["hook_name"] = hook_of_address(dictionary.reads[0].address)
    if transcoder:
        metadata["hook_name_out"] = hook_of_address(dictionary.writes[0].address)
    if options.model is not None:
        metadata["model_name"] = options.model.name
    metadata.setdefault("sae_lens_version", "6.0.0")
    config = {
        "architecture": architecture,
        "d_in": dictionary.d_in,
        "d_sae": dictionary.n_latents,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": dictionary.apply_b_dec_to_input,
        "normalize_activations": NORMALISED[dictionary.normalisation],
        "reshape_activations": "hook_z" if metadata["hook_name"].endswith("hook_z") else "none",
        "metadata": metadata,
    }
    if transcoder:
        config["d_out"] = dictionary.d_out
    if architecture == "topk":
        config |= {"k": dictionary.k, "rescale_acts_by_decoder_norm": False}
    write_weights(path / WEIGHTS, tensors)
    write_config(path / CONFIG, config)


def _unscaled(tensors: Mapping[str, Tensor], config: SaelensConfig, weights: Path) -> dict[str, Tensor]:
    """With the factors of finetuning, which multiply activations before they are decoded, in the decoder."""
    rest = {name: tensor for name, tensor in tensors.items() if name not in FINETUNED}
    factors = [tensors[name].float() for name in FINETUNED if name in tensors]
    if not factors:
        if config.finetuned:
            raise DataError(
                f"{weights} lacks scaling_factor, which finetuning_scaling_factor asks for: set it to false "
                "where the factors are in the weights"
            )
        return rest
    if factors[0].shape != (config.d_sae,):
        raise DataError(f"{weights}: scaling_factor is {list(factors[0].shape)}, [{config.d_sae}] is needed")
    if (factors[0] == 1).all():  # written for a time by SAEs that were not finetuned
        return rest
    if not config.finetuned:
        raise DataError(
            f"{weights} holds a scaling_factor, and {CONFIG} does not set finetuning_scaling_factor: set it "
            "to true where the factors are meant, or take them out of the file"
        )
    if "W_dec" in rest:
        rest["W_dec"] = rest["W_dec"].float() * factors[0][:, None]
    return rest


def _require_scale(config: SaelensConfig, file: Path, options: ReadOptions) -> float:
    if config.transcoder:
        raise DataError(f"{file}: normalize_activations of a transcoder is not supported")
    if options.input_scale is None:
        raise DataError(
            f"{file}: activations are multiplied by a factor that the file does not hold: give it as "
            "input_scale (--input-scale); SAELens has it as norm_scaling_factor in its list of releases"
        )
    return options.input_scale


FORMAT = DictionaryFormat(NAME, "SAELens", (CONFIG, WEIGHTS), read, write)
