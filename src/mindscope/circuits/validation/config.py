"""How a graph is checked by intervention."""

from pydantic import Field

from mindscope.circuits.graph.findings import Mode
from mindscope.core import FrozenSettings


class ValidationConfig(FrozenSettings):
    """What is changed, and what is measured."""

    factor: float = 0.0
    """Activations are multiplied by this: 0 turns a feature off, -1 turns it round."""
    mode: Mode = "open"
    """What else may change: everything (open), all but attention patterns (frozen), all but these and the
    scales of norms (frozen_norms), or nothing but direct effects (constrained)."""
    measured: int = Field(default=100, ge=1)
    """This many of the most influential features are measured, besides all targets."""
