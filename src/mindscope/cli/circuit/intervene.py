"""`mindscope circuit intervene` and `validate`: what happens when features are changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mindscope.cli import options, output
from mindscope.cli.circuit.options import (
    GRAPH,
    REPORT,
    DictionaryName,
    GraphFile,
    OpenedGraph,
    find_targets,
    open_graph,
    place,
    replacement_of,
)
from mindscope.cli.circuit.tables import print_rows
from mindscope.cli.output import Json
from mindscope.errors import DataError
from mindscope.jobs import load_model

if TYPE_CHECKING:
    from mindscope.circuits import AttributionGraph, Intervention, Mode, PrunedGraph, ReplacementModel
    from mindscope.models import Model, Row

FROM_ON = "+"
"""Behind a feature's name: from its token on, through generated ones too."""

ModeName = Annotated[
    str,
    typer.Option(
        help="What else may change: everything (open), all but attention patterns (frozen), all but these "
        "and the scales of norms (frozen_norms), or nothing but direct effects (constrained)."
    ),
]
Layers = Annotated[
    str | None,
    typer.Option(metavar="FIRST:END", help="The layers whose MLPs `constrained` holds; all by default."),
]


def intervene(
    model: options.ModelName,
    graph: GraphFile,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FEATURE=VALUE",
            help="Set an activation. FEATURE is LAYER_LATENT_POSITION (with + behind it: from there on, in "
            "what is generated too) or the label of a supernode in the graph's file. Repeatable.",
        ),
    ] = None,
    scale: Annotated[
        list[str] | None,
        typer.Option(metavar="FEATURE=FACTOR", help="Multiply an activation; 0 turns it off. Repeatable."),
    ] = None,
    add: Annotated[
        list[str] | None, typer.Option(metavar="FEATURE=VALUE", help="Add to an activation. Repeatable.")
    ] = None,
    on: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GRAPH:LABEL",
            help="Set a supernode of another graph to the activations it has there, counted from the end of "
            "both prompts. Repeatable.",
        ),
    ] = None,
    mode: ModeName = "open",
    layers: Layers = None,
    dictionary: DictionaryName = None,
    generate: Annotated[int, typer.Option(min=0, help="Tokens to write, with and without the change.")] = 0,
    temperature: Annotated[float, typer.Option(min=0.0, help="Of what is written.")] = 0.0,
    top: Annotated[int, typer.Option(min=1, help="Next tokens to show.")] = 10,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    json: Json = False,
) -> None:
    """Change features of a graph's prompt, and see what becomes of the next token and of the answer."""
    from mindscope.circuits import intervene_batch
    from mindscope.models import Row

    loaded = load_model(model, "float32", device)
    opened = open_graph(graph)
    replacement = replacement_of(opened.graph, dictionary, loaded)
    row = Row(opened.graph.ids, len(opened.graph.ids))
    changes = [
        *(
            one
            for op, some in (("set", set_), ("scale", scale), ("add", add))
            for text in some or ()
            for one in _changes(opened, op, text)
        ),
        *(one for text in on or () for one in _donated(opened, text)),
    ]
    if not changes:
        raise DataError("nothing is changed: give --set, --scale, --add or --on")
    kind, held = mode_of(mode), layers_of(layers)
    before, after = (
        one.logits.softmax(0)
        for one in intervene_batch(loaded, replacement, row, [[], changes], mode=kind, layers=held)
    )
    shown = (before + after).topk(min(top, len(before))).indices.tolist()
    rows: list[dict[str, Any]] = [
        {"token": loaded.decode([token]), "before": float(before[token]), "after": float(after[token])}
        for token in sorted(shown, key=lambda token: -float(after[token]))
    ]
    result: dict[str, Any] = {"changes": len(changes), "mode": kind, "tokens": rows}
    if generate:
        result["texts"] = _texts(loaded, replacement, row, changes, kind, held, generate, temperature, seed)
    if json:
        output.print_json(result)
        return
    print_rows(rows, f"next token, {len(changes)} features changed, {kind}")
    for name, text in result.get("texts", {}).items():
        typer.echo(f"{name}: {text}")


