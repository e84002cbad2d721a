"""How well one single feature stands for a concept."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mindscope.errors import DataError
from mindscope.models import Where
from mindscope.probes.results import SingleFeature
from mindscope.store import Document

COLUMNS_AT_ONCE = 1024


class Concept(Document):
    """Something that texts show or do not show.

    Attributes:
        name: such as "state Belmark".
        group: concepts of one kind, such as "state".
        where: the tokens over which a feature's highest activation counts: of the prompt, the answer or all.
        at: only the last token of these that reads so; all of them if empty.
    """

    name: str
    group: str
    where: Where = "all"
    at: str = ""


def best_thresholds(
    x: Float[Tensor, "rows features"], shown: Bool[Tensor, "rows concepts"]
) -> tuple[Float[Tensor, "concepts features"], Float[Tensor, "concepts features"]]:
    """The highest F1 that each feature reaches alone for each concept, and the threshold where it does.

    Every threshold between two neighbouring values is tried, none below 0: a feature that is silent says no.

    Returns:
        F1 and threshold, `[concepts, features]` each.
    """
    values, order = x.sort(dim=0, descending=True, stable=True)
    below = torch.cat([values[1:], values[-1:] - 1])
    # no threshold lies below the last positive value: of sparse features few rows are left
    depth = max(1, int((x > 0).sum(0).max()))
    values, order, below = values[:depth], order[:depth], below[:depth]
    possible = (values != below) & (values > 0)  # no threshold lies between equals
    said = torch.arange(1, depth + 1, dtype=torch.float32)[:, None]
    f1s: list[Tensor] = []
    thresholds: list[Tensor] = []
    for truth in shown.float().T:
        right = truth[order].cumsum(0)  # true positives if the first n rows are said to be positive
        f1 = torch.where(possible, 2 * right / (said + truth.sum()), 0.0)
        best = f1.argmax(0, keepdim=True)
        high, low = values.gather(0, best)[0], below.gather(0, best)[0].clamp(min=0)
        f1s.append(f1.gather(0, best)[0])
        thresholds.append((high + low) / 2)
    return torch.stack(f1s), torch.stack(thresholds)


def best_single_features(
    x: Float[Tensor, "rows features"],
    shown: Bool[Tensor, "rows concepts"],
    held_x: Float[Tensor, "held features"],
    held_shown: Bool[Tensor, "held concepts"],
) -> list[SingleFeature]:
    """For each concept the feature with the highest F1 on training rows, tested on held-out rows.

    Its threshold is that of the training rows. Ties go to the feature with the lower number.

    Raises:
        DataError: a concept without a positive row in either half, or unlike widths.
    """
    if not (shown.any(0) & held_shown.any(0)).all():
        raise DataError("each concept needs rows that show it in both halves")
    if x.shape[1] != held_x.shape[1]:
        raise DataError(f"{x.shape[1]} features to choose from, {held_x.shape[1]} in the held-out rows")
    if not shown.shape[1]:
        return []
    # features that are active in as many rows go together, so that the few dense ones cost the others nothing
    order = (x > 0).sum(0).argsort(stable=True)
    parts = [best_thresholds(x[:, part], shown) for part in order.split(COLUMNS_AT_ONCE)]
    f1s, thresholds = (torch.cat(part, dim=1)[:, order.argsort()] for part in zip(*parts, strict=True))
    singles: list[SingleFeature] = []
    for concept, feature in enumerate(f1s.argmax(1).tolist()):
        threshold, truth = thresholds[concept, feature].item(), held_shown[:, concept]
        said = held_x[:, feature] > threshold
        right, positive = int((said & truth).sum()), int(truth.sum())
        singles.append(
            SingleFeature(
                feature=feature,
                threshold=threshold,
                f1=2 * right / (int(said.sum()) + positive),
                precision=right / max(1, int(said.sum())),
                recall=right / positive,
                train_f1=f1s[concept, feature].item(),
                positive=positive,
            )
        )
    return singles
