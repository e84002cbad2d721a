"""`mindscope dictionary`: train sparse dictionaries on what a model computes, and look at them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mindscope.cli import options, output
from mindscope.cli.dictionary import evaluate as dictionary_evaluate
from mindscope.cli.dictionary import formats as dictionary_formats
from mindscope.cli.output import Json
from mindscope.cli.persona.options import configure, numbers
from mindscope.cli.session import open_run
from mindscope.errors import DataError
from mindscope.jobs import ORGANISM, load_model

if TYPE_CHECKING:
    from mindscope.dictionaries import ActivationSource, Dictionary, TextCorpus, TrainConfig, TrainingWorld
    from mindscope.models import Model

app = typer.Typer(no_args_is_help=True, help="Train sparse dictionaries (SAE, transcoder, CLT, crosscoder).")
app.command("evaluate")(dictionary_evaluate.evaluate)
app.command("import")(dictionary_formats.import_)
app.command("export")(dictionary_formats.export_)

CorpusFile = Annotated[
    str,
    typer.Argument(
        metavar="CORPUS",
        help="Texts or conversations (.txt, .jsonl, .csv, .parquet), a folder of recorded activations, or "
        "`organism`, the organism's own corpus.",
    ),
]
RunFolder = Annotated[Path, typer.Option("--run", help="Where checkpoints and dictionaries are kept.")]
Context = Annotated[int, typer.Option(min=2, help="Longer rows are cut into rows of so many tokens.")]
Skip = Annotated[int, typer.Option(min=0, help="Tokens to leave out at the beginning of every row.")]


@app.command()
def train(
    model: options.ModelName,
    corpus: CorpusFile,
    run: RunFolder = Path("runs/dictionaries"),
    kind: Annotated[str, typer.Option(help="sae, transcoder, clt or crosscoder.")] = "sae",
    layers: Annotated[str | None, typer.Option(help="Such as 0,2,5; all by default.")] = None,
    site: Annotated[str, typer.Option(help="What an sae or crosscoder reads.")] = "resid_post",
    method: Annotated[
        str | None, typer.Option(help="batchtopk, topk, matryoshka, jumprelu or relu.", show_default=False)
    ] = None,
    latents: Annotated[
        int | None, typer.Option(min=2, help="Per coder; 16 times the width by default.", show_default=False)
    ] = None,
    k: Annotated[int | None, typer.Option(min=1, help="Active latents a token; 32.")] = None,
    sparsity: Annotated[
        float | None, typer.Option(help="Coefficient for jumprelu (10) and relu (5).")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(help="The method's own by default.")] = None,
    dead_tokens: Annotated[
        int | None, typer.Option(min=1, help="Silent for so long is dead; 10 million.")
    ] = None,
    resample: Annotated[
        str | None,
        typer.Option(help="Steps after which relu draws dead latents anew, such as 25000,50000."),
    ] = None,
    skip_connection: Annotated[bool, typer.Option(help="Skip transcoders: a linear path beside.")] = False,
    steps: Annotated[int, typer.Option(min=1, help="Batches to train on.")] = 10_000,
    batch_tokens: Annotated[int | None, typer.Option(min=2, help="Tokens of a batch; 4096.")] = None,
    buffer_batches: Annotated[int | None, typer.Option(min=1, help="Batches shuffled together; 32.")] = None,
    precision: Annotated[str | None, typer.Option(help="float32 or bfloat16 matrix products.")] = None,
    checkpoint_every: Annotated[int | None, typer.Option(min=1, help="Steps; 500.")] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="A JSON file with the whole configuration, in place of the options above."),
    ] = None,
    context: Context = 256,
    skip_tokens: Skip = 0,
    track: Annotated[
        str | None,
        typer.Option(help="Show metrics in tensorboard, trackio or wandb too.", show_default=False),
    ] = None,
    seed: options.Seed = 0,
    dtype: options.Dtype = "auto",
    device: options.Device = "auto",
    json: Json = False,
) -> None:
    """Train dictionaries, one a layer, on one pass over the model; stopped, the same command goes on."""
    from mindscope.dictionaries import TrainConfig, own_device, torchrun_world, train
    from mindscope.store import read_json

    loaded = load_model(model, dtype, own_device(device))
    if config is not None:
        settings = configure(TrainConfig, **_object(read_json(config), config))
    else:
        shared = {
            "kind": kind,
            "method": method,
            "n_latents": latents or 16 * loaded.d_model,
            "k": k,
            "sparsity": sparsity,
            "learning_rate": learning_rate,
            "dead_tokens": dead_tokens,
            "resample": [int(step) for step in numbers(resample, int)] if resample else None,
            "skip": skip_connection,
        }
        settings = configure(
            TrainConfig,
            dictionaries=_planned(loaded, kind, site, layers, shared),
            steps=steps,
            batch_tokens=batch_tokens,
            buffer_batches=buffer_batches,
            precision=precision,
            checkpoint_every=checkpoint_every,
            seed=seed,
        )
    record = settings.model_dump(mode="json") | {"corpus": corpus, "context": context, "skip": skip_tokens}
    with torchrun_world() as together:
        source = _source(loaded, corpus, settings, context, skip_tokens, together)
        if not together.first:
            train(source, run, settings, loaded.device, world=together)
            return
        with (
            open_run(
                run,
                kind="dictionary-train",
                config=record,
                fingerprint=loaded.fingerprint,
                seed=settings.seed,
            ) as opened,
            output.progress() as report,
        ):
            if track is not None:
                opened.track(track)
            found = train(source, opened, settings, loaded.device, report, together)
            last = {line["dictionary"]: line for line in opened.metrics()}
            table = [
                _facts(name, dictionary) | _measured(last.get(name, {})) for name, dictionary in found.items()
            ]
            opened.finish(dictionaries=table)
    if json:
        output.print_json({"run": run, "dictionaries": table})
    else:
        output.print_table(list(table[0]), [list(row.values()) for row in table])
        typer.echo(f"dictionaries: {run}")


@app.command()
def record(
    model: options.ModelName,
    corpus: CorpusFile,
    sites: Annotated[str, typer.Option(help="Addresses, such as resid_post.2,mlp_in.3.")],
    run: RunFolder = Path("runs/activations"),
    tokens: Annotated[int, typer.Option(min=1, help="How many to write, at least.")] = 1_000_000,
    context: Context = 256,
    skip_tokens: Skip = 0,
    dtype: options.Dtype = "auto",
    device: options.Device = "auto",
    json: Json = False,
) -> None:
    """Write a model's activations to disk, to train on without the model."""
    from mindscope.dictionaries import ModelSource, write_shards

    loaded = load_model(model, dtype, device)
    names = tuple(sites.split(","))
    source = ModelSource([loaded], names, corpus_of(loaded, corpus, context), skip=skip_tokens)
    settings = {"corpus": corpus, "sites": names, "tokens": tokens, "context": context, "skip": skip_tokens}
    with open_run(run, kind="activations", config=settings, fingerprint=loaded.fingerprint) as opened:
        write_shards(source, opened, tokens=tokens)
    if json:
        output.print_json({"activations": run})
    else:
        typer.echo(f"activations: {run}")


