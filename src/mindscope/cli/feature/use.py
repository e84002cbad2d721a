"""`mindscope feature label|classify|alarm|concepts`: features put to use."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mindscope.cli import monitor_options as watching
from mindscope.cli import options, output
from mindscope.cli.feature.options import (
    LABELS,
    DictionaryFile,
    RunFolder,
    known_labels,
    load_features,
    open_survey,
)
from mindscope.cli.monitor_options import AlarmAction, AlarmOptions, ReadingPosition
from mindscope.cli.output import Json
from mindscope.cli.persona.options import configure, numbers
from mindscope.errors import DataError
from mindscope.jobs import ORGANISM, find_writer, load_model

if TYPE_CHECKING:
    from torch import Tensor

    from mindscope.models import Model, Row


class TokenPositions(StrEnum):
    """The tokens of a text that count."""

    all = "all"
    prompt = "prompt"
    answer = "answer"


Latents = Annotated[str, typer.Option(help="Their numbers, such as 3,17.")]


def label(
    model: options.ModelName,
    dictionary: DictionaryFile,
    run: RunFolder = Path("runs/features"),
    features: Annotated[
        str | None, typer.Option(help="Numbers, such as 3,17; all that are ever active by default.")
    ] = None,
    writer: Annotated[
        str | None,
        typer.Option(help="model:NAME or endpoint:NAME; by default labels need no language model."),
    ] = None,
    base_url: options.BaseUrl = None,
    seed: options.Seed = 0,
    json: Json = False,
) -> None:
    """Name features, and test each name on contexts it was not made from."""
    from mindscope.explain import feature_logits, keyless_label, writes_residual, written_label
    from mindscope.store import read_json, write_json

    loaded = load_model(model)
    known = load_features(loaded, dictionary)
    found = open_survey(run, known)
    alive = (~found.statistics.dead).nonzero()[:, 0].tolist()
    wanted = list(numbers(features, int)) if features else alive
    speaker = find_writer(writer, base_url) if writer else None
    direct = all(writes_residual(loaded, site.address) for site in known.writes)
    source = speaker.name if speaker else "contexts"
    labels = []
    with output.progress() as report:
        for done, feature in enumerate(wanted, 1):
            file = run / LABELS / f"{int(feature):06}.json"
            made = read_json(file) if file.exists() else {}
            if made.get("source") != source:
                logits = feature_logits(loaded, known, [int(feature)])[0] if direct else None
                one = (
                    written_label(found, int(feature), speaker, logits=logits, seed=seed)
                    if speaker
                    else keyless_label(found, int(feature), logits)
                )
                write_json(file, made := one.to_json())
            labels.append(made)
            report(done, len(wanted), "labels")
    if json:
        output.print_json(labels)
        return
    rows = [
        [one["feature"], one["text"], *(score["accuracy"] for score in one["scores"].values())]
        for one in labels[:40]
    ]
    tests = list(labels[0]["scores"]) if labels else []
    full = [row for row in rows if len(row) == 2 + len(tests)]
    output.print_table(["feature", "label", *tests], full)
    scored = [one["scores"]["detection"]["accuracy"] for one in labels if one["scores"]]
    right = [score for score in scored if score is not None]
    if right:
        typer.echo(f"mean detection accuracy {sum(right) / len(right):.3f} over {len(right)} labels")


def classify(
    model: options.ModelName,
    dictionary: DictionaryFile,
    positive: Annotated[Path, typer.Argument(help="Texts or conversations of the class.")],
    negative: Annotated[Path, typer.Argument(help="Others.")],
    run: Annotated[
        Path | None, typer.Option("--run", help="A survey, for labels.", show_default=False)
    ] = None,
    where: Annotated[TokenPositions, typer.Option(help="Which are pooled over.")] = TokenPositions.all,
    ablate: Annotated[
        str | None, typer.Option(help="Spurious features to leave out, such as 3,17.", show_default=False)
    ] = None,
    seed: options.Seed = 0,
    json: Json = False,
) -> None:
    """Tell two kinds of texts apart by features and by raw activations, and say by which features."""
    from mindscope.explain import FEATURES, compare_probes, keyless_label

    loaded = load_model(model)
    known = load_features(loaded, dictionary)
    rows, truth = _texts(loaded, positive, negative, seed)
    half = len(rows) // 2
    with output.progress():
        found = compare_probes(
            loaded, known, known.dictionary.reads[0].address, rows[:half], truth[:half], rows[half:],
            truth[half:], where=where.value, seed=seed,
        )  # fmt: skip
    labels = known_labels(run) if run else {}
    survey = open_survey(run, known) if run else None
    weights = []
    for one in found.classifiers[FEATURES, "l2"].top(10):
        text = labels[one.column].text if one.column in labels else None
        if text is None and survey is not None:
            text = keyless_label(survey, one.column).text
        weights.append([one.column, one.weight, text])
    spurious = [int(one) for one in numbers(ablate, int)] if ablate else []
    after = found.without(spurious) if spurious else None
    if json:
        document = {"scores": found.to_json(), "held_out": len(truth) - half, "top": weights}
        output.print_json(document | ({"ablated": after.to_json()} if after else {}))
        return
    table = found.rows()
    if after is not None:
        table.append([f"{FEATURES}, without {ablate}", "l2", *after.auroc, *after.f1])
    output.print_table(found.COLUMNS, table, f"{half} texts to fit on, {len(truth) - half} held out")
    output.print_table(["feature", "weight", "label"], weights, "what the l2 classifier goes by")


def alarm(
    model: options.ModelName,
    dictionary: DictionaryFile,
    data: watching.DataFile,
    latents: Latents,
    calibrate: watching.Calibrate = None,
    false_alarms: watching.FalseAlarms = None,
    jointly: watching.Jointly = False,
    thresholds: watching.Thresholds = None,
    at: watching.Place = ReadingPosition.answer,
    window: watching.Window = None,
    policy: watching.PolicyName = AlarmAction.log,
    coefficient: watching.Coefficient = 1.0,
    answer: watching.Answer = False,
    max_new_tokens: watching.MaxNewTokens = None,
    temperature: watching.Temperature = None,
    on_error: watching.OnError = None,
    shard_rows: watching.ShardRows = None,
    run: Annotated[Path, typer.Option("--run", help="Where all is kept.")] = Path("runs/feature-alarm"),
    seed: options.Seed = 0,
    dtype: options.Dtype = "auto",
    device: options.Device = "auto",
    json: Json = False,
) -> None:
    """Watch conversations for latents, as `persona monitor` does for persona vectors."""
    from mindscope import monitoring
    from mindscope.dictionaries import Dictionary, DictionaryBank
    from mindscope.features import FeatureSet

    if calibrate is None and thresholds is None:
        raise DataError("an alarm needs a threshold: give --calibrate ORDINARY.jsonl, or --thresholds FILE")
    alarms = AlarmOptions.given(
        policy, coefficient, answer, calibrate=calibrate, false_alarms=false_alarms, jointly=jointly,
        thresholds=thresholds, at=at, window=window,
    )  # fmt: skip
    config = configure(
        monitoring.MonitorConfig,
        answer=answer,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        on_error=on_error,
        shard_rows=shard_rows,
        seed=seed,
    )
    loaded = load_model(model, dtype, device)
    bank = DictionaryBank(Dictionary.load(dictionary, loaded))
    known = FeatureSet([bank.feature(int(latent)) for latent in numbers(latents, int)])
    watching.watch_file(loaded, known, data, run, alarms, config, json=json)


def concepts(
    dictionary: DictionaryFile,
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="The organism, or one tuned from it.")
    ] = ORGANISM,
    phrasings: Annotated[str, typer.Option(help="train, or test: put as training never showed.")] = "train",
    scale: Annotated[float, typer.Option(min=0.01, help="1 is some four thousand texts a half.")] = 1.0,
    page: Annotated[Path, typer.Option(help="The page.")] = Path("concepts.html"),
    seed: options.Seed = 0,
    json: Json = False,
) -> None:
    """Find the single feature that stands for each concept of the organism's world, and how well it does."""
    from mindscope import organism
    from mindscope.explain import concept_table
    from mindscope.studies.organism_dictionaries.measure import labelled_halves

    loaded = load_model(model)
    known = load_features(loaded, dictionary)
    halves = labelled_halves(loaded, phrasings=phrasings, scale=scale, seed=seed)
    with output.progress() as report:
        found = concept_table(loaded, known, organism.world_concepts(), *halves, progress=report)
    found.report().write(page)
    if json:
        output.print_json(found.to_json() | {"page": str(page)})
        return
    groups = [[group, right, every] for group, (right, every) in found.by_group().items()]
    output.print_table(
        ["group", "found", "of"], groups, f"{len(found.found())} of {len(found.best)} concepts"
    )
    typer.echo(f"page: {page}")


def _texts(model: Model, positive: Path, negative: Path, seed: int) -> tuple[list[Row], Tensor]:
    """Texts of both files in an order drawn at random, and which are of the class."""
    import random

    import torch

    from mindscope.dictionaries import read_corpus

    both = [
        (row, kind)
        for path, kind in ((positive, True), (negative, False))
        for row in read_corpus(model, path)(0)
    ]
    if len(both) < 12:
        raise DataError(f"{len(both)} texts are too few to fit and to test on: give at least 6 of each kind")
    random.Random(seed).shuffle(both)
    return [row for row, _ in both], torch.tensor([kind for _, kind in both])
