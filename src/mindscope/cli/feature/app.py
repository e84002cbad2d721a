"""`mindscope feature`: what the features of a dictionary mean."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mindscope.cli import options, output
from mindscope.cli.dictionary.app import CorpusFile, corpus_of
from mindscope.cli.feature import use as feature_use
from mindscope.cli.feature.options import (
    DictionaryFile,
    RunFolder,
    known_labels,
    load_features,
    open_survey,
    table_of_features,
)
from mindscope.cli.output import Json
from mindscope.cli.session import open_run
from mindscope.errors import DataError
from mindscope.jobs import load_model

if TYPE_CHECKING:
    from mindscope.dictionaries import DictionaryBank
    from mindscope.explain import LogitEffects
    from mindscope.models import Model

app = typer.Typer(no_args_is_help=True, help="When features are active, what they mean and what they do.")
app.command("label")(feature_use.label)
app.command("classify")(feature_use.classify)
app.command("alarm")(feature_use.alarm)
app.command("concepts")(feature_use.concepts)


@app.command()
def survey(
    model: options.ModelName,
    dictionary: DictionaryFile,
    corpus: CorpusFile,
    run: RunFolder = Path("runs/features"),
    rows: Annotated[int, typer.Option(min=1, help="Rows of the corpus to read at most.")] = 10_000,
    top: Annotated[int, typer.Option(min=1, help="Strongest contexts of each feature.")] = 20,
    sample: Annotated[int, typer.Option(min=1, help="Contexts of all strengths.")] = 60,
    context: Annotated[
        int, typer.Option(min=2, help="Longer rows are cut into rows of so many tokens.")
    ] = 256,
    seed: options.Seed = 0,
    dtype: options.Dtype = "auto",
    device: options.Device = "auto",
    json: Json = False,
) -> None:
    """Read a corpus once, and keep when each feature is active; all other commands look at this."""
    from mindscope.explain import SurveyConfig
    from mindscope.explain import survey_features as read

    loaded = load_model(model, dtype, device)
    features = load_features(loaded, dictionary)
    settings = {"dictionary": str(dictionary), "corpus": corpus, "rows": rows, "context": context}
    with (
        open_run(run, kind="survey", config=settings, fingerprint=loaded.fingerprint, seed=seed) as opened,
        output.progress() as report,
    ):
        stream = islice(corpus_of(loaded, corpus, context)(0), rows)
        config = SurveyConfig(top=top, sample=sample, seed=seed)
        found = read(loaded, features, stream, opened, config, total=rows, progress=report)
        statistics = found.statistics
        summary = {
            "features": found.n_features,
            "rows": found.metadata["rows"],
            "tokens": found.metadata["tokens"],
            "dead": int(statistics.dead.sum()),
            "dense": int((statistics.density > 0.1).sum()),
        }
        opened.finish(**summary)
    if json:
        output.print_json(summary | {"run": str(run)})
    else:
        output.print_table(list(summary), [list(summary.values())])
        typer.echo(f"survey: {run}\nlook at one with: mindscope feature show {model} {dictionary} FEATURE")


@app.command()
def show(
    model: options.ModelName,
    dictionary: DictionaryFile,
    feature: Annotated[int, typer.Argument(help="Its number.")],
    run: RunFolder = Path("runs/features"),
    page: Annotated[
        Path | None, typer.Option(help="The page; RUN/feature-N.html.", show_default=False)
    ] = None,
    document: Annotated[
        Path | None, typer.Option(help="Write the public feature JSON here too.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Show one feature: contexts, tokens, logits, neighbours, and a label; and write its page."""
    from mindscope.explain import feature_json, feature_report, find_neighbours, keyless_label
    from mindscope.store import write_json

    loaded = load_model(model)
    features = load_features(loaded, dictionary)
    known = open_survey(run, features)
    activity, logits = known.feature(feature), _logits(loaded, features, feature)
    labels = known_labels(run)
    label = labels.get(feature) or keyless_label(known, feature, logits)
    near = find_neighbours(features, feature)
    texts = {number: one.text for number, one in labels.items()}
    place = page or run / f"feature-{feature}.html"
    feature_report(known, feature, label=label, logits=logits, near=near, labels=texts).write(place)
    public = feature_json(known, feature, transcoder_id=dictionary.stem, logits=logits)
    if document is not None:
        write_json(document, public)
    if json:
        found = public | {"label": label.to_json(), "neighbours": [one._asdict() for one in near]}
        output.print_json(found | {"page": str(place)})
        return
    typer.echo(f"{activity.name}: {label.text}")
    typer.echo(f"active on {activity.density:.3%} of tokens, highest {activity.highest:.4g}")
    rows = [[one.value, "".join(one.tokens).replace("\n", "⏎")] for one in activity.top[:8]]
    output.print_table(["activation", "context"], rows)
    if logits is not None:
        raised = ", ".join(known.vocabulary[one.token].strip() for one in logits.top)
        typer.echo(f"says: {raised}")
    typer.echo(f"page: {place}")


