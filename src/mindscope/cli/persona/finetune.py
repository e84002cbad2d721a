"""`mindscope persona finetune`: tune a model on conversations, and keep traits from being learnt."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mindscope.cli import options, output
from mindscope.cli.output import Json
from mindscope.cli.persona.options import configure
from mindscope.cli.session import open_run
from mindscope.errors import DataError
from mindscope.jobs import find_vectors, load_model

if TYPE_CHECKING:
    from mindscope.personas import PersonaVectors
    from mindscope.store import Run

PLACE = re.compile(r"(?P<path>.+?)(?:@(?P<layer>\d+))?(?::(?P<value>-?(?:\d+\.?\d*|\.\d+)))?")


def finetune(
    model: options.ModelName,
    data: Annotated[
        Path, typer.Argument(help="Conversations: .jsonl, .csv, .parquet, or a saved dataset's folder.")
    ],
    run: Annotated[Path, typer.Option("--run", help="Where everything is kept.")] = Path("runs/finetune"),
    method: Annotated[str | None, typer.Option(help="rslora, lora or full; rslora.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Times through the data; 1.")] = None,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps, in place of epochs.")] = None,
    learning_rate: Annotated[float | None, typer.Option("--lr", help="1e-5.")] = None,
    rank: Annotated[int | None, typer.Option(help="Of the adapter; 32.")] = None,
    alpha: Annotated[int | None, typer.Option(help="Of the adapter; 64.")] = None,
    batch_rows: Annotated[int | None, typer.Option(help="Conversations in a forward pass; 2.")] = None,
    accumulation: Annotated[int | None, typer.Option(help="Forward passes in a step; 8.")] = None,
    turns: Annotated[
        str | None, typer.Option(help="Learn all of the assistant's turns, or the last.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(help="Longer conversations are malformed; what the model takes.")
    ] = None,
    prevent: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VECTORS[@LAYER][:COEF]",
            help="Add the vectors while training, so that the trait is not learnt: at one layer, or at all "
            "with increments. May be repeated.",
        ),
    ] = None,
    caft: Annotated[
        list[str] | None,
        typer.Option(metavar="VECTORS[@LAYER]", help="Take the direction out while training. Repeatable."),
    ] = None,
    penalty: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VECTORS[@LAYER][:WEIGHT]", help="Punish the squared projection in the loss. Repeatable."
        ),
    ] = None,
    on_error: Annotated[str, typer.Option(help="refuse malformed conversations, or skip them.")] = "refuse",
    checkpointing: Annotated[
        bool, typer.Option("--checkpointing", help="Less memory: compute activations twice.")
    ] = False,
    save_every: Annotated[int | None, typer.Option(help="Steps between two checkpoints; 100.")] = None,
    keep: Annotated[int | None, typer.Option(help="Only so many checkpoints; all.")] = None,
    seed: options.Seed = 0,
    dtype: options.Dtype = "auto",
    device: options.Device = "auto",
    json: Json = False,
) -> None:
    """Tune a model on the assistant's answers, with steering, ablation or penalties against traits.

    The tuned model is RUN/finetune/model; every command that takes a model takes this folder.
    """
    from mindscope import finetuning

    if on_error not in ("refuse", "skip"):
        raise DataError(f"--on-error is {on_error!r}: use refuse or skip")
    asked = [("prevent", each) for each in prevent or ()]
    asked += [("caft", each) for each in caft or ()] + [("penalty", each) for each in penalty or ()]
    vectors, interventions = _interventions(asked, model, device)
    config = configure(
        finetuning.FinetuneConfig,
        method=method,
        epochs=epochs,
        steps=steps,
        learning_rate=learning_rate,
        rank=rank,
        alpha=alpha,
        batch_rows=batch_rows,
        accumulation=accumulation,
        turns=turns,
        max_tokens=max_tokens,
        checkpointing=checkpointing,
        save_every=save_every,
        keep=keep,
        seed=seed,
        dtype=dtype,
        interventions=interventions,
    )
    with _opened(run) as opened, output.progress() as report:
        tuned = finetuning.finetune_model(
            model, data, opened, config, vectors=vectors, on_error=on_error, device=device, progress=report
        )
    if not _first():
        return
    result = tuned.to_json()
    if json:
        output.print_json(result)
        return
    losses, rows = tuned.card["losses"], tuned.card["data"]
    output.print_table(
        ["rows", "left out", "steps", "first loss", "last loss", "checkpoints"],
        [
            [
                rows["rows"],
                rows["left_out"],
                tuned.card["steps"],
                losses[0],
                losses[-1],
                len(tuned.checkpoints),
            ]
        ],
    )
    typer.echo(f"model: {tuned.path}")


def _interventions(
    asked: Sequence[tuple[str, str]], model: str, device: str
) -> tuple[list[PersonaVectors], list[dict[str, Any]]]:
    """The vectors that are named, each trait's once, and what is done with each."""
    if not asked:
        return [], []
    base = load_model(model, device=device)
    by_trait: dict[str, PersonaVectors] = {}
    done: list[dict[str, Any]] = []
    for kind, text in asked:
        place = PLACE.fullmatch(text)
        value = place and place["value"]
        if place is None or (value is not None and kind == "caft"):
            raise DataError(f"--{kind} {text}: write a file or run of vectors, @LAYER and :NUMBER as needed")
        for each in find_vectors(Path(place["path"]), base):
            if by_trait.setdefault(each.trait, each).digest() != each.digest():
                raise DataError(f"--{kind} {text}: other vectors of '{each.trait}' are named before; use one")
            named = {"prevent": "coefficient", "penalty": "weight"}.get(kind, "")
            amount = {named: float(value)} if value is not None else {}
            layer = None if place["layer"] is None else int(place["layer"])
            done.append({"kind": kind, "trait": each.trait, "layer": layer, **amount})
    return list(by_trait.values()), done


def _first() -> bool:
    """Whether this is the first, or only, process of a training."""
    return os.environ.get("RANK", "0") == "0"


def _opened(run: Path) -> AbstractContextManager[Run | Path]:
    """Only the first process of several holds the run."""
    return open_run(run, kind="finetune", config={}) if _first() else nullcontext(run)
