"""How well one single feature stands for a concept."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mindscope.errors import DataError

COLUMNS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Concept:
    """Something that texts show or do not show.

    Attributes:
        name: such as "state Belmark".
        group: concepts of one kind, such as "state".
        where: the tokens over which a feature's highest activation counts: of the prompt, the answer or all.
        at: only the last token of these that reads so; all of them if empty.
    """

    name: str
    group: str
    where: str = "all"
    at: str = ""


class SingleFeature(NamedTuple):
    """The feature that stands for a concept best, chosen on training rows and tested on others.

    Attributes:
        feature: its index.
        threshold: a row is said to show the concept where the feature is above this.
        f1, precision, recall: on the held-out rows.
        train_f1: on those it was chosen on.
        positive: how many held-out rows show the concept.
    """

    feature: int
    threshold: float
    f1: float
    precision: float
    recall: float
    train_f1: float
    positive: int

    def to_json(self) -> dict[str, Any]:
        return self._asdict()


def best_thresholds(
    x: Float[Tensor, "rows features"], y: Bool[Tensor, "rows"]
) -> tuple[Float[Tensor, "features"], Float[Tensor, "features"]]:
    """The highest F1 that each feature reaches alone, and the threshold where it does.

    Every threshold between two neighbouring values is tried, none below 0: a feature that is silent says no.

    Returns:
        F1 and threshold, `[features]` each.
    """
    values, order = x.sort(dim=0, descending=True, stable=True)
    found = y[order].cumsum(0).double()  # true positives if the first n rows are said to be positive
    said = torch.arange(1, len(x) + 1, dtype=torch.float64)[:, None]
    f1 = 2 * found / (said + float(y.sum()))
    below = torch.cat([values[1:], values[-1:] - 1])
    f1[(values == below) | (values <= 0)] = 0  # no threshold lies between equals
    best = f1.argmax(0, keepdim=True)
    high, low = values.gather(0, best)[0], below.gather(0, best)[0].clamp(min=0)
    return f1.gather(0, best)[0].float(), (high + low) / 2


def best_single_feature(
    x: Float[Tensor, "rows features"],
    y: Bool[Tensor, "rows"],
    held_x: Float[Tensor, "held features"],
    held_y: Bool[Tensor, "held"],
) -> SingleFeature:
    """The feature with the highest F1 on training rows, with its threshold there, tested on held-out rows.

    Ties go to the feature with the lower number.

    Raises:
        DataError: no positive row in either half, or unlike widths.
    """
    if not y.any() or not held_y.any():
        raise DataError("a concept needs rows that show it in both halves")
    if x.shape[1] != held_x.shape[1]:
        raise DataError(f"{x.shape[1]} features to choose from, {held_x.shape[1]} in the held-out rows")
    parts = [best_thresholds(part, y) for part in x.split(COLUMNS_AT_ONCE, dim=1)]
    f1, thresholds = (torch.cat(part) for part in zip(*parts, strict=True))
    feature = int(f1.argmax())
    said = held_x[:, feature] > thresholds[feature]
    right = int((said & held_y).sum())
    precision, recall = right / max(1, int(said.sum())), right / int(held_y.sum())
    return SingleFeature(
        feature=feature,
        threshold=thresholds[feature].item(),
        f1=2 * right / (int(said.sum()) + int(held_y.sum())),
        precision=precision,
        recall=recall,
        train_f1=f1[feature].item(),
        positive=int(held_y.sum()),
    )
