"""Traits and vectors as files: list, write, export, import."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mindscope.cli import options, output
from mindscope.cli.output import Json
from mindscope.errors import DataError
from mindscope.jobs import ORGANISM, find_trait, find_vectors, find_writer, load_model

if TYPE_CHECKING:
    from mindscope.personas import Trait


def traits(
    name: Annotated[str | None, typer.Argument(metavar="TRAIT", help="Show one in full.")] = None,
    save: Annotated[Path | None, typer.Option(help="Save it as .json or .yaml, to edit.")] = None,
    json: Json = False,
) -> None:
    """List the bundled traits, or show one in full."""
    from mindscope import organism
    from mindscope.personas import Trait

    if name is not None:
        _show_trait(find_trait(name, ""), save, json)
        return
    if save is not None:
        raise DataError("name the trait to save: mindscope persona traits NAME --save FILE")
    found = [Trait.load(each) for each in Trait.bundled()]
    listed = [(each.name, each.description) for each in found]
    listed += [(f"{ORGANISM}:{each}", organism.trait(each)["description"]) for each in organism.CHARACTERS]
    if json:
        output.print_json([{"name": each, "description": description} for each, description in listed])
    else:
        output.print_table(["trait", "description"], listed)


def artifacts(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the trait is called.")],
    to: Annotated[Path, typer.Argument(help="The .yaml or .json file to write.")],
    description: Annotated[str, typer.Option(help="What the trait means, in a sentence or two.")],
    writer: Annotated[str, typer.Option(help="Who writes: model:NAME, or endpoint:NAME.")],
    base_url: options.BaseUrl = None,
) -> None:
    """Have a language model write a trait's instructions, questions and judge prompt."""
    from mindscope.personas import generate_trait

    if to.exists():
        raise DataError(f"{to} exists: choose another name, or delete it")
    if to.suffix not in (".yaml", ".yml", ".json"):
        raise DataError(f"cannot save a trait as {to}: its name must end in .yaml or .json")
    trait = generate_trait(find_writer(writer, base_url), name, description)
    trait.save(to)
    typer.echo(to)


def export_(
    vectors: Annotated[Path, typer.Argument(help="A file of vectors (.safetensors).")],
    to: Annotated[Path, typer.Argument(help="A .pt file (the published layout) or .gguf file (llama.cpp).")],
    layer: Annotated[
        int | None, typer.Option(help="For .gguf: this layer alone; by default all increments.")
    ] = None,
) -> None:
    """Write vectors in another tool's format."""
    from mindscope.personas import PersonaVectors, save_gguf, save_pt

    loaded = PersonaVectors.load(vectors)
    match to.suffix:
        case ".pt":
            save_pt(loaded, to)
        case ".gguf":
            save_gguf(loaded, to, layer=layer)
        case _:
            raise DataError(f"cannot export to {to}: its name must end in .pt or .gguf")
    typer.echo(to)


def import_(
    source: Annotated[Path, typer.Argument(help="A published .pt file, or a .gguf control vector.")],
    model: options.ModelName,
    to: Annotated[Path, typer.Argument(help="The .safetensors file to write.")],
) -> None:
    """Read vectors of another tool's format as those of a model."""
    (loaded,) = find_vectors(source, load_model(model))
    loaded.save(to)
    typer.echo(to)


def _show_trait(trait: Trait, save: Path | None, json: bool) -> None:
    if save is not None:
        trait.save(save)
        typer.echo(save)
    elif json:
        output.print_json(trait.document())
    else:
        import yaml

        typer.echo(yaml.safe_dump(trait.document(), sort_keys=False, allow_unicode=True, width=100))
