"""What the jobs of features work with: a dictionary's features, their survey, their labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mindscope.core import order_names
from mindscope.errors import DataError
from mindscope.jobs.dictionary import BorrowingModelsSpec
from mindscope.jobs.job import JobSpec
from mindscope.jobs.resolve import dictionary_file
from mindscope.store import Document

if TYPE_CHECKING:
    from mindscope.dictionaries import DictionaryBank
    from mindscope.engines import Engine
    from mindscope.explain import FeatureLabel, LogitEffects, Survey
    from mindscope.models import Model

LABELS = "labels"
"""The folder of a run in which `label` leaves its labels."""


class DictionarySpec(JobSpec):
    """A dictionary."""

    dictionary: str
    """A .safetensors file, the folder of a dictionary with several coders, or organism:NAME for one of the
    organism's: sae.0 to sae.3, transcoders, clt."""

    def dictionary_path(self) -> Path:
        """Where it lies."""
        return dictionary_file(self.dictionary)

    def load_bank(self, *models: Engine) -> DictionaryBank:
        """Its latents as features of the models, on the first one's device: encoding is most of the work."""
        from mindscope.dictionaries import Dictionary, DictionaryBank

        return DictionaryBank(Dictionary.load(self.dictionary_path(), models).to(models[0].device))


class FeatureSpec(BorrowingModelsSpec, DictionarySpec):
    """A model, or the two of a crosscoder, and a dictionary; the run is that of the survey."""

    def run_path(self) -> Path:
        """`runs/features`: the survey, its labels and pages."""
        return Path("runs/features")


class LabelScoreRow(Document):
    """How often a label was right; None where nothing usable was said."""

    accuracy: float | None
    hits: float | None
    rejections: float | None
    answered: int
    missing: int


class LabelRow(Document):
    """What a feature means, who said so, and how well that holds, by the kind of test."""

    feature: int
    text: str
    source: str
    scores: dict[str, LabelScoreRow]


def open_survey(run: Path, bank: DictionaryBank) -> Survey:
    """The survey of a run, if it is of these features.

    Raises:
        StoreError: there is none, or it is damaged.
        DataError: it is of other features.
    """
    from mindscope.explain import Survey

    survey = Survey.open(run, fingerprint=bank.fingerprint)
    if survey.metadata["features"] != bank.digest():
        raise DataError(f"{run} holds the survey of another dictionary: give its --run")
    return survey


def read_labels(run: Path) -> dict[int, FeatureLabel]:
    """What `feature label` left in a run, by feature."""
    from mindscope.explain import FeatureLabel

    labels = map(FeatureLabel.load, sorted((run / LABELS).glob("*.json"), key=order_names))
    return {label.feature: label for label in labels}


def label_text(survey: Survey, labels: Mapping[int, FeatureLabel], feature: int) -> str:
    """The label that is known, or a short one from the feature's contexts."""
    from mindscope.explain import keyless_label

    return labels[feature].text if feature in labels else keyless_label(survey, feature).text


def describe_label(label: FeatureLabel) -> LabelRow:
    """A label as a row of a report."""
    return LabelRow.model_validate(label.to_json())


def logit_effects(models: Sequence[Model], bank: DictionaryBank, feature: int) -> LogitEffects | None:
    """What a feature makes the model say that it writes most to, the first where all are written alike.

    None where its dictionary writes outside the residual stream.
    """
    from mindscope.explain import feature_logits
    from mindscope.models import writes_residual

    if not all(writes_residual(model, site.address) for model in models for site in bank.writes):
        return None
    norms = dict.fromkeys(bank.models.values(), 0.0)  # by fingerprint
    for site, rows in bank.decoder_rows([feature]).items():
        norms[bank.models[site.model]] += rows.norm().item()
    written = max(models, key=lambda model: norms.get(model.fingerprint, 0.0))
    return feature_logits(written, bank, [feature])[0]
