"""What a screening found, as one document."""

from typing import Any, ClassVar, Literal

from mindscope.errors import DataError
from mindscope.screening.config import ScreenConfig
from mindscope.stats import Estimate
from mindscope.store import Document, SavedDocument, html_table


class RankedSample(Document):
    """One of the samples that score highest on a trait, with the text that drives its score."""

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
    question: str
    own: str | None
    """The base model's own answer, where it was drawn."""
    tokens: tuple[str, ...]
    """Of the turn's answer."""
    heat: tuple[float, ...]
    """Each token's projection minus the baseline: their mean is the turn's dP."""


class TraitScreening(Document):
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
    ranked: tuple[RankedSample, ...]


class ScreeningResult(SavedDocument):
    """A data set measured along persona vectors; every sample's scores are in the table."""

    SCHEMA: ClassVar[str] = "mindscope.screening/1"

    data: str
    data_digest: str
    fingerprint: str
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
    traits: tuple[TraitScreening, ...]
    folder: str
    """Inside the run: `scores.parquet`, `screening.json`, `report.html`."""

    @property
    def calibration(self) -> Literal["reference", "within"]:
        """Whether the thresholds come from ordinary samples, or from the data itself."""
        return "within" if self.reference is None else "reference"

    def of(self, trait: str) -> TraitScreening:
        """One trait's part; DataError where it was not screened."""
        for each in self.traits:
            if each.trait == trait:
                return each
        known = ", ".join(each.trait for each in self.traits)
        raise DataError(f"'{trait}' was not screened, only {known}")

    def summary(self) -> dict[str, Any]:
        """Everything but the texts of the ranked samples."""
        texts = {"question", "own", "tokens", "heat"}
        without = {"traits": {"__all__": {"ranked": {"__all__": texts}}}}
        return self.model_dump(mode="json", exclude=without) | {"calibration": self.calibration}

    def rows(self) -> list[list[object]]:
        """One line a trait, under :attr:`COLUMNS`."""
        return [
            [
                each.trait,
                each.layer,
                each.mean and each.mean.mean,
                each.mean and f"{each.mean.low:.3g} to {each.mean.high:.3g}",
                each.raw and each.raw.mean,
                each.threshold,
                each.flagged,
            ]
            for each in self.traits
        ]

    COLUMNS: ClassVar[list[str]] = ["trait", "layer", "dP", "95 % interval", "raw", "threshold", "flagged"]

    def _repr_html_(self) -> str:
        return html_table(f"screening: {self.data}", self.COLUMNS, self.rows())
