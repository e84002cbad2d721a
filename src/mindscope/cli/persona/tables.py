"""What `mindscope persona` prints of vectors, sweeps and steering."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from mindscope.cli.output import print_table

if TYPE_CHECKING:
    from mindscope.jobs.persona import ExtractReport, SteeringSummary, SweepReport, VectorsListing
    from mindscope.jobs.persona_run import VectorsSummary

COLUMNS = ("layer", "norm", "d_prime", "auroc", "cosine")


def print_vectors(result: ExtractReport) -> None:
    """The vectors layer by layer, and where their page is."""
    _print_layers(result)
    typer.echo(f"report: {result.report}")


def print_listing(listing: VectorsListing) -> None:
    """Vectors of several files, with what their runs hold beside them."""
    for vectors in listing.root:
        _print_layers(vectors)
        for title in ("sweep", "steering"):
            row = vectors.to_json()[title]
            if row is not None:
                print_table(list(row), [list(row.values())], title)


def print_sweep(result: SweepReport) -> None:
    """Every layer and coefficient that was tried."""
    sweep = result.sweep
    rows = [
        [
            point.layer,
            point.coefficient,
            point.scores.trait and point.scores.trait.mean,
            point.scores.coherence and point.scores.coherence.mean,
            point.random and point.random.trait and point.random.trait.mean,
            "chosen" if index == sweep.chosen else "",
        ]
        for index, point in enumerate(sweep.points)
    ]
    before = sweep.unsteered.trait
    title = f"{sweep.trait}: unsteered {before.mean:.1f}" if before else sweep.trait
    print_table(["layer", "coefficient", "trait", "coherence", "random", ""], rows, title)
    typer.echo(f"report: {result.report}")


def print_steering(result: SteeringSummary) -> None:
    """The four arms."""
    rows = [
        ["unsteered", result.unsteered, result.coherence_unsteered],
        ["steered", result.steered, result.coherence_steered],
        ["against", result.against, result.coherence_against],
        ["random", result.random, result.coherence_random],
    ]
    title = f"{result.trait}: layer {result.layer}, coefficient {result.coefficient:g}"
    print_table(["", "trait", "coherence"], rows, title)
    typer.echo(f"report: {result.report}")


def _print_layers(vectors: VectorsSummary) -> None:
    pairs = f", {vectors.filter.kept} of {vectors.filter.pairs} pairs" if vectors.filter else ""
    rows = [[getattr(layer, column) for column in COLUMNS] for layer in vectors.layers]
    print_table(COLUMNS, rows, f"{vectors.trait}: {vectors.model or 'imported'}{pairs}")
