"""`mindscope circuit cases`: the case families of the biology paper, on the organism."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mindscope.cli import options, output
from mindscope.cli.circuit.options import DictionaryName, find_replacement
from mindscope.cli.output import Json
from mindscope.cli.session import open_run
from mindscope.jobs import ORGANISM, load_model


def cases(
    run: Annotated[Path, typer.Option("--run", help="Where everything is kept.")] = Path("runs/cases"),
    family: Annotated[
        list[str] | None,
        typer.Option(help="One of the families; repeatable. All by default.", show_default=False),
    ] = None,
    dictionary: DictionaryName = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Few prompts: to see that it runs, not to judge by.")
    ] = False,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    json: Json = False,
) -> None:
    """Work through the case book: hypothesis, graph, groups, intervention and verdict, family by family."""
    from dataclasses import replace

    from mindscope.studies import llm_biology as book

    config = replace(book.QUICK if quick else book.BookConfig(), seed=seed)
    names = book.chosen(family or [])
    model = load_model(ORGANISM, "float32", device)
    replacement, name = find_replacement(dictionary, model)
    settings = book.settings_of(names, config, replacement.digest)
    opened = open_run(run, kind="case-book", config=settings, fingerprint=model.fingerprint, seed=seed)
    with opened, output.progress() as report:
        found = book.write_book(model, replacement, opened, names, config, report)
        facts = {"model": model.name, "fingerprint": model.fingerprint, "replacement": name, **settings}
        page = book.book_report(found, run, facts).write(run / "report.html")
        opened.finish(report=str(page), verdicts=book.book_rows(found))
    if json:
        output.print_json({"report": page, "cases": [case.to_json() for case in found]})
        return
    output.print_table(list(book.COLUMNS), book.book_rows(found))
    output.print_table(list(book.GRAPH_COLUMNS), book.graph_rows(found), "graphs")
    typer.echo(book.NOTE)
    typer.echo(f"report: {page}")
