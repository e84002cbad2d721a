"""`mindscope organism dictionaries`: train and measure what is shipped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mindscope.cli import options, output
from mindscope.cli.output import Json
from mindscope.cli.session import open_run
from mindscope.jobs import ORGANISM, load_model


def dictionaries(
    run: Annotated[Path, typer.Option("--run", help="Where checkpoints and dictionaries are kept.")] = Path(
        "runs/organism-dictionaries"
    ),
    parts: Annotated[str, typer.Option(help="Of sae, transcoder, clt.")] = "sae,transcoder,clt",
    steps: Annotated[
        int | None, typer.Option(min=1, help="Fewer make first, weaker dictionaries.", show_default=False)
    ] = None,
    measure: Annotated[bool, typer.Option(help="Evaluate, and look for the world's concepts.")] = True,
    rows: Annotated[int, typer.Option(min=1, help="Texts to evaluate on.")] = 400,
    scale: Annotated[float, typer.Option(min=0.01, help="1 is some 4,000 texts with concepts a half.")] = 1.0,
    install: Annotated[bool, typer.Option(help="Put them in the place of the bundled ones.")] = False,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    json: Json = False,
) -> None:
    """Train the organism's dictionaries, say how good they are, what their latents stand for and do."""
    from mindscope.studies import organism_dictionaries as study

    chosen = study.chosen(parts.split(","))
    loaded = load_model(ORGANISM, "float32", device)
    settings = {"parts": chosen, "steps": steps, "rows": rows, "scale": scale, "measure": measure}
    with (
        open_run(
            run, kind="organism-dictionaries", config=settings, fingerprint=loaded.fingerprint, seed=seed
        ) as opened,
        output.progress() as report,
    ):
        files = study.build(loaded, opened, chosen, steps=steps, seed=seed, progress=report)
        result: dict[str, Any] = {"dictionaries": files}
        if measure:
            found = study.measure(
                loaded, study.load(loaded, files), opened, rows=rows, scale=scale, progress=report
            )
            result |= {
                "evaluations": [one.row() for one in found.evaluations],
                "concepts": study.concept_rows(found),
                "found": len(found.found()),
                "groups": study.group_rows(found) if found.tables else [],
                "effects": [one.to_json() for one in found.effects],
                "summary": study.summary(found.effects) if found.effects else [],
                "report": study.dictionaries_report(loaded, found).write(run / "report.html"),
            }
        if install:
            result["installed"] = study.install(files)
        opened.finish(dictionaries={name: str(path) for name, path in files.items()})
    if json:
        output.print_json(result)
        return
    if measured := result.get("evaluations"):
        output.print_table(list(measured[0]), [list(row.values()) for row in measured])
    if result.get("groups"):
        names = [name for name in files if name.startswith("sae")]
        output.print_table(["group", "concepts", "found", *names], result["groups"])
    if result.get("summary"):
        output.print_table(list(study.SUMMARY_COLUMNS), result["summary"], "success rates")
    typer.echo(f"dictionaries: {result.get('installed', run / 'shipped')}")
    if measure:
        typer.echo(f"report: {result['report']}")
