"""The simplest feature: one direction at one address of one model."""

import hashlib
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from mindscope.features.site import FIRST, Site
from mindscope.models import Edit, Positions, check_vector


@dataclass(frozen=True, slots=True, eq=False)
class Direction:
    """A vector that is read and written at one address.

    Attributes:
        name: what it stands for.
        address: where it belongs, e.g. `resid_post.12`.
        vector: `[width]` with its raw norm, which steering uses.
        fingerprint: the model it was fitted on.

    Raises:
        ModelError: the vector has another rank, is zero, or holds NaN or infinity.
    """

    name: str
    address: str
    vector: Float[Tensor, "width"]
    fingerprint: str

    def __post_init__(self) -> None:
        check_vector(self.vector, f"the vector of {self.name}")

    @property
    def reads(self) -> tuple[Site, ...]:
        return (Site(self.address, len(self.vector)),)

    @property
    def models(self) -> dict[str, str]:
        return {FIRST: self.fingerprint}

    def edit(self, value: float | int, where: Positions = "answer") -> Edit:
        """Steering with the raw norm: h + value * v at the positions of `where`."""
        return Edit(self.address, "add", self.vector, value, where)

    @property
    def unit(self) -> Float[Tensor, "width"]:
        """The vector divided by its norm."""
        return self.vector.float() / self.vector.float().norm()

    def project(self, activations: Float[Tensor, "*tokens width"]) -> Float[Tensor, "*tokens"]:
        """The projection a . v / |v|, in the activations' own units."""
        return activations.float() @ self.unit.to(activations.device)

    def digest(self) -> str:
        """A short name for exactly this vector at this address."""
        values = self.vector.detach().float().cpu().contiguous().numpy().tobytes()
        return hashlib.blake2b(self.address.encode() + values, digest_size=16).hexdigest()
