"""What many specifications have in common: a model, a trait, a judge."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mindscope.jobs.job import JobSpec
from mindscope.jobs.resolve import find_judge, find_trait, load_model

if TYPE_CHECKING:
    from mindscope.judges import Judge
    from mindscope.models import Model
    from mindscope.personas import Trait


class ModelSpec(JobSpec):
    """A model and how it is loaded."""

    model: str
    """A Hugging Face name or folder, or `organism`, the bundled model."""
    dtype: str = "auto"
    """The precision of the weights: float32, bfloat16, float16, or auto."""
    device: str = "auto"
    """Where the model runs: cpu, cuda, or auto."""

    def load(self) -> Model:
        """Load it."""
        return load_model(self.model, self.dtype, self.device)


class Float32ModelSpec(JobSpec):
    """A model in float32: what is computed from it must add up to what it computed."""

    model: str
    """A Hugging Face name or folder, or `organism`, the bundled model."""
    device: str = "auto"
    """Where the model runs: cpu, cuda, or auto."""

    def load(self) -> Model:
        """Load it."""
        return load_model(self.model, "float32", self.device)


class JudgeSpec(JobSpec):
    """Who scores the answers."""

    judge: str | None = None
    """Who scores the answers: exact (the organism's), model:NAME, or endpoint:NAME."""
    base_url: str | None = None
    """The address of an OpenAI-compatible endpoint."""

    def find_judge(self, model: Model, cache: Path) -> Judge:
        """The judge; what an endpoint says is kept in `cache`."""
        return find_judge(self.judge, self.base_url, model, cache)


class TraitSpec(ModelSpec):
    """A model and a trait of character."""

    trait: str
    """A bundled trait, a file, or organism:NAME for the organism's world."""

    def find_trait(self) -> Trait:
        """The trait."""
        return find_trait(self.trait, self.model)
