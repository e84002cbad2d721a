"""What a quickstart is asked for: a model, and how long it may take."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from mindscope.core import Seed
from mindscope.jobs.demo import DemoSpec
from mindscope.jobs.job import JobSpec


class QuickstartSpec(JobSpec):
    """What `quickstart` is to do."""

    arguments: ClassVar = ("model",)

    model: str
    """A Hugging Face name or folder, a GGUF file, or `organism`, the bundled model."""
    go: bool = False
    """Run what was chosen; without it nothing is written."""
    minutes: float = Field(default=20.0, gt=0)
    """How long it may take on this machine, in minutes: decides between three traits, one, and one in small
    sizes."""
    traits: tuple[str, ...] = ()
    """A bundled trait, a file, or a word and its opposite, such as 'patient / impatient'; several with commas
    between them. Without it they are chosen by the size of the model."""
    device: str = "auto"
    """Where the model runs: cpu, cuda, or auto."""
    seed: Seed = 0
    """The seed of everything that is drawn at random."""

    def run_path(self) -> Path:
        """`runs/demo`, or `runs/demo-MODEL`, as the demo of this model."""
        return DemoSpec(model=self.model).run_path()
