"""sparsify (github.com/EleutherAI/sparsify): a module's folder with `cfg.json` and `sae.safetensors`.

z = the k largest of relu((x - b_dec)Wᵀ + b); out = z W_dec + b_dec (+ x W_skipᵀ). A transcoder (`transcode`)
subtracts nothing, reads what the module takes in and writes what it gives out.
"""

from pathlib import Path

from mindscope.dictionaries.dictionary import Dictionary
from mindscope.dictionaries.formats.base import (
    DictionaryFormat,
    ReadOptions,
    assemble,
    drop_unused_threshold,
    import_metadata,
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
from mindscope.models import HookAlias, address_of_module

NAME = "sparsify"
CONFIG, WEIGHTS = "cfg.json", "sae.safetensors"
LAYOUT = FileLayout(
    (
        TensorEntry("W_enc", "encoder.weight", "latents d_in"),
        TensorEntry("b_enc", "encoder.bias", "latents"),
        TensorEntry("W_dec", "W_dec", "latents d_out"),
        TensorEntry("b_dec", "b_dec", "d_out"),
        TensorEntry("W_skip", "W_skip", "d_out d_in", needed=False),
    )
)

UNDERSTOOD = frozenset({"activation", "normalize_decoder"})
"""Settings that are applied, or concern the training alone."""


def read(path: Path, options: ReadOptions) -> Dictionary:
    """See `DictionaryFormat.read`. Without an address the folder is named after the module."""
    file = path / CONFIG
    config = read_config(file)
    if (activation := config.get("activation", "topk")) != "topk" or config.get("signed"):
        raise DataError(
            f"{file}: the activation {'signed ' * bool(config.get('signed'))}{activation} is not supported, "
            "only topk is"
        )
    refuse_unknown(config, file, UNDERSTOOD)
    d_in = setting(config, file, "d_in", int)
    latents = config.get("num_latents") or d_in * setting(config, file, "expansion_factor", int)
    parts = LAYOUT.take(read_weights(path / WEIGHTS), path / WEIGHTS, d_in=d_in, latents=latents)
    transcode = setting(config, file, "transcode", bool, False)
    if ("W_skip" in parts) != bool(config.get("skip_connection")):
        raise DataError(f"{path / WEIGHTS} and {CONFIG} do not agree whether there is a skip connection")
    model = options.model

    def module(side: str) -> HookAlias:
        assert model is not None
        return HookAlias(address_of_module(path.resolve().name, model, side))

    read_at, write_at = resolve_sites(
        options,
        None if model is None else lambda: module("input" if transcode else "output"),
        None if model is None else lambda: module("output"),
    )
    if transcode and read_at.address == write_at.address:
        raise DataError(f"{file} is a transcoder: give the address it writes too")
    return assemble(
        parts,
        read_at,
        write_at,
        options,
        activation="topk",
        k=setting(config, file, "k", int),
        subtract=not transcode,
        metadata=import_metadata(NAME, path, config),
    )


def write(dictionary: Dictionary, path: Path, options: ReadOptions) -> None:
    """See `DictionaryFormat.write`. Name the folder like the module for sparsify to find it."""
    require_single_coder(dictionary, NAME)
    require_supported(dictionary, NAME, activations=("topk",))
    if dictionary.d_in != dictionary.d_out:
        raise DataError(f"{NAME} writes as wide as it reads; this one reads {dictionary.d_in} numbers")
    transcode = dictionary.kind == "transcoder"
    tensors = LAYOUT.give(
        drop_unused_threshold(dictionary, parts_of(dictionary, subtracted=not transcode)), NAME
    )
    defaults = {"expansion_factor": 32, "normalize_decoder": not transcode, "multi_topk": False}
    config = (
        defaults
        | original_config(dictionary, NAME)
        | {
            "activation": "topk",
            "num_latents": dictionary.n_latents,
            "k": dictionary.k,
            "d_in": dictionary.d_in,
            "skip_connection": "W_skip" in tensors,
            "transcode": transcode,
        }
    )
    write_weights(path / WEIGHTS, tensors)
    write_config(path / CONFIG, config)


FORMAT = DictionaryFormat(NAME, "sparsify (EleutherAI)", (CONFIG, WEIGHTS), read, write)
