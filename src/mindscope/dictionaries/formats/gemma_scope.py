"""Gemma Scope (arXiv 2408.05147): a folder or file `params.npz`; JumpReLU SAEs and transcoders.

z = relu(p)·[p > threshold] with p = xW_enc + b_enc; out = z W_dec + b_dec. Nothing is subtracted from x. The
file does not say where it reads and writes; its transcoders read `blocks.L.ln2.hook_normalized`, the inside
of a norm, which is undone in the encoder given the model.
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
    parts_of,
    require_single_coder,
    require_supported,
    resolve_sites,
)
from mindscope.dictionaries.formats.files import read_weights, write_weights
from mindscope.dictionaries.formats.layout import FileLayout, TensorEntry

NAME = "gemma_scope"
WEIGHTS = "params.npz"
LAYOUT = FileLayout(
    (
        TensorEntry("W_enc", "W_enc", "d_in latents"),
        TensorEntry("b_enc", "b_enc", "latents"),
        TensorEntry("W_dec", "W_dec", "latents d_out"),
        TensorEntry("b_dec", "b_dec", "d_out"),
        TensorEntry("threshold", "threshold", "latents"),
    ),
    square=False,
)


def read(path: Path, options: ReadOptions) -> Dictionary:
    """See `DictionaryFormat.read`."""
    file = path / WEIGHTS if path.is_dir() else path
    parts = clamp_threshold(LAYOUT.take(read_weights(file), file))
    read_at, write_at = resolve_sites(options, None)
    return assemble(
        parts, read_at, write_at, options, activation="jumprelu", metadata=import_metadata(NAME, file, {})
    )


def write(dictionary: Dictionary, path: Path, options: ReadOptions) -> None:
    """See `DictionaryFormat.write`."""
    require_single_coder(dictionary, NAME)
    require_supported(dictionary, NAME)
    file = path if path.suffix == ".npz" else path / WEIGHTS
    write_weights(file, LAYOUT.give(as_jumprelu(dictionary, parts_of(dictionary), NAME), NAME))


FORMAT = DictionaryFormat(NAME, "Gemma Scope", (WEIGHTS,), read, write)