def validate(
    model: options.ModelName,
    graph: GraphFile,
    count: Annotated[
        int, typer.Option("--top", min=1, help="How many of the most influential features to change.")
    ] = 20,
    node: Annotated[
        list[str] | None, typer.Option(help="Change these features instead, by name. Repeatable.")
    ] = None,
    groups: Annotated[
        bool, typer.Option("--groups", help="Change automatic supernodes instead, each as a whole.")
    ] = False,
    factor: Annotated[float, typer.Option(help="What activations are multiplied by; 0 turns off.")] = 0.0,
    mode: ModeName = "open",
    measured: Annotated[int, typer.Option(min=1, help="Features whose change is measured.")] = 100,
    direction: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VECTORS[@LAYER]", help="What the graph explains, where it is directions. Repeatable."
        ),
    ] = None,
    dictionary: DictionaryName = None,
    device: options.Device = "auto",
    json: Json = False,
) -> None:
    """Check a graph by intervention: what it predicts of changes, against what the model does."""
    from mindscope.circuits import find_supernodes, with_validation
    from mindscope.circuits import validate_graph as check

    if graph.suffix == ".json":
        raise DataError(f"{graph} has lost what was pruned: give the run, or the graph.safetensors, it is of")
    loaded = load_model(model, "float32", device)
    opened = open_graph(graph)
    replacement = replacement_of(opened.graph, dictionary, loaded)
    which = node or (find_supernodes(opened.graph, opened.pruned) if groups else count)
    wanted = find_targets(loaded, (), None, direction, (), 1, 1.0) if direction else None
    with output.progress() as report:
        found = check(
            loaded,
            replacement,
            opened.graph,
            nodes=which,
            factor=factor,
            mode=mode_of(mode),
            measured=measured,
            targets=wanted,
            progress=report,
        )
    checked = with_validation(opened.graph, found)
    checked.save(graph / GRAPH if graph.is_dir() else graph)
    if graph.is_dir():
        write_page(graph, checked, opened.pruned, loaded, replacement)
    table = [
        {
            "of": name,
            "pairs": one.pairs,
            "r": one.r,
            "low": one.low,
            "high": one.high,
            "same sign": one.sign_agreement,
        }
        for name in ("overall", "features", "targets", "logits")
        for one in (getattr(found, name),)
    ]
    if json:
        output.print_json(found.to_json())
    else:
        print_rows(table, f"predicted against actual changes of {len(found.changed)} interventions, {mode}")


def write_page(
    run: Path, graph: AttributionGraph, pruned: PrunedGraph, model: Model, replacement: ReplacementModel
) -> Path:
    """A run's page, with what each shown feature makes the model say."""
    from mindscope.circuits import compute_feature_effects, build_graph_page, describe_logits

    shown = graph.features[pruned.node_mask[: graph.n_features]]
    details = describe_logits(model, shown, compute_feature_effects(model, replacement, shown))
    return build_graph_page(graph, pruned, details=details).write(run / REPORT)


def mode_of(name: str) -> Mode:
    from mindscope.circuits import MODES

    for one in MODES:
        if one == name:
            return one
    raise DataError(f"--mode {name}: use one of {', '.join(MODES)}")


def layers_of(text: str | None) -> range | None:
    if text is None:
        return None
    try:
        first, end = map(int, text.split(":"))
    except ValueError:
        raise DataError(f"--layers {text}: write FIRST:END, such as 2:6 for layers 2 to 5") from None
    return range(first, end)


def _changes(opened: OpenedGraph, op: Any, text: str) -> list[Intervention]:
    """The interventions that `FEATURE=VALUE` or `LABEL=VALUE` means."""
    from mindscope.circuits import Intervention, find_active

    name, _, number = text.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        raise DataError(f"{text!r} is no change: write FEATURE=NUMBER, such as 3_77_12=0") from None
    groups = {one.label: one for one in opened.view.supernodes}
    if name in groups:
        found = find_active(opened.graph, groups[name])
        return [Intervention(one.layer, one.position, one.latent, op, value) for one in found]
    layer, latent, position = place(name.removesuffix(FROM_ON))
    return [
        Intervention(layer, slice(position, None) if name.endswith(FROM_ON) else position, latent, op, value)
    ]


def _donated(opened: OpenedGraph, text: str) -> list[Intervention]:
    """A supernode of another graph, with the activations it has there."""
    from mindscope.circuits import clamp_activations, find_active, align_ends

    file, _, label = text.partition(":")
    donor = open_graph(Path(file))
    group = next((one for one in donor.view.supernodes if one.label == label), None)
    if group is None:
        known = ", ".join(one.label for one in donor.view.supernodes) or "none"
        raise DataError(f"{file} has no supernode {label!r}: it has {known}")
    places = align_ends(opened.graph.n_positions, donor.graph.n_positions)
    return clamp_activations(find_active(donor.graph, group), positions=places)


def _texts(
    model: Model,
    replacement: ReplacementModel,
    row: Row,
    changes: Sequence[Intervention],
    mode: Mode,
    layers: range | None,
    tokens: int,
    temperature: float,
    seed: int,
) -> dict[str, str]:
    from mindscope.circuits import intervening
    from mindscope.models import Sampling

    sampling = Sampling(temperature=temperature, max_new_tokens=tokens, seed=seed)
    (before,) = model.generate([row], sampling)
    with intervening(model, replacement, [row], list(changes), mode=mode, layers=layers):
        (after,) = model.generate([row], sampling)
    return {"before": before.text, "after": after.text}
