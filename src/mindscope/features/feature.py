"""What every feature is, whatever it was fitted by: something that is read and written at a place."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from torch import Tensor

from mindscope.features.site import Site
from mindscope.models import Edit, Positions


@runtime_checkable
class Feature(Protocol):
    """One number per token, and the edit that raises it.

    A :class:`Direction` is one; so is anything else with these members, such as a latent of a dictionary or
    a classifier over activations. Most features read one site; a latent of a crosscoder reads several.
    """

    @property
    def name(self) -> str: ...

    @property
    def reads(self) -> tuple[Site, ...]:
        """Where it is read."""
        ...

    @property
    def models(self) -> Mapping[str, str]:
        """The fingerprints of the models that it was fitted on, by the names that the sites have."""
        ...

    def project(self, activations: Tensor) -> Tensor:
        """`[*tokens, d_in]`, the sites of `reads` side by side, to `[*tokens]`.

        A direction gives a . v / |v|, a latent its activation, a classifier its logit.
        """
        ...

    def edit(self, value: float | int, where: Positions = "answer") -> Edit:
        """What raises it by pushing the activations (lowers it, for a negative value)."""
        ...

    def digest(self) -> str:
        """A short name for exactly this feature."""
        ...
