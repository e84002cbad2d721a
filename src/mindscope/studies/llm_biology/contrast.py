"""Groups of features that set one kind of prompt apart from the others."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.circuits import ActiveFeature, Intervention, clamp_activations, swap_features
from mindscope.errors import DataError
from mindscope.studies.llm_biology.prompts import CasePrompt


@dataclass(frozen=True)
class GroupMember:
    """A feature at a spot, and how strong it is in prompts that show the kind."""

    layer: int
    spot: int
    latent: int
    activation: float


@dataclass(frozen=True)
class ContrastGroup:
    """Features that stand for one kind of prompt."""

    label: str
    members: tuple[GroupMember, ...]

    def at(self, prompt: CasePrompt) -> list[ActiveFeature]:
        """The group in a prompt of the family."""
        return [
            ActiveFeature(member.layer, prompt.spots[member.spot], member.latent, member.activation)
            for member in self.members
        ]


@dataclass(frozen=True)
class SwapSetting:
    """How a group is exchanged for another: chosen on the first half of the prompts.

    Attributes:
        size: of each group, at each spot.
        strength: what the activations of the group that is set are multiplied by; 0 sets none.
        factor: what those of the group that is turned off are multiplied by; below 0 pushes the other way, 1
            leaves them as they are.
    """

    size: int
    strength: float = 1.0
    factor: float = 0.0


@dataclass(frozen=True, eq=False)
class FeatureContrast:
    """Mean activations of every feature in every kind of prompt.

    Attributes:
        kinds: their names.
        means: `[kinds, spots, features]`; the features of all layers side by side.
        shares: likewise, of the prompts of a kind the share in which a feature is active.
        weights: `[features]`, the norm of what a unit of each feature writes.
        sizes: how many features each layer has.
        spots, layers: where groups may lie; all by default.
    """

    kinds: tuple[str, ...]
    means: Float[Tensor, "kinds spots features"]
    shares: Float[Tensor, "kinds spots features"]
    weights: Float[Tensor, "features"]
    sizes: tuple[int, ...]
    spots: tuple[int, ...] | None = None
    layers: tuple[int, ...] | None = None
    _groups: dict[tuple[str, int], ContrastGroup] = field(default_factory=dict, init=False)

    @classmethod
    def of(
        cls,
        prompts: Sequence[CasePrompt],
        codes: Float[Tensor, "prompts spots features"],
        weights: Float[Tensor, "features"],
        sizes: Sequence[int],
    ) -> "FeatureContrast":
        """Means over the prompts of each kind."""
        kinds = tuple(dict.fromkeys(prompt.kind for prompt in prompts))
        codes_by_kind = [
            codes[[index for index, prompt in enumerate(prompts) if prompt.kind == kind]] for kind in kinds
        ]
        means, shares = ([of(kind_codes) for kind_codes in codes_by_kind] for of in (_mean, _share))
        return cls(kinds, torch.stack(means), torch.stack(shares), weights, tuple(sizes))

    @cached_property
    def _sum(self) -> Float[Tensor, "spots features"]:
        return self.means.sum(0)

    @property
    def places(self) -> tuple[int, ...]:
        """The spots at which groups may lie."""
        return tuple(range(self.means.shape[1])) if self.spots is None else self.spots

    def excess(self, kind: str) -> Float[Tensor, "spots features"]:
        """How much more each feature writes in a kind than in the mean of the others.

        Times the share of the kind's prompts in which it is active: what all of them have counts before
        what a few have strongly, such as the words of those few.
        """
        index = self._at(kind)
        # of many kinds, such as eighty words, the sum is taken once and not for each of them
        others = (self._sum - self.means[index]) / (len(self.kinds) - 1)
        excess = (self.means[index] - others) * self.weights * self.shares[index]
        allowed = torch.zeros_like(excess)
        starts = [sum(self.sizes[:layer]) for layer in range(len(self.sizes))]
        for spot in self.places:
            for layer in range(len(self.sizes)) if self.layers is None else self.layers:
                allowed[spot, starts[layer] : starts[layer] + self.sizes[layer]] = 1
        return excess * allowed

    def group(self, kind: str, size: int) -> ContrastGroup:
        """The features with the greatest excess at each spot, `size` of them at most, where it is above 0."""
        if (kind, size) not in self._groups:
            self._groups[kind, size] = self._group(kind, size)
        return self._groups[kind, size]

    def _group(self, kind: str, size: int) -> ContrastGroup:
        values, features = self.excess(kind).topk(size, dim=1)
        mean = self.means[self._at(kind)]
        return ContrastGroup(
            kind,
            tuple(
                self._member(spot, feature, float(mean[spot, feature]))
                for spot, (here, latents) in enumerate(zip(values.tolist(), features.tolist(), strict=True))
                for value, feature in zip(here, latents, strict=True)
                if value > 0
            ),
        )

    def exchange(self, prompt: CasePrompt, kind: str, setting: SwapSetting) -> list[Intervention]:
        """Turn the features of the prompt's own kind off, and those of another kind on."""
        return exchange_groups(
            prompt, self.group(prompt.kind, setting.size), self.group(kind, setting.size), setting
        )

    def _at(self, kind: str) -> int:
        if kind not in self.kinds:
            raise DataError(f"no prompt showed {kind!r}: choose among {', '.join(self.kinds[:5])} ...")
        return self.kinds.index(kind)

    def _member(self, spot: int, feature: int, activation: float) -> GroupMember:
        layer = 0
        while feature >= self.sizes[layer]:
            feature -= self.sizes[layer]
            layer += 1
        return GroupMember(layer, spot, feature, activation)


def exchange_groups(
    prompt: CasePrompt, off: ContrastGroup, on: ContrastGroup, setting: SwapSetting
) -> list[Intervention]:
    """One group off, another on, in a prompt."""
    if setting.factor == 1:
        return clamp_activations(on.at(prompt), setting.strength)
    on_at = on.at(prompt) if setting.strength else []
    return swap_features(off.at(prompt), on_at, factor=setting.factor, strength=setting.strength)


def _mean(codes: Float[Tensor, "prompts spots features"]) -> Float[Tensor, "spots features"]:
    return codes.mean(0)


def _share(codes: Float[Tensor, "prompts spots features"]) -> Float[Tensor, "spots features"]:
    return (codes > 0).float().mean(0)
