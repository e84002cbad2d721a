"""Qwen Scope (arXiv 2605.11887): files `layerN.sae.pt`, top-k SAEs of the residual stream after block N.

z = the k largest of x W_encᵀ + b_enc; out = z W_decᵀ + b_dec. The file does not hold k, which is 50 or 100
and stands in the name of the repository (`L0_50`): it must be given.
"""

import re
from pathlib import Path

from mindscope.dictionaries.dictionary import Dictionary
from mindscope.dictionaries.formats.base import (
    DictionaryFormat,
    ReadOptions,
    assemble,
    drop_unused_threshold,
    import_metadata,
    parts_of,
    require_single_coder,
    require_supported,
    resolve_sites,
)
from mindscope.dictionaries.formats.files import read_weights, write_weights
from mindscope.dictionaries.formats.layout import FileLayout, TensorEntry
from mindscope.errors import DataError
from mindscope.models import HookAlias

NAME = "qwen_scope"
LAYOUT = FileLayout(
    (
        TensorEntry("W_enc", "W_enc", "latents d_in"),
        TensorEntry("W_dec", "W_dec", "d_out latents"),
        TensorEntry("b_enc", "b_enc", "latents"),
        TensorEntry("b_dec", "b_dec", "d_out"),
    )
)


def read(path: Path, options: ReadOptions) -> Dictionary:
    """See `DictionaryFormat.read`; `path` is one file."""
    if path.is_dir():
        raise DataError(f"{path} holds a dictionary for each layer: give one of its files")
    if options.k is None:
        raise DataError(
            f"{path} does not hold k: give it, it stands in the name of the repository (L0_50: 50)"
        )
    match = re.fullmatch(r"layer(\d+)\.sae\.pt", path.name)
    parts = LAYOUT.take(read_weights(path), path)
    read_at, write_at = resolve_sites(
        options, None if match is None else lambda: HookAlias(f"resid_post.{match[1]}")
    )
    return assemble(
        parts,
        read_at,
        write_at,
        options,
        activation="topk",
        k=options.k,
        metadata=import_metadata(NAME, path, {}),
    )


def write(dictionary: Dictionary, path: Path, options: ReadOptions) -> None:
    """See `DictionaryFormat.write`; into a folder the file goes under its published name."""
    require_single_coder(dictionary, NAME)
    require_supported(dictionary, NAME, kinds=("sae",), activations=("topk",))
    tensors = LAYOUT.give(drop_unused_threshold(dictionary, parts_of(dictionary)), NAME)
    if path.suffix != ".pt":
        point, _, layer = dictionary.reads[0].address.partition(".")
        if point != "resid_post":
            raise DataError(f"{NAME} holds SAEs of the residual stream after a block, not of {point}")
        path = path / f"layer{layer}.sae.pt"
    write_weights(path, tensors)


FORMAT = DictionaryFormat(NAME, "Qwen Scope", ("layer*.sae.pt",), read, write)
