"""Gemma Scope (arXiv 2408.05147): a folder or file `params.npz`; JumpReLU SAEs and transcoders.

z = relu(p)·[p > threshold] with p = xW_enc + b_enc; out = z W_dec + b_dec. Nothing is subtracted from x. The
file does not say where it reads and writes; its transcoders read `blocks.L.ln2.hook_normalized`, the inside
of a norm, which is undone in the encoder given the model.
"""

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
    rectified,
    refuse,
    thresholded,
)
from mindscope.dictionaries.formats.files import read_weights, write_weights
from mindscope.dictionaries.formats.layout import Entry, Layout

NAME = "gemma_scope"
WEIGHTS = "params.npz"
LAYOUT = Layout(
    (
        Entry("W_enc", "W_enc", "d_in latents"),
        Entry("b_enc", "b_enc", "latents"),
        Entry("W_dec", "W_dec", "latents d_out"),
        Entry("b_dec", "b_dec", "d_out"),
        Entry("threshold", "threshold", "latents"),
    ),
    square=False,
)


def read(path: Path, options: Options) -> Dictionary:
    """See `Format.read`."""
    file = path / WEIGHTS if path.is_dir() else path
    parts = rectified(LAYOUT.take(read_weights(file), file))
    read_at, write_at = places(options, None)
    return assemble(parts, read_at, write_at, options, activation="jumprelu", metadata=about(NAME, file, {}))


def write(dictionary: Dictionary, path: Path, options: Options) -> None:
    """See `Format.write`."""
    one_coder(dictionary, NAME)
    refuse(dictionary, NAME)
    file = path if path.suffix == ".npz" else path / WEIGHTS
    write_weights(file, LAYOUT.give(thresholded(dictionary, parts_of(dictionary), NAME), NAME))


FORMAT = Format(NAME, "Gemma Scope", (WEIGHTS,), read, write)
