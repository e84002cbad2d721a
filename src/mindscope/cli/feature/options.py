"""What the `mindscope feature` commands work with: a dictionary's features, their survey, their labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mindscope.cli import output
from mindscope.errors import DataError
from mindscope.jobs import dictionary_file

if TYPE_CHECKING:
    from mindscope.dictionaries import DictionaryBank
    from mindscope.explain import FeatureLabel, Survey
    from mindscope.models import Model

DictionaryFile = Annotated[
    Path,
    typer.Argument(
        metavar="DICTIONARY",
        parser=dictionary_file,
        help="A .safetensors file, a CLT's folder, or organism:sae.0 to sae.3, transcoders, clt.",
    ),
]
RunFolder = Annotated[Path, typer.Option("--run", help="Where the survey is kept.")]
LABELS = "labels"


def load_features(model: Model, dictionary: Path) -> DictionaryBank:
    from mindscope.dictionaries import Dictionary, DictionaryBank

    return DictionaryBank(Dictionary.load(dictionary, model))


def open_survey(run: Path, features: DictionaryBank) -> Survey:
    """The survey of a run, if it is of these features."""
    from mindscope.explain import Survey

    found = Survey.open(run, fingerprint=features.fingerprint)
    if found.metadata["features"] != features.digest():
        raise DataError(f"{run} holds the survey of another dictionary: give its --run")
    return found


def known_labels(run: Path) -> dict[int, FeatureLabel]:
    """What `feature label` left in a run."""
    from mindscope.explain import FeatureLabel
    from mindscope.store import read_json

    labels = (FeatureLabel.from_json(read_json(file)) for file in sorted((run / LABELS).glob("*.json")))
    return {label.feature: label for label in labels}


def table_of_features(
    survey: Survey, found: Sequence[Mapping[str, Any]], labels: Mapping[int, str], *, json: bool
) -> None:
    """Print features that were found, with their labels: those known, else short ones from their contexts."""
    from mindscope.explain import keyless_label

    rows = [
        dict(one) | {"label": labels.get(one["feature"]) or keyless_label(survey, one["feature"]).text}
        for one in found
    ]
    if json:
        output.print_json(rows)
    elif not rows:
        output.say("no feature fits")
    else:
        output.print_table(list(rows[0]), [list(row.values()) for row in rows])
