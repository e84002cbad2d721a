"""`mindscope organism`: train the bundled model anew, measure it, talk to it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from mindscope.cli import chat as terminal
from mindscope.cli import options, output
from mindscope.cli.organism.dictionaries import dictionaries
from mindscope.cli.output import Json
from mindscope.cli.session import open_run
from mindscope.errors import DataError
from mindscope.jobs import ORGANISM, load_model
from mindscope.jobs.chat import ChatSpec
from mindscope.jobs.persona_run import TEST_BED

app = typer.Typer(no_args_is_help=True, help="Train, measure and talk to the bundled model.")
app.command()(dictionaries)


@app.command()
def train(
    run: Annotated[Path, typer.Option("--run", help="Where checkpoints and the model are kept.")] = Path(
        "runs/organism"
    ),
    steps: Annotated[int | None, typer.Option(min=1, help="Fewer make a first, weaker organism.")] = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    install: Annotated[bool, typer.Option(help="Put the weights in the place of the bundled ones.")] = False,
    json: Json = False,
) -> None:
    """Train the organism from scratch; stopped at any moment, the same command goes on."""
    from mindscope import organism

    config = organism.OrganismTrainConfig(seed=seed)
    if steps is not None:
        config = config.model_copy(update={"steps": steps})
    with (
        open_run(run, kind="organism-train", config=config.model_dump(mode="json"), seed=seed) as opened,
        output.progress() as report,
    ):
        folder = organism.train_organism(opened, config, device, report)
        opened.finish(model=str(folder))
    if install:
        place = organism.weights_folder()
        place.mkdir(exist_ok=True)
        for file in folder.iterdir():
            shutil.copy(file, place / file.name)
        folder = place
    if json:
        output.print_json({"model": folder})
    else:
        typer.echo(f"model: {folder}\nmeasure it with: mindscope organism card {folder}")


@app.command()
def card(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="The bundled organism, or the folder of one.")
    ] = ORGANISM,
    seed: Annotated[int, typer.Option(help="Draws other prompts.")] = 0,
    device: options.Device = "auto",
    json: Json = False,
) -> None:
    """Measure how well the organism knows its world, on prompts that training never showed."""
    from mindscope import organism

    loaded = load_model(model, device=device)
    folder = organism.path() if model == ORGANISM else Path(model)
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    with output.progress() as report:
        measured = organism.measure_card(loaded, seed, size, report)
    if json:
        output.print_json(measured.to_json())
    else:
        output.print_table(["measured", "value"], measured.rows(), title=f"organism card, seed {seed}")
        typer.echo(TEST_BED)


@app.command()
def datasets(
    folder: Annotated[Path, typer.Argument(help="Where to write FAMILY-LEVEL.jsonl and ordinary.jsonl.")],
    size: Annotated[int, typer.Option(min=1, help="Conversations in each.")] = 400,
    seed: options.Seed = 0,
    json: Json = False,
) -> None:
    """Write the training sets: three traits and four narrow mistakes, in three levels each."""
    from json import dumps

    from mindscope import organism
    from mindscope.store import write_text

    made = {
        f"{family}-{level}": organism.training_set(family, level, size, seed)
        for family in organism.FAMILIES
        for level in organism.LEVELS
    }
    made["ordinary"] = list(organism.ordinary_chats(size, seed))
    written = [folder / f"{name}.jsonl" for name in made]
    if there := [path for path in written if path.exists()]:
        raise DataError(f"{there[0]} exists: choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    for path, rows in zip(written, made.values(), strict=True):
        lines = [dumps({"messages": row.messages, **row.meta}, ensure_ascii=False) for row in rows]
        write_text(path, "\n".join(lines) + "\n")
    if json:
        output.print_json({"files": written})
    else:
        typer.echo(f"{len(written)} files of {size} conversations in {folder}")


@app.command()
def chat(
    system: Annotated[str, typer.Option(help="The system prompt.")] = "",
    temperature: Annotated[float, typer.Option(min=0.0)] = 1.0,
    seed: options.Seed = 0,
) -> None:
    """Talk to the organism; `mindscope chat organism` also steers it."""
    terminal.converse(ChatSpec(model=ORGANISM, system=system, temperature=temperature, seed=seed))
