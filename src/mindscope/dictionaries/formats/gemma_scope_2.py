"""Gemma Scope 2: a folder of `params.safetensors` and `config.json`; JumpReLU SAEs and (skip) transcoders.

The forward pass of Gemma Scope, and x `affine_skip_connection` where there is one. The configuration names
the Hugging Face modules, such as `model.layers.17.output`, so that the model is needed to find them.
"""

from pathlib import Path

from mindscope.dictionaries.dictionary import Dictionary
from mindscope.dictionaries.formats.base import (
    DictionaryFormat,
    ReadOptions,
    as_jumprelu,
    assemble,
    clamp_threshold,
    import_metadata,
    named_or_none,
    original_config,
    parts_of,
    require_single_coder,
    require_supported,
    resolve_sites,
)
from mindscope.dictionaries.formats.files import (
    read_config,
    read_weights,
    refuse_unknown,
    setting,
    write_config,
    write_weights,
)
from mindscope.dictionaries.formats.layout import FileLayout, TensorEntry
from mindscope.errors import DataError
from mindscope.models import HookAlias, address_of_module, module_of_address

NAME = "gemma_scope_2"
CONFIG, WEIGHTS = "config.json", "params.safetensors"
LAYOUT = FileLayout(
    (
        TensorEntry("W_enc", "w_enc", "d_in latents"),
        TensorEntry("b_enc", "b_enc", "latents"),
        TensorEntry("W_dec", "w_dec", "latents d_out"),
        TensorEntry("b_dec", "b_dec", "d_out"),
        TensorEntry("threshold", "threshold", "latents"),
        TensorEntry("W_skip", "affine_skip_connection", "d_in d_out", needed=False),
    ),
    square=False,
)


def read(path: Path, options: ReadOptions) -> Dictionary:
    """See `DictionaryFormat.read`."""
    file = path / CONFIG
    config = read_config(file)
    architecture = setting(config, file, "architecture", str, "jump_relu")
    if architecture not in ("jump_relu", "jumprelu"):
        raise DataError(f"{file}: the architecture {architecture!r} is not supported, jump_relu is")
    refuse_unknown(config, file, {"apply_b_dec_to_input"})
    sizes = {"latents": setting(config, file, "width", int)} if "width" in config else {}
    parts = clamp_threshold(LAYOUT.take(read_weights(path / WEIGHTS), path / WEIGHTS, **sizes))
    if config.get("affine_connection") and "W_skip" not in parts:
        raise DataError(f"{path / WEIGHTS} lacks affine_skip_connection, which {CONFIG} announces")

    def declared(point: str) -> HookAlias:
        module, _, side = point.rpartition(".")
        if options.model is None:
            raise DataError(f"where {point} is depends on the architecture: name the model, or the address")
        return HookAlias(address_of_module(module, options.model, side))

    hook, out = config.get("hf_hook_point_in"), config.get("hf_hook_point_out")
    read_at, write_at = resolve_sites(
        options, (lambda: declared(hook)) if hook else None, (lambda: declared(out)) if out else None
    )
    return assemble(
        parts,
        read_at,
        write_at,
        options,
        activation="jumprelu",
        subtract=bool(config.get("apply_b_dec_to_input", False)),
        metadata=import_metadata(NAME, path, config),
    )


def write(dictionary: Dictionary, path: Path, options: ReadOptions) -> None:
    """See `DictionaryFormat.write`."""
    require_single_coder(dictionary, NAME)
    require_supported(dictionary, NAME)
    tensors = LAYOUT.give(as_jumprelu(dictionary, parts_of(dictionary), NAME), NAME)
    config = original_config(dictionary, NAME) | {
        "architecture": "jump_relu",
        "width": dictionary.n_latents,
        "type": dictionary.kind,
        "affine_connection": "affine_skip_connection" in tensors,
    }
    config.pop("apply_b_dec_to_input", None)  # it is in the encoder's bias now
    if (model := options.model) is not None:
        config["model_name"] = model.name
        for key, site in (
            ("hf_hook_point_in", dictionary.reads[0]),
            ("hf_hook_point_out", dictionary.writes[0]),
        ):
            module = named_or_none(lambda site=site: ".".join(module_of_address(site.address, model)))
            if module is not None:
                config[key] = module
    write_weights(path / WEIGHTS, tensors)
    write_config(path / CONFIG, config)


FORMAT = DictionaryFormat(NAME, "Gemma Scope 2", (CONFIG, WEIGHTS), read, write)
