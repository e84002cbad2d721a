"""The results of a screening, as documents."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from mindscope.errors import DataError
from mindscope.models import TemplateRecord
from mindscope.screening.config import ScreenConfig
from mindscope.stats import Estimate, RandomControl
from mindscope.store import BorrowingDocument, Document, InnerPath, SavedDocument, html_table


class SampleScore(Document):
    """One of the samples that score highest on a trait."""

    row: int
    """Number of the row, from 1."""
    line: int
    """Of the file; the row's number in files without lines."""
    id: str | None
    turn: int
    """The assistant turn with the highest score, from 1."""
    turns: int
    dp: float
    raw: float
    percentile: float


class RankedSample(SampleScore):
    """A sample with the text that drives its score."""

    question: str
    own: str | None
    """The base model's own answer, where it was drawn."""
    tokens: tuple[str, ...]
    """Of the turn's answer."""
    heat: tuple[float, ...]
    """Each token's projection minus the baseline: their mean is the turn's dP."""


class TraitScores(Document):
    """One trait over the whole data set, in units of the activations."""

    trait: str
    layer: int
    mean: Estimate | None
    """dP of the data set: mean over samples, of the mean over turns."""
    raw: Estimate | None
    """The same without a baseline."""
    baseline: Estimate | None
    ordinary: float | None
    """Median dP of the samples that the threshold was calibrated on."""
    threshold: float | None
    flagged: int
    unscored: int
    """Samples without a score, because the base model said nothing."""
    control: RandomControl | None = None
    """Where the trait stands among random directions of its layer; None in earlier documents, and where too
    few samples have a score."""


class TraitScreening(TraitScores):
    """One trait, with the samples that score highest on it."""

    ranked: tuple[RankedSample, ...]


class ScreenedData(BorrowingDocument):
    """What was screened, and how."""

    data: str
    data_digest: str
    fingerprint: str
    template: TemplateRecord | None = None
    """How the prompts were rendered; None in documents of schema 1, which do not say it."""
    config: ScreenConfig
    reference: str | None
    """What the thresholds were calibrated on; None: on the data itself."""
    samples: int
    turns: int
    passes: int
    """Rows that went through the model to read the data's answers."""
    left_out: int
    left_out_first: tuple[str, ...]
    """File, line and reason of the first malformed rows."""
    folder: InnerPath
    """Inside the run: `screening.json`, `report.html`, `scores.parquet`, and `reference.parquet`."""


class ScreeningResult(ScreenedData, SavedDocument):
    """A data set measured along persona vectors; every sample's scores are in the table."""

    SCHEMA: ClassVar[str] = "mindscope.screening/2"
    READERS: ClassVar = {"mindscope.screening/1": dict}

    traits: tuple[TraitScreening, ...]

    @property
    def calibration(self) -> Literal["reference", "within"]:
        """Whether the thresholds come from ordinary samples, or from the data itself."""
        return "within" if self.reference is None else "reference"

    def of(self, trait: str) -> TraitScreening:
        """One trait's part; DataError where it was not screened."""
        for screened in self.traits:
            if screened.trait == trait:
                return screened
        known = ", ".join(screened.trait for screened in self.traits)
        raise DataError(f"'{trait}' was not screened, only {known}")

    def _repr_html_(self) -> str:
        return html_table(f"screening: {self.data}", COLUMNS, trait_rows(self.traits))


COLUMNS = ("trait", "layer", "dP", "95 % interval", "raw", "threshold", "flagged", "among random")


def trait_rows(traits: Sequence[TraitScores]) -> list[list[object]]:
    """One line per trait, under `COLUMNS`."""
    return [
        [
            scores.trait,
            scores.layer,
            scores.mean and scores.mean.mean,
            scores.mean and f"{scores.mean.low:.3g} to {scores.mean.high:.3g}",
            scores.raw and scores.raw.mean,
            scores.threshold,
            scores.flagged,
            scores.control and f"{scores.control.percentile:.3g} %",
        ]
        for scores in traits
    ]
