"""Qwen Scope (arXiv 2605.11887): files `layerN.sae.pt`, top-k SAEs of the residual stream after block N.

z = the k largest of x W_encᵀ + b_enc; out = z W_decᵀ + b_dec. The file does not hold k, which is 50 or 100
and stands in the name of the repository (`L0_50`): it must be given.
"""

import re
from pathlib import Path

from mindscope.dictionaries.dictionary import Dictionary
from mindscope.dictionaries.formats.base import (
    Format,
    Options,
    about,
    assemble,
    one_coder,
    parts_of,
    places,
    plain,
    refuse,
)
from mindscope.dictionaries.formats.files import read_weights, write_weights
from mindscope.dictionaries.formats.layout import Entry, Layout
from mindscope.errors import DataError
from mindscope.models import Named

NAME = "qwen_scope"
LAYOUT = Layout(
    (
        Entry("W_enc", "W_enc", "latents d_in"),
        Entry("W_dec", "W_dec", "d_out latents"),
        Entry("b_enc", "b_enc", "latents"),
        Entry("b_dec", "b_dec", "d_out"),
    )
)


def read(path: Path, options: Options) -> Dictionary:
    """See `Format.read`; `path` is one file."""
    if path.is_dir():
        raise DataError(f"{path} holds a dictionary for each layer: give one of its files")
    if options.k is None:
        raise DataError(
            f"{path} does not hold k: give it, it stands in the name of the repository (L0_50: 50)"
        )
    match = re.fullmatch(r"layer(\d+)\.sae\.pt", path.name)
    parts = LAYOUT.take(read_weights(path), path)
    read_at, write_at = places(options, None if match is None else lambda: Named(f"resid_post.{match[1]}"))
    return assemble(
        parts,
        read_at,
        write_at,
        options,
        activation="topk",
        k=options.k,
        metadata=about(NAME, path, {}),
    )


def write(dictionary: Dictionary, path: Path, options: Options) -> None:
    """See `Format.write`; into a folder the file goes under its published name."""
    one_coder(dictionary, NAME)
    refuse(dictionary, NAME, kinds=("sae",), activations=("topk",))
    tensors = LAYOUT.give(plain(dictionary, parts_of(dictionary)), NAME)
    if path.suffix != ".pt":
        point, _, layer = dictionary.reads[0].address.partition(".")
        if point != "resid_post":
            raise DataError(f"{NAME} holds SAEs of the residual stream after a block, not of {point}")
        path = path / f"layer{layer}.sae.pt"
    write_weights(path, tensors)


FORMAT = Format(NAME, "Qwen Scope", ("layer*.sae.pt",), read, write)