@app.command()
def show(
    path: Annotated[Path, typer.Argument(help="A dictionary: a .safetensors file, or the folder of a CLT.")],
    json: Json = False,
) -> None:
    """Show what a dictionary reads and writes, how large it is and how it was trained."""
    from mindscope.dictionaries import Dictionary

    found = Dictionary.load(path, lazy=True)
    facts = _facts(path.stem, found)
    if json:
        output.print_json(facts | {"metadata": dict(found.metadata)})
    else:
        output.print_table(list(facts), [list(facts.values())])


def _planned(
    model: Model, kind: str, site: str, layers: str | None, shared: dict[str, Any]
) -> list[dict[str, Any]]:
    """A dictionary for each layer; a CLT or crosscoder over all of them."""
    chosen = [int(layer) for layer in numbers(layers, int)] if layers else list(range(model.n_layers))
    shared = {name: value for name, value in shared.items() if value is not None}
    if kind in ("transcoder", "clt"):
        places = [(f"mlp_in.{layer}", f"mlp_out.{layer}") for layer in chosen]
    else:
        places = [(f"{site}.{layer}",) * 2 for layer in chosen]
    if kind in ("clt", "crosscoder"):
        reads, writes = zip(*places, strict=True)
        return [shared | {"name": kind, "reads": reads, "writes": writes}]
    return [
        shared
        | {"name": reads if kind == "sae" else f"{kind}.{layer}", "reads": (reads,), "writes": (writes,)}
        for layer, (reads, writes) in zip(chosen, places, strict=True)
    ]


def _source(
    model: Model, corpus: str, config: TrainConfig, context: int, skip: int, world: TrainingWorld
) -> ActivationSource:
    from mindscope.dictionaries import INDEX, ModelSource, ShardSource

    if (Path(corpus) / INDEX).exists():
        source = ShardSource(corpus)
        if {*source.models.values()} != {model.fingerprint}:
            raise DataError(
                f"{corpus} holds the activations of another model than {model.name}: record them again"
            )
        return source
    names = dict.fromkeys(name for one in config.dictionaries for name in (*one.reads, *one.targets))
    return ModelSource([model], tuple(names), corpus_of(model, corpus, context), skip=skip, world=world)


def corpus_of(model: Model, corpus: str, context: int) -> TextCorpus:
    """The rows of a corpus that is given as `CorpusFile`."""
    from mindscope.dictionaries import read_corpus as read_corpus

    if corpus != ORGANISM:
        return read_corpus(model, corpus, context=context)
    from mindscope import organism

    return lambda start: organism.corpus_rows(model, start)


def _facts(name: str, dictionary: Dictionary) -> dict[str, Any]:
    return {
        "dictionary": name,
        "kind": dictionary.kind,
        "reads": " ".join(site.address for site in dictionary.reads),
        "activation": dictionary.activation,
        "latents": dictionary.n_latents,
    }


def _measured(line: dict[str, Any]) -> dict[str, Any]:
    return {name: line.get(name) for name in ("l0", "explained_variance", "dead")}


def _object(value: Any, path: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"{path} must hold one JSON object, the fields of a training configuration")
    return value
