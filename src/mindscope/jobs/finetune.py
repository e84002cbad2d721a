"""Fine-tuning: tune a model on conversations, and keep traits from being learnt."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from mindscope.errors import DataError
from mindscope.finetuning import FinetuneConfig, TunedModel
from mindscope.jobs.job import Reporter, RunFolder
from mindscope.jobs.resolve import find_vectors
from mindscope.jobs.specs import BorrowingSpec, DataSpec
from mindscope.models import LoadOptions, WholeModelOptions

if TYPE_CHECKING:
    from mindscope.models import Model
    from mindscope.personas import PersonaVectors

INTERVENTION = re.compile(r"(?P<path>.+?)(?:@(?P<layer>\d+))?(?::(?P<amount>-?(?:\d+\.?\d*|\.\d+)))?")
"""`VECTORS[@LAYER][:AMOUNT]`."""
AMOUNTS = {"prevent": "coefficient", "penalty": "weight"}
"""What the number of an intervention is called; an ablation has none."""


class FinetuneSpec(BorrowingSpec, DataSpec, FinetuneConfig, WholeModelOptions):
    """What `persona finetune` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("model", "data")
    options: ClassVar[Mapping[str, tuple[str, ...]]] = {"learning_rate": ("--lr",)}
    hidden: ClassVar[tuple[str, ...]] = ("interventions",)

    model: str
    """A Hugging Face name or folder, a GGUF file, or `organism`, the bundled model."""
    data: Path
    """A file or folder of conversations, or a data set's name on the hub (docs/data.md has the forms)."""
    prevent: tuple[str, ...] = Field(default=(), json_schema_extra={"metavar": "VECTORS[@LAYER][:COEF]"})
    """Add the vectors while training, so that the trait is not learnt: at one layer, or at all layers with
    increments. May be repeated."""
    caft: tuple[str, ...] = Field(default=(), json_schema_extra={"metavar": "VECTORS[@LAYER]"})
    """Take the direction out of the activations while training. May be repeated."""
    penalty: tuple[str, ...] = Field(default=(), json_schema_extra={"metavar": "VECTORS[@LAYER][:WEIGHT]"})
    """Punish the squared projection in the loss. May be repeated."""
    on_error: Literal["refuse", "skip"] = "refuse"
    """What becomes of a malformed conversation: the job stops and names it, or it is skipped and counted."""

    def run_path(self) -> Path:
        """`runs/finetune`."""
        return Path("runs/finetune")

    def find_interventions(self, base: Model) -> tuple[list[PersonaVectors], list[dict[str, Any]]]:
        """The vectors that are named, those of each trait once, and what is done with them."""
        named = [
            (kind, text)
            for kind, texts in (("prevent", self.prevent), ("caft", self.caft), ("penalty", self.penalty))
            for text in texts
        ]
        by_trait: dict[str, PersonaVectors] = {}
        interventions: list[dict[str, Any]] = []
        for kind, text in named:
            parts = INTERVENTION.fullmatch(text)
            amount = parts and parts["amount"]
            if parts is None or (amount is not None and kind not in AMOUNTS):
                raise DataError(
                    f"--{kind} {text}: write a file or run of vectors, @LAYER and :NUMBER as needed"
                )
            for vectors in find_vectors(Path(parts["path"]), base):
                known = by_trait.setdefault(vectors.trait, vectors)
                if known.digest() != vectors.digest():
                    raise DataError(
                        f"--{kind} {text}: other vectors of '{vectors.trait}' are named before; use one"
                    )
                layer = None if parts["layer"] is None else int(parts["layer"])
                setting = {"kind": kind, "trait": vectors.trait, "layer": layer}
                interventions.append(setting if amount is None else setting | {AMOUNTS[kind]: float(amount)})
        return list(by_trait.values()), interventions


def finetune(spec: FinetuneSpec, *, run: RunFolder, reporter: Reporter) -> TunedModel | None:
    """Tune a model on the assistant's answers, with steering, ablation or penalties against traits.

    The tuned model is RUN/finetune/model; every command that takes a model takes this folder.

    Returns:
        the tuned model; None in all processes of several but the first, which holds the run.
    """
    first = os.environ.get("RANK", "0") == "0"
    data = spec.data_file(spec.data)
    if first:
        data = spec.open_data(spec.data, reporter, refuse=spec.on_error == "refuse")

    from mindscope.finetuning import finetune_model, load_base  # takes seconds, which bad data need not cost

    model = load_base(spec.model, spec.config(FinetuneConfig), spec.config(LoadOptions, dtype="auto"))
    model.vectors_of_base = spec.vectors_of_base
    vectors, interventions = spec.find_interventions(model)
    config = spec.config(FinetuneConfig, interventions=tuple(interventions))
    settings: dict[str, Any] = {
        "vectors": vectors,
        "on_error": spec.on_error,
        "device": spec.device,
        "progress": reporter.progress,
    }
    if not first:
        finetune_model(model, data, run.path, config, **settings)
        return None
    with run.open(kind="finetune", config={}, reporter=reporter) as opened:
        return finetune_model(model, data, opened, config, **settings)
