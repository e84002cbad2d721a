"""What an evaluation of one dictionary found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pydantic import Field

from mindscope.dictionaries.evaluation.ablation import CorrelationRemoval, ProbePerturbation
from mindscope.dictionaries.evaluation.absorption import FeatureAbsorption
from mindscope.dictionaries.evaluation.probing import ProbingScores
from mindscope.dictionaries.evaluation.reconstruction import Reconstruction
from mindscope.dictionaries.evaluation.recovered import LossRecovered
from mindscope.dictionaries.evaluation.reseeds import ReseedSpread
from mindscope.dictionaries.evaluation.sparsity import Sparsity
from mindscope.store import SavedDocument

COLUMNS = {
    "L0": ("sparsity", "l0"),
    "dead": ("sparsity", "dead"),
    "dense": ("sparsity", "dense"),
    "explained variance": ("reconstruction", "explained_variance"),
    "MSE": ("reconstruction", "mse"),
    "cosine": ("reconstruction", "cosine"),
    "CE recovered": ("recovered", "ce_recovered"),
    "KL recovered": ("recovered", "kl_recovered"),
    "CE recovered (mean)": ("recovered", "ce_recovered_mean"),
}
"""The table's columns, and where their numbers are."""


@dataclass(frozen=True)
class LabelledMeasures:
    """What was measured on labelled texts; None what the data or the dictionary does not allow, and why."""

    probing: ProbingScores
    perturbation: ProbePerturbation | None = None
    absorption: FeatureAbsorption | None = None
    removal: CorrelationRemoval | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    reseeds: Mapping[str, ReseedSpread] = field(default_factory=dict)
    """By the measure, its values over several draws of the texts; the others are of the first draw."""


class DictionaryEvaluation(SavedDocument):
    """All measures of one dictionary.

    Attributes:
        name: of the dictionary.
        tokens: how many were measured.
        outliers: how many more were left as they are, for their very large activations.
        sites: reconstruction by the address that is written; `reconstruction` is of all of them together.
        with_outliers: the same of all tokens, outliers too; None where there was none.
        recovered: losses of the model, or of the first of several.
        by_model: losses of each model, where there are several.
        labels: mean detection and fuzzing scores of its latents' labels, by the kind of score.
    """

    SCHEMA = "mindscope.dictionary_evaluation/2"
    READERS: ClassVar = {"mindscope.dictionary_evaluation": lambda fields: fields}
    """The first schema left out no outliers: what it lacks is what the fields have by themselves."""

    name: str
    kind: str
    activation: str
    latents: int
    tokens: int
    outliers: int = 0
    sparsity: Sparsity
    reconstruction: Reconstruction
    with_outliers: Reconstruction | None = None
    sites: dict[str, Reconstruction]
    recovered: LossRecovered
    by_model: dict[str, LossRecovered] = Field(default_factory=dict)
    labelled: LabelledMeasures | None = None
    labels: dict[str, float | None] = Field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """One line of the table."""
        cells: dict[str, Any] = {"dictionary": self.name, "latents": self.latents}
        cells |= {name: getattr(getattr(self, part), value) for name, (part, value) in COLUMNS.items()}
        if self.with_outliers is not None:
            cells |= {
                "outliers": self.outliers,
                "explained variance with outliers": self.with_outliers.explained_variance,
            }
        cells |= {f"CE recovered in {name}": losses.ce_recovered for name, losses in self.by_model.items()}
        if self.labelled is not None:
            of = self.labelled
            cells |= {f"probe k={k}": value for k, value in of.probing.latents.items()}
            cells |= {f"probe AUC k={k}": value for k, value in of.probing.auc.items()}
            cells["TPP n=10"] = of.perturbation and of.perturbation.score.get(10)
            cells["absorption"] = of.absorption and of.absorption.fraction
            if of.removal is not None:
                cells["SCR n=10"] = of.removal.score.get(10)
        return cells | dict(self.labels)
