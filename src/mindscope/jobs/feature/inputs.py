"""What the jobs of features work with: a dictionary's features, their survey, their labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mindscope.errors import DataError
from mindscope.jobs.job import JobSpec
from mindscope.jobs.resolve import dictionary_file
from mindscope.jobs.specs import BorrowingModelSpec
from mindscope.store import Document

if TYPE_CHECKING:
    from mindscope.dictionaries import DictionaryBank
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

    def load_bank(self, model: Model) -> DictionaryBank:
        """Its latents as features of the model, on the model's device: encoding is most of the work."""
        from mindscope.dictionaries import Dictionary, DictionaryBank

        return DictionaryBank(Dictionary.load(self.dictionary_path(), model).to(model.device))


class FeatureSpec(BorrowingModelSpec, DictionarySpec):
    """A model and a dictionary; the run is that of the survey."""

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

    labels = (FeatureLabel.load(file) for file in sorted((run / LABELS).glob("*.json")))
    return {label.feature: label for label in labels}


def label_text(survey: Survey, labels: Mapping[int, FeatureLabel], feature: int) -> str:
    """The label that is known, or a short one from the feature's contexts."""
    from mindscope.explain import keyless_label

    return labels[feature].text if feature in labels else keyless_label(survey, feature).text


def describe_label(label: FeatureLabel) -> LabelRow:
    """A label as a row of a report."""
    return LabelRow.model_validate(label.to_json())


def logit_effects(model: Model, bank: DictionaryBank, feature: int) -> LogitEffects | None:
    """What a feature makes the model say; None where its dictionary writes outside the residual stream."""
    from mindscope.explain import feature_logits
    from mindscope.models import writes_residual

    if not all(writes_residual(model, site.address) for site in bank.writes):
        return None
    return feature_logits(model, bank, [feature])[0]
