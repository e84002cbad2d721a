"""What features do: the loss that they carry, and single ones taken out.

The loss recovered is (L_0 - L_x) / (L_0 - L), with the MLP's activations at 0, replaced by a reconstruction,
and as they are. A feature is taken out as in the paper, x - f d on every token of a context, and the model
runs on from there. With one layer what follows is the last norm and the unembedding, so logits change by f
times the logit weights, but for what the norm does; the log-probability of the next token by f times its own
logit weight, but for the norm and the softmax's denominator (the paper's attribution).
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mindscope.studies.common import PieceProgress, TinyTransformers
from mindscope.studies.monosemanticity.config import MonosemanticityConfig
from mindscope.studies.monosemanticity.measures.views import ReadingView, SeedViews
from mindscope.studies.monosemanticity.paper import OFTEN
from mindscope.studies.monosemanticity.results import AblationScores, SeedEffects

ROWS_AT_ONCE = 64
Replace = Callable[[Float[Tensor, "rows tokens neurons"]], Float[Tensor, "rows tokens neurons"]]


@torch.no_grad()
def measure_effects(
    seed: SeedViews, focus: str, config: MonosemanticityConfig, number: int, progress: PieceProgress
) -> SeedEffects:
    """Losses with every view's reconstruction, and features of one of them taken out."""
    own = [view for view in seed.views.values() if view.model is seed.views[focus].model]
    model = seed.views[focus].model
    mean = own[0].read(seed.read).mean((0, 1))
    spliced = {view.name: measure_loss(model, seed.test, _reconstructed(view)) for view in own[1:]}
    progress(1, 2)
    return SeedEffects(
        loss=measure_loss(model, seed.test, lambda x: x),
        zero=measure_loss(model, seed.test, torch.zeros_like),
        mean=measure_loss(model, seed.test, lambda x: mean.expand_as(x)),
        spliced=spliced,
        ablation=ablate_features(seed, focus, config, number),
    )


def measure_loss(model: TinyTransformers, ids: Int[Tensor, "rows tokens"], replace: Replace) -> float:
    """Nats a token, with what the MLP hands on replaced."""
    parts = [
        model.losses(part[None], edit=lambda _, neurons, __: replace(neurons[0])[None])
        for part in ids.split(ROWS_AT_ONCE)
    ]
    return round(float(torch.cat(parts, 1).mean()), 6)


def ablate_features(
    seed: SeedViews, focus: str, config: MonosemanticityConfig, number: int
) -> AblationScores:
    """Take features out one at a time, out of some of the rows to test on.

    A feature is asked for that is active on enough of their tokens; `number` is the seed of which are drawn.
    """
    view, ids = seed.views[focus], seed.test[: config.ablated_rows]
    every = view.read(ids)
    values = every[:, :-1].flatten(0, 1)
    numbers = ((values > 0).sum(0) >= OFTEN).nonzero()[:, 0]
    draw = torch.randperm(len(numbers), generator=torch.Generator().manual_seed(number))
    chosen = numbers[draw[: config.ablated]]
    weights = view.logit_weights()[chosen]
    intact = _logits(view.model, ids, lambda x: x)
    before = intact.log_softmax(-1).gather(1, ids[:, 1:].reshape(-1, 1))[:, 0]
    rows = []
    for place, feature in enumerate(chosen.tolist()):
        where = values[:, feature] > 0
        change, fall = _take_out(view, ids, every[..., feature], feature, intact, before)
        following = ids[:, 1:].flatten()[where]
        # the control: the next of the features that were drawn says what this one does
        own, other = weights[place], weights[(place + 1) % len(chosen)]
        strength = values[where, feature]
        rows.append(
            [
                correlate(change, own),
                correlate(change, other),
                correlate(fall, strength * own[following]),
                correlate(fall, strength * other[following]),
                float(fall.mean()),
            ]
        )
    means = torch.tensor(rows).mean(0).tolist() if rows else [0.0] * 5
    names = ("vocabulary", "vocabulary_other", "tokens", "tokens_other", "cost")
    scores = {name: round(value, 5) for name, value in zip(names, means, strict=True)}
    return AblationScores(features=len(rows), **scores)


def correlate(x: Float[Tensor, "_"], y: Float[Tensor, "_"]) -> float:
    """Pearson's correlation; 0 where one of the two does not vary."""
    x, y = x - x.mean(), y - y.mean()
    norm = float(x.norm() * y.norm())
    return float(x @ y) / norm if norm > 0 else 0.0


def _take_out(
    view: ReadingView, ids: Tensor, strengths: Tensor, feature: int, intact: Tensor, before: Tensor
) -> tuple[Float[Tensor, "vocabulary"], Float[Tensor, "active"]]:
    """What logits lose, a mean over tokens where it is active, and the next token's log-probability there."""
    part = strengths[..., None] * view.directions[feature]
    where = strengths[:, :-1].flatten() > 0
    after = _logits(view.model, ids, lambda x: x - part)[where]
    following = ids[:, 1:].reshape(-1, 1)[where]
    change = (intact[where] - after).mean(0)
    return change, before[where] - after.log_softmax(-1).gather(1, following)[:, 0]


def _logits(model: TinyTransformers, ids: Tensor, replace: Replace) -> Float[Tensor, "tokens vocabulary"]:
    """On all tokens of rows but the last."""
    logits, _ = model.run(ids[None], edit=lambda _, neurons, __: replace(neurons[0])[None])
    return logits[0, :, :-1].flatten(0, 1)


def _reconstructed(view: ReadingView) -> Replace:
    def replace(x: Tensor) -> Tensor:
        return (view.encode(x.flatten(0, 1)) @ view.directions + view.bias).view(x.shape)

    return replace