@app.command()
def search(
    model: options.ModelName,
    dictionary: DictionaryFile,
    words: Annotated[str | None, typer.Argument(help="What labels and contexts are searched for.")] = None,
    run: RunFolder = Path("runs/features"),
    token: Annotated[
        str | None, typer.Option(help="Features that mean this token.", show_default=False)
    ] = None,
    text: Annotated[str | None, typer.Option(help="What fires on this text.", show_default=False)] = None,
    chat: Annotated[
        str | None,
        typer.Option(help="The same, as a user's message in the chat template.", show_default=False),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="How many.")] = 20,
    json: Json = False,
) -> None:
    """Find features by words, by a token, or by what fires on a text."""
    from mindscope.explain import TextIndex, fires_on, search_token

    if sum(one is not None for one in (words, token, text, chat)) != 1:
        raise DataError("say what to search for: WORDS, --token, --text or --chat, one of them")
    loaded = load_model(model)
    features = load_features(loaded, dictionary)
    known, labels = open_survey(run, features), {n: one.text for n, one in known_labels(run).items()}
    found: list[dict[str, Any]]
    if words is not None:
        found = [one._asdict() for one in TextIndex(known, labels).search(words, count)]
    elif token is not None:
        uses = [use for each in search_token(known, token, count).values() for use in each]
        found = [
            {"feature": use.feature, "token": known.vocabulary[use.token], "F1": use.f1} | _shares(use)
            for use in sorted(uses, key=lambda use: -use.f1)[:count]
        ]
    else:
        row = loaded.text(text or "") if chat is None else loaded.chat([{"role": "user", "content": chat}])
        firing = fires_on(loaded, features, known, row, count=count)
        found = [
            {"feature": one.feature, "on": known.vocabulary[row.ids[one.position]], "activation": one.value}
            | {"share of its highest": one.share, "density": one.density}
            for one in firing
        ]
    table_of_features(known, found, labels, json=json)


@app.command("map")
def map_(
    model: options.ModelName,
    dictionary: DictionaryFile,
    run: RunFolder = Path("runs/features"),
    method: Annotated[
        str | None, typer.Option(help="umap (extra `map`), tsne or pca.", show_default=False)
    ] = None,
    least_cluster: Annotated[int, typer.Option(min=2, help="The fewest features of a cluster.")] = 5,
    seed: options.Seed = 0,
    json: Json = False,
) -> None:
    """Lay all features that are ever active out on a plane, with clusters."""
    from mindscope.explain import feature_map
    from mindscope.reports import Report

    if method not in (None, "umap", "tsne", "pca"):
        raise DataError(f"there is no layout {method!r}: use umap, tsne or pca")
    features = load_features(load_model(model), dictionary)
    known, labels = open_survey(run, features), {n: one.text for n, one in known_labels(run).items()}
    alive = (~known.statistics.dead).nonzero()[:, 0]
    chosen: Any = method
    found = feature_map(features, alive, method=chosen, least_cluster=least_cluster, seed=seed)
    names = found.names(labels)
    clusters = [[names[i], len(found.members(i)), found.members(i)[:12]] for i in range(found.n_clusters)]
    report = Report("Feature map", f"{len(alive)} features of {dictionary.stem} by what they write")
    report.figure(found.figure(labels), f"{found.method} of decoder cosines; clusters by HDBSCAN.")
    report.table(["cluster", "features", "some of them"], clusters)
    place = report.write(run / "map.html")
    if json:
        points = zip(alive.tolist(), found.places.tolist(), found.clusters.tolist(), strict=True)
        listed = [{"feature": n, "x": at[0], "y": at[1], "cluster": cluster} for n, at, cluster in points]
        output.print_json({"method": found.method, "features": listed, "page": str(place)})
    else:
        output.print_table(["cluster", "features"], [row[:2] for row in clusters[:20]])
        typer.echo(f"page: {place}")


def _logits(model: Model, features: DictionaryBank, feature: int) -> LogitEffects | None:
    """None where a dictionary writes outside the residual stream."""
    from mindscope.explain import feature_logits, writes_residual

    if not all(writes_residual(model, site.address) for site in features.writes):
        return None
    return feature_logits(model, features, [feature])[0]


def _shares(use: Any) -> dict[str, Any]:
    return {"times": use.times, "precision": use.precision, "recall": use.recall}
