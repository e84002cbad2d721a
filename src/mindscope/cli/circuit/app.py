"""`mindscope circuit`: why a model says what it says, as a graph that can be checked."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mindscope.cli import options, output
from mindscope.cli.circuit import cases as circuit_cases
from mindscope.cli.circuit import export as circuit_export
from mindscope.cli.circuit import heads as circuit_heads
from mindscope.cli.circuit import intervene as circuit_change
from mindscope.cli.circuit import show as circuit_show
from mindscope.cli.circuit.options import (
    GRAPH,
    DictionaryName,
    EdgeShare,
    NodeShare,
    find_replacement,
    find_row,
    find_targets,
)
from mindscope.cli.circuit.tables import facts, print_rows, target_rows, top_nodes
from mindscope.cli.output import Json
from mindscope.cli.session import open_run
from mindscope.jobs import load_model

if TYPE_CHECKING:
    from mindscope.circuits import AttributionGraph, ReplacementModel, TargetSpec, TraceConfig
    from mindscope.models import Model, Row
    from mindscope.store import Run

app = typer.Typer(
    no_args_is_help=True, help="Attribution graphs: trace, look, change, check, compare, export."
)
app.command("show")(circuit_show.show)
app.command("prune")(circuit_show.prune)
app.command("compare")(circuit_show.compare)
app.command("intervene")(circuit_change.intervene)
app.command("validate")(circuit_change.validate)
app.command("heads")(circuit_heads.heads)
app.command("export")(circuit_export.export_)
app.command("cases")(circuit_cases.cases)


@app.command()
def trace(
    model: options.ModelName,
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="What the model reads.")],
    dictionary: DictionaryName = None,
    chat: Annotated[bool, typer.Option("--chat", help="The prompt is a user's turn of a chat.")] = False,
    system: Annotated[str, typer.Option(help="The system prompt of the chat.")] = "",
    answer: Annotated[str, typer.Option(help="How the answer begins; what follows is explained.")] = "",
    target: Annotated[
        list[str] | None,
        typer.Option(help="A next token to explain, as text. Repeatable; the most probable ones if none."),
    ] = None,
    instead_of: Annotated[
        str | None, typer.Option(help="Explain the --target's logit less this token's: why not this?")
    ] = None,
    direction: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VECTORS[@LAYER]", help="Explain the projection on a persona vector. Repeatable."
        ),
    ] = None,
    feature: Annotated[
        list[str] | None,
        typer.Option(metavar="LAYER_LATENT_POSITION", help="Explain why a feature is on. Repeatable."),
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="Most next tokens to explain, if none is named.")] = 10,
    probability: Annotated[float, typer.Option(help="That they have together.")] = 0.95,
    max_features: Annotated[int, typer.Option(min=1, help="Most features in the graph.")] = 7500,
    rank_every: Annotated[
        int | None,
        typer.Option(
            min=1, help="Choose features in steps of so many, as circuit-tracer does, instead of exactly."
        ),
    ] = None,
    constant: Annotated[
        int, typer.Option(min=0, help="First tokens at which nothing is a node; 4 for Gemma 3 chat models.")
    ] = 1,
    nodes: NodeShare = 0.8,
    edges: EdgeShare = 0.98,
    run: Annotated[Path, typer.Option("--run", help="Where the graph and its page are kept.")] = Path(
        "runs/circuit"
    ),
    device: options.Device = "auto",
    json: Json = False,
) -> None:
    """Trace which features and tokens led to the next token, and write the graph and its page."""
    from mindscope.circuits import TraceConfig, prune_graph

    loaded = load_model(model, "float32", device)
    replacement, name = find_replacement(dictionary, loaded)
    wanted = find_targets(loaded, target or (), instead_of, direction or (), feature or (), most, probability)
    row = find_row(loaded, prompt, chat, system, answer)
    config = TraceConfig(max_features=max_features, rank_every=rank_every, skip_tokens=constant)
    settings = {
        "dictionary": replacement.digest,
        "prompt": row if isinstance(row, str) else list(row.ids),
        "targets": dict(wanted.description),
        "nodes": nodes,
        "edges": edges,
    } | {key: value for key, value in asdict(config).items() if key != "memory"}
    with open_run(run, kind="circuit", config=settings, fingerprint=loaded.fingerprint) as opened:
        graph = _traced(opened, loaded, replacement, row, config, wanted, name)
        pruned = prune_graph(graph, nodes, edges)
        page = circuit_change.write_page(run, graph, pruned, loaded, replacement)
        found: dict[str, Any] = facts(graph, pruned)
        opened.finish(**found)
    if json:
        result = found | {"targets": target_rows(graph), "nodes": top_nodes(graph, pruned, {}, 20)}
        output.print_json(result | {"run": str(run), "graph": str(run / GRAPH), "report": str(page)})
        return
    print_rows([{"": key, "value": value} for key, value in found.items() if value is not None])
    print_rows(target_rows(graph), "targets")
    print_rows(top_nodes(graph, pruned, {}, 20), "most influential")
    typer.echo(f"graph: {run / GRAPH}")
    typer.echo(f"page: {page}")


def _traced(
    run: Run,
    model: Model,
    replacement: ReplacementModel,
    row: Row | str,
    config: TraceConfig,
    spec: TargetSpec,
    name: str,
) -> AttributionGraph:
    """The run's graph, traced unless an earlier start has done it."""
    from mindscope.circuits import AttributionGraph
    from mindscope.circuits import trace as trace_graph

    if run.has(GRAPH):
        return AttributionGraph.load(run.path / GRAPH, model)
    with output.progress() as report:
        graph = trace_graph(model, replacement, row, config, targets=spec, progress=report)
    metadata = {**graph.metadata, "prompt": model.tokenizer.decode(list(graph.ids)), "dictionary": name}
    graph = replace(graph, metadata=metadata)
    graph.save(run.path / GRAPH)
    return graph
