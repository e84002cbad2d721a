"""`mindscope dictionary import` and `export`: other tools' dictionaries."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mindscope.cli import options, output
from mindscope.cli.output import Json
from mindscope.errors import DataError
from mindscope.jobs import load_model

FormatName = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="saelens, gemma_scope, gemma_scope_2, sparsify, dictionary_learning, llama_scope, qwen_scope or "
        "circuit_tracer.",
        show_default=False,
    ),
]
ModelOption = Annotated[
    str | None, typer.Option("--model", help="Whose dictionary it is: checked, and written down.")
]
Reads = Annotated[
    str | None,
    typer.Option(
        "--read", help="Where it reads, if the file does not say it: resid_post.12; several: a,b,c."
    ),
]
Writes = Annotated[str | None, typer.Option("--write", help="Where it writes; by default where it reads.")]


def import_(
    source: Annotated[Path, typer.Argument(help="A folder, or file, that another tool wrote.")],
    to: Annotated[
        Path, typer.Argument(help="The .safetensors file to write; a folder for one with several coders.")
    ],
    format_: FormatName = None,
    model: ModelOption = None,
    read: Reads = None,
    write: Writes = None,
    k: Annotated[int | None, typer.Option(min=1, help="Active latents, where the file does not say.")] = None,
    dtype: options.Dtype = "auto",
    device: options.Device = "cpu",
    json: Json = False,
) -> None:
    """Read another tool's dictionary: SAELens, Gemma Scope, sparsify, circuit-tracer and others."""
    from mindscope.dictionaries import ReadOptions, detect, read_dictionary

    if to.exists():
        raise DataError(f"{to} exists: choose another name, or delete it")
    loaded = None if model is None else load_model(model, dtype, device)
    given = ReadOptions(loaded, _addresses(read), _addresses(write), k, lazy=True)
    found = read_dictionary(source, format_, given)
    found.save(to)
    facts = {
        "dictionary": str(to),
        "format": format_ or detect(source).name,
        "kind": found.kind,
        "reads": " ".join(site.address for site in found.reads),
        "writes": " ".join(site.address for site in found.writes),
        "activation": found.activation,
        "latents": found.n_latents,
    }
    _print(facts, json)


def export_(
    source: Annotated[Path, typer.Argument(help="A dictionary: a .safetensors file or a folder.")],
    to: Annotated[Path, typer.Argument(help="The folder to write, or the file where the format is one.")],
    format_: FormatName = None,
    model: ModelOption = None,
    dtype: options.Dtype = "auto",
    device: options.Device = "cpu",
    json: Json = False,
) -> None:
    """Write a dictionary as another tool's files. What the format cannot hold is refused."""
    from mindscope.dictionaries import FORMATS, Dictionary, ReadOptions, named, write_dictionary

    if format_ is None:
        raise DataError(f"name the format: --format {', '.join(FORMATS)}")
    named(format_)
    if to.exists() and (to.is_file() or any(to.iterdir())):
        raise DataError(f"{to} exists: choose another name, or delete it")
    loaded = None if model is None else load_model(model, dtype, device)
    found = Dictionary.load(source, loaded, lazy=True)
    write_dictionary(found, to, format_, ReadOptions(loaded))
    _print({"written": str(to), "format": format_}, json)


def _addresses(text: str | None) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()


def _print(facts: dict[str, Any], json: bool) -> None:
    if json:
        output.print_json(facts)
    else:
        output.print_table(list(facts), [list(facts.values())])
