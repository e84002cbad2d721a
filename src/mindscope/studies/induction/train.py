"""Training small transformers, with all scores measured on the way.

The in-context-learning score is the loss at token 500 less that at token 50 of 512; here both places are
scaled to the context, and a score is a mean over a thirty-second of the context around each.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mindscope.studies.common import PieceProgress, StudyText, TinyConfig, TinyTransformers
from mindscope.studies.induction.config import InductionConfig
from mindscope.studies.induction.results import HeadCost, TrainingCurves
from mindscope.studies.induction.scores import (
    REPEATS,
    SEGMENT,
    SEQUENCES,
    attend_previous,
    match_beside,
    match_prefixes,
    score_copying,
)

EARLY, LATE, OF = 50, 500, 512
"""Places of the score, in a context of 512 tokens."""
CURVES = ("loss", "context_score", "text_score", "prefix", "copying", "previous")


def train_kind(
    kind: TinyConfig, config: InductionConfig, text: StudyText, seed: int, progress: PieceProgress
) -> TrainingCurves:
    """Train one kind of model with all its seeds, and measure it on the way and at the end."""
    models = TinyTransformers(kind, config.vocabulary, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    gauge = _ScoreGauge(kind, config, text, seed)
    optimiser = torch.optim.AdamW(models.parameters(), lr=config.learning_rate, weight_decay=0.0, fused=True)
    shape = (kind.seeds, config.rows, kind.context)
    steps, measured = [], []
    for step in range(config.steps + 1):
        if step % config.every == 0:
            steps.append(step)
            measured.append(gauge.measure(models))
        if step == config.steps:
            break
        loss = models.losses(text.draw(text.train, shape, config.rows // 4, generator)).mean((1, 2)).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        progress(step + 1, config.steps)
    curves = {
        name: tuple(tuple(round(at[name][own], 5) for at in measured) for own in range(kind.seeds))
        for name in CURVES
    }
    return TrainingCurves(
        name=kind.name,
        layers=kind.layers,
        mlp=kind.mlp,
        smeared=kind.smeared,
        steps=tuple(steps),
        heads=gauge.take_out(models),
        **curves,
    )


class _ScoreGauge:
    """Held-out rows and rows that repeat, the same for every measurement."""

    def __init__(self, kind: TinyConfig, config: InductionConfig, text: StudyText, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed + 2)
        self.kind, self.context = kind, kind.context
        rows = (1, 2 * config.held_rows, kind.context)
        self.held = text.draw(text.held, rows, config.held_rows, generator).expand(kind.seeds, -1, -1)
        self.n_text = config.held_rows
        # the paper's 25 tokens four times; fewer tokens where the context is shorter
        self.segment = min(SEGMENT, kind.context // REPEATS)
        own = torch.randint(config.vocabulary, (1, SEQUENCES, self.segment), generator=generator)
        self.repeats = own.repeat(1, 1, REPEATS).expand(kind.seeds, -1, -1)
        self.sample = own[0]

    @torch.no_grad()
    def measure(self, models: TinyTransformers) -> dict[str, list[float]]:
        """One value a seed for every curve."""
        losses = models.losses(self.held)
        prefix, previous = self.scores(models, match_prefixes), self._previous(models)
        best = prefix.flatten(1).argmax(1, keepdim=True)
        copying = self._copying(models).flatten(1).gather(1, best)[:, 0]
        values = {
            "loss": losses.mean((1, 2)),
            "context_score": self._score(losses),
            "text_score": self._score(losses[:, : self.n_text]),
            "prefix": prefix.flatten(1).amax(1),
            "copying": copying,
            "previous": previous.flatten(1).amax(1),
        }
        return {name: value.tolist() for name, value in values.items()}

    @torch.no_grad()
    def take_out(self, models: TinyTransformers) -> tuple[tuple[HeadCost, ...], ...]:
        """Every head of every seed, with its cost: patterns held, and free."""
        _, held = models.run(self.repeats)
        scores = [
            self.scores(models, match_prefixes),
            self.scores(models, match_beside),
            self._copying(models),
            self._previous(models),
        ]
        # what is predicted from the second time on
        again = slice(self.segment - 1, None)
        before = models.losses(self.repeats)[:, :, again].mean((1, 2))
        costs = {}
        for layer in range(self.kind.layers):
            for head in range(self.kind.heads):
                out = [(layer, head)]
                frozen = models.losses(self.repeats, held=held, silenced=out)
                free = models.losses(self.repeats, silenced=out)
                costs[layer, head] = [part[:, :, again].mean((1, 2)) - before for part in (frozen, free)]
        return tuple(
            tuple(
                HeadCost(
                    layer=layer,
                    head=head,
                    **{
                        name: round(float(score[own, layer, head]), 5)
                        for name, score in zip(
                            ("prefix", "beside", "copying", "previous"), scores, strict=True
                        )
                    },
                    cost=round(float(frozen[own]), 5),
                    full_cost=round(float(free[own]), 5),
                )
                for (layer, head), (frozen, free) in costs.items()
            )
            for own in range(self.kind.seeds)
        )

    def scores(
        self, models: TinyTransformers, score: Callable[[Tensor, int, int], Tensor]
    ) -> Float[Tensor, "seeds layers heads"]:
        """A score of patterns on rows that repeat, a mean over rows."""
        _, patterns = models.run(self.repeats)
        return torch.stack([score(part, self.segment, 0).mean(1) for part in patterns], 1)

    def _previous(self, models: TinyTransformers) -> Float[Tensor, "seeds layers heads"]:
        _, patterns = models.run(self.held[:, : self.n_text])
        return torch.stack([attend_previous(part).mean(1) for part in patterns], 1)

    def _copying(self, models: TinyTransformers) -> Float[Tensor, "seeds layers heads"]:
        effects = models.copying().relu()
        parts = [_raise_of(effects, sample) for sample in self.sample]
        return torch.stack(parts).mean(0)

    def _score(self, losses: Float[Tensor, "seeds rows predicted"]) -> Float[Tensor, "seeds"]:
        width = max(1, self.context // 32)
        early, late = (round(place / OF * self.context) for place in (EARLY, LATE))
        # losses start at the second token
        ends = [losses[:, :, at - 1 - width // 2 : at - 1 - width // 2 + width] for at in (late, early)]
        return ends[0].mean((1, 2)) - ends[1].mean((1, 2))


def _raise_of(
    effects: Float[Tensor, "seeds layers heads tokens targets"], sample: Int[Tensor, "tokens"]
) -> Float[Tensor, "seeds layers heads"]:
    own = effects[..., sample, :][..., sample]
    return score_copying(own.diagonal(0, -2, -1).sum(-1), own.sum((-1, -2)))
