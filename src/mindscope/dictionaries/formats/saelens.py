"""SAELens: a folder of `cfg.json` and `sae_weights.safetensors` (github.com/decoderesearch/SAELens).

Read and written as its inference classes have it (version 6; configurations of older versions are read).
The standard, top-k, JumpReLU and gated SAE and its transcoders: z = act((x - b_dec)W_enc + b_enc), with
b_dec subtracted where `apply_b_dec_to_input`; out = z W_dec + b_dec (+ x W_skipᵀ). A top-k SAE with
`rescale_acts_by_decoder_norm` selects by z·|W_dec| and reports these products.
"""

from pathlib import Path
from typing import Any

from mindscope.dictionaries.dictionary import Dictionary
from mindscope.dictionaries.formats.base import (
    GATE,
    DictionaryFormat,
    ReadOptions,
    as_jumprelu,
    assemble,
    clamp_threshold,
    drop_unused_threshold,
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
    setting,
    write_config,
    write_weights,
)
from mindscope.dictionaries.formats.layout import FileLayout, TensorEntry
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


def read(path: Path, options: ReadOptions) -> Dictionary:
    """See `DictionaryFormat.read`."""
    file = path / CONFIG
    given = read_config(file)
    config = _of_version_6(given)
    architecture = setting(config, file, "architecture", str)
    if architecture not in LAYOUTS:
        raise DataError(
            f"{file}: the architecture {architecture!r} is not supported ({', '.join(LAYOUTS)}); "
            "a training checkpoint must be saved with save_inference_model"
        )
    if (norm := config.get("normalize_activations") or "none") != "none":
        raise DataError(
            f"{file}: it normalises activations ({norm}) by what the file does not hold: fold the factor in "
            "with SAELens' fold_activation_norm_scaling_factor and save it again"
        )
    d_in, latents = (setting(config, file, name, int) for name in ("d_in", "d_sae"))
    weights = path / WEIGHTS
    parts = LAYOUTS[architecture].take(read_weights(weights), weights, d_in=d_in, latents=latents)
    transcoder = architecture.endswith("transcoder")
    k = setting(config, file, "k", int) if architecture == "topk" else None
    if architecture == "gated":
        parts = gated_to_jumprelu(parts)
    if "threshold" in parts:
        parts = clamp_threshold(parts)
    subtract = not transcoder and setting(config, file, "apply_b_dec_to_input", bool, True)
    if k is not None and config.get("rescale_acts_by_decoder_norm"):
        parts = rescale_latents(parts, parts["W_dec"].norm(dim=1))
    metadata = config.get("metadata") or {}
    hook, out = metadata.get("hook_name"), metadata.get("hook_name_out")
    read_at, write_at = resolve_sites(
        options,
        (lambda: address_of_hook(hook, options.model)) if hook else None,
        (lambda: address_of_hook(out, options.model)) if transcoder and out else None,
    )
    if transcoder and not out and not options.writes:
        raise DataError(f"{file} does not say where the transcoder writes: give the address")
    return assemble(
        parts,
        read_at,
        write_at,
        options,
        activation="topk" if k else "jumprelu" if "threshold" in parts else "relu",
        k=k,
        subtract=subtract,
        metadata=import_metadata(NAME, path, given),
    )


def write(dictionary: Dictionary, path: Path, options: ReadOptions) -> None:
    """See `DictionaryFormat.write`. BatchTopK becomes JumpReLU, as it does in SAELens."""
    require_single_coder(dictionary, NAME)
    require_supported(dictionary, NAME)
    parts = drop_unused_threshold(dictionary, parts_of(dictionary, dictionary.apply_b_dec_to_input))
    transcoder = dictionary.kind == "transcoder"
    if dictionary.activation == "topk":
        architecture = "topk"
        require_supported(dictionary, "SAELens with top-k", kinds=("sae",))
    elif dictionary.activation == "relu":
        architecture = (
            ("skip_transcoder" if "W_skip" in parts else "transcoder") if transcoder else "standard"
        )
    else:
        architecture = "jumprelu_transcoder" if transcoder else "jumprelu"
        parts = as_jumprelu(dictionary, parts, NAME)
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
        "normalize_activations": "none",
        "reshape_activations": before.get("reshape_activations", "none"),
        "metadata": metadata,
    }
    if transcoder:
        config["d_out"] = dictionary.d_out
    if architecture == "topk":
        config |= {"k": dictionary.k, "rescale_acts_by_decoder_norm": False}
    write_weights(path / WEIGHTS, tensors)
    write_config(path / CONFIG, config)


def _of_version_6(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration of any version with the names and defaults of version 6."""
    renamed = {"hook_point": "hook_name", "activation_fn_str": "activation_fn"}
    config = {renamed.get(name, name): value for name, value in config.items()}
    if isinstance(config.get("normalize_activations"), bool):
        config["normalize_activations"] = (
            "expected_average_only_in" if config["normalize_activations"] else "none"
        )
    if "metadata" not in config:
        config["metadata"] = {name: config[name] for name in ("hook_name", "hook_name_out") if name in config}
        config.setdefault("architecture", "standard")
        if config.get("activation_fn") == "topk":
            config["architecture"] = "topk"
            config["k"] = (config.get("activation_fn_kwargs") or {}).get("k")
        elif config.get("activation_fn", "relu") != "relu":
            raise DataError(f"the activation {config['activation_fn']!r} is not supported")
    return config


FORMAT = DictionaryFormat(NAME, "SAELens", (CONFIG, WEIGHTS), read, write)
