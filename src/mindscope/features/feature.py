"""What every feature is, whatever it was fitted by: something that is read and written at one address."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from mindscope.errors import DataError
from mindscope.features.direction import Direction
from mindscope.models import Apply, Edit, Model, Project, Read, Where


@runtime_checkable
class Feature(Protocol):
    """One number per token at one address of one model, and the edit that raises it.

    A :class:`Direction` is one; so is anything else with these members, such as a latent of a dictionary or
    a classifier over activations.
    """

    @property
    def name(self) -> str: ...

    @property
    def address(self) -> str: ...

    @property
    def fingerprint(self) -> str:
        """Of the model it was fitted on."""
        ...

    def project(self, activations: Tensor) -> Tensor:
        """`[*tokens, width]` to `[*tokens]`: a direction's a . v / |v|, a latent's activation, a logit."""
        ...

    def edit(self, value: float | int, where: Where | tuple[int, ...] = "answer") -> Edit:
        """What raises it by pushing the activations (lowers it, for a negative value)."""
        ...

    def digest(self) -> str:
        """A short name for exactly this feature."""
        ...


class FeatureSet(Sequence[Feature]):
    """Features that are read together, in one pass; those of one address in one operation.

    Raises DataError where there are none, two have one name and address, or they are of different models.
    """

    def __init__(self, features: Sequence[Feature]) -> None:
        self._features = tuple(features)
        self.keys = tuple(f"{each.name}@{each.address}" for each in features)
        """What a feature is called in results: `NAME@ADDRESS`."""
        if not features:
            raise DataError("there is no feature to read: give at least one")
        if len(set(self.keys)) < len(self.keys):
            raise DataError("two features have the same name and address: give each once")
        if len({each.fingerprint for each in features}) > 1:
            raise DataError("the features belong to different models: read each model's own")

    def __getitem__(self, index):  # type: ignore[override]
        return self._features[index]

    def __len__(self) -> int:
        return len(self._features)

    def __iter__(self) -> Iterator[Feature]:
        return iter(self._features)

    @property
    def fingerprint(self) -> str:
        return self._features[0].fingerprint

    def require(self, model: Model) -> None:
        """Raises DataError unless the features were fitted on this very model."""
        if self.fingerprint != model.fingerprint:
            raise DataError(
                f"{self.keys[0]} comes from another model ({self.fingerprint[:12]}) than {model.name} "
                f"({model.fingerprint[:12]}): fit it again on this model"
            )

    def digest(self) -> str:
        """A short name for exactly these features in this order."""
        text = "\n".join(f"{key} {each.digest()}" for key, each in zip(self.keys, self, strict=True))
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def reads(self, where: Where) -> dict[str, Read]:
        """One read an address, of every token of `where`."""
        return {
            address: Read(address, _reduction([self[column] for column in columns], where))
            for address, columns in self._columns().items()
        }

    def assembled(self, read: Mapping[str, Tensor]) -> Tensor:
        """What the reads gave, `[tokens, features of the address]` each, as `[tokens, features]`."""
        tokens = next(iter(read.values())).shape[0]
        values = torch.empty(tokens, len(self))
        for address, columns in self._columns().items():
            values[:, columns] = read[address]
        return values

    def _columns(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for column, each in enumerate(self):
            found.setdefault(each.address, []).append(column)
        return found


def _reduction(features: Sequence[Feature], where: Where) -> Project | Apply:
    units = [each.unit for each in features if isinstance(each, Direction)]
    if len(units) == len(features):
        return Project(torch.stack(units), where)
    return Apply(_together(features), len(features), where)


def _together(features: Sequence[Feature]) -> Callable[[Tensor], Tensor]:
    return lambda tokens: torch.stack([each.project(tokens).float() for each in features], -1)
