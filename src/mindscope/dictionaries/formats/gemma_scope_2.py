"""Gemma Scope 2: a folder of `params.safetensors` and `config.json`; JumpReLU SAEs and (skip) transcoders.

The forward pass of Gemma Scope, and x `affine_skip_connection` where there is one. The configuration names
the Hugging Face modules, such as `model.layers.17.output`, so that the model is needed to find them.
"""

from pathlib import Path

from mindscope.dictionaries.dictionary import Dictionary
from mindscope.dictionaries.formats.base import (
    Format,
    Options,
    about,
    assemble,
    kept,
    named_or_none,
    one_coder,
    parts_of,
    places,
    rectified,
    refuse,
    thresholded,
)
from mindscope.dictionaries.formats.files import (
    read_config,
    read_weights,
    setting,
    write_config,
    write_weights,
)
from mindscope.dictionaries.formats.layout import Entry, Layout
from mindscope.errors import DataError
from mindscope.models import Named, address_of_module, module_of_address

NAME = "gemma_scope_2"
CONFIG, WEIGHTS = "config.json", "params.safetensors"
LAYOUT = Layout(
    (
        Entry("W_enc", "w_enc", "d_in latents"),
        Entry("b_enc", "b_enc", "latents"),
        Entry("W_dec", "w_dec", "latents d_out"),
        Entry("b_dec", "b_dec", "d_out"),
        Entry("threshold", "threshold", "latents"),
        Entry("W_skip", "affine_skip_connection", "d_in d_out", needed=False),
    ),
    square=False,
)


def read(path: Path, options: Options) -> Dictionary:
    """See `Format.read`."""
    file = path / CONFIG
    config = read_config(file)
    architecture = setting(config, file, "architecture", str, "jump_relu")
    if architecture not in ("jump_relu", "jumprelu"):
        raise DataError(f"{file}: the architecture {architecture!r} is not supported, jump_relu is")
    sizes = {"latents": setting(config, file, "width", int)} if "width" in config else {}
    parts = rectified(LAYOUT.take(read_weights(path / WEIGHTS), path / WEIGHTS, **sizes))
    if config.get("affine_connection") and "W_skip" not in parts:
        raise DataError(f"{path / WEIGHTS} lacks affine_skip_connection, which {CONFIG} announces")

    def declared(point: str) -> Named:
        module, _, side = point.rpartition(".")
        if options.model is None:
            raise DataError(f"where {point} is depends on the architecture: name the model, or the address")
        return Named(address_of_module(module, options.model, side))

    hook, out = config.get("hf_hook_point_in"), config.get("hf_hook_point_out")
    read_at, write_at = places(
        options, (lambda: declared(hook)) if hook else None, (lambda: declared(out)) if out else None
    )
    return assemble(
        parts,
        read_at,
        write_at,
        options,
        activation="jumprelu",
        subtract=bool(config.get("apply_b_dec_to_input", False)),
        metadata=about(NAME, path, config),
    )


def write(dictionary: Dictionary, path: Path, options: Options) -> None:
    """See `Format.write`."""
    one_coder(dictionary, NAME)
    refuse(dictionary, NAME)
    tensors = LAYOUT.give(thresholded(dictionary, parts_of(dictionary), NAME), NAME)
    config = kept(dictionary, NAME) | {
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
            found = named_or_none(lambda site=site: ".".join(module_of_address(site.address, model)))
            if found is not None:
                config[key] = found
    write_weights(path / WEIGHTS, tensors)
    write_config(path / CONFIG, config)


FORMAT = Format(NAME, "Gemma Scope 2", (CONFIG, WEIGHTS), read, write)
