"""A name's features exchanged for another name's, at the token where the name stands.

1. Read every feature at the last token of the prompts' beginnings, up to a name: the token sees nothing that
   comes behind it. Mean over beginnings, name by name.
2. To exchange A for C, take the features whose means differ most, times the norm of what a unit writes, and
   set each to its mean with A plus `strength` times the difference of the means.
3. Choose how many features, and the strength, by the rate on prompts of the chosen frames.
4. Count on held-out prompts of other frames, beside random features that move the stream as far at that
   token, and pushes of the same size along the difference of the names' unembeddings.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.circuits import Intervention, ReplacementModel, intervening, read_feature_activations
from mindscope.core import Progress
from mindscope.models import Edit, Model, Row, centred_unembedding
from mindscope.stats import RateEstimate
from mindscope.studies.known_circuits.measure import word_id
from mindscope.studies.known_circuits.prompts import (
    CHOSEN_FRAMES,
    HELD_FRAMES,
    NAMES,
    NamedPrompt,
    draw_prompts,
)
from mindscope.studies.known_circuits.results import NameSwap

SIZES = (300, 1000, 3000, 10_000)
STRENGTHS = (1.0, 1.25)
"""What is tried on the chosen frames; the smallest change that reaches the best rate is taken."""
MOST_DRAWN = 3
"""So many times as many prompts are drawn as are to count."""


@dataclass(frozen=True, eq=False)
class NameFeatures:
    """Features of all layers side by side, at the token of a name.

    Attributes:
        means: by name, `[features]`, over the beginnings of the chosen frames.
        writes: `[features, d_model]`, what a unit of each adds to the residual stream.
        sizes: how many features each layer has.
    """

    means: dict[str, Float[Tensor, "features"]]
    writes: Float[Tensor, "features d_model"]
    sizes: tuple[int, ...]

    def place(self, column: int) -> tuple[int, int]:
        """Layer and latent of a feature by its number among all."""
        for layer, size in enumerate(self.sizes):
            if column < size:
                return layer, column
            column -= size
        raise IndexError(column)

    def exchange(
        self, prompt: NamedPrompt, active: Float[Tensor, "features"], size: int, strength: float
    ) -> dict[int, float]:
        """By how much each feature is to change so that the receiver's name becomes the other one."""
        own, other = self.means[prompt.answer], self.means[prompt.other]
        moved = (other - own).abs() * self.writes.norm(dim=1)
        columns = moved.topk(min(size, len(moved))).indices
        amounts = own[columns] + strength * (other - own)[columns] - active[columns]
        return dict(zip(columns.tolist(), amounts.tolist(), strict=True))

    def match(
        self, amounts: dict[int, float], active: Float[Tensor, "features"], rng: random.Random
    ) -> dict[int, float]:
        """Random features of the same layers that are on at this token, and move the stream as far."""
        drawn: dict[int, float] = {}
        norms, on, start = self.writes.norm(dim=1).tolist(), active.tolist(), 0
        for size in self.sizes:
            layer = range(start, start + size)
            changed = [column for column in amounts if column in layer]
            free = [column for column in layer if column not in amounts and on[column]]
            rng.shuffle(free)
            # a layer with too few others gives what it has; what is missing is made up for by the scale
            for column, stranger in zip(changed, free, strict=False):
                drawn[stranger] = amounts[column] * norms[column] / norms[stranger]
            start += size
        scale = self.size_of(amounts) / max(self.size_of(drawn), 1e-6)
        return {column: amount * scale for column, amount in drawn.items()}

    def size_of(self, amounts: dict[int, float]) -> float:
        """How far changes move the residual stream in all: the norm of the sum of what they add."""
        return float((torch.tensor(list(amounts.values())) @ self.writes[list(amounts)]).norm())


def exchange_names(
    model: Model, replacement: ReplacementModel, seed: int, count: int, progress: Progress
) -> NameSwap:
    """Exchange names' features on held-out prompts, with a setting chosen on others.

    Args:
        model: the model.
        replacement: whose features are exchanged.
        seed: draws the prompts.
        count: of held-out prompts that the model answers right.
        progress: called with (settings done, in all, what).

    Raises:
        DataError: a name is several tokens.
    """
    features = _read_names(model, replacement)
    chosen = draw_prompts(CHOSEN_FRAMES, 3 * len(CHOSEN_FRAMES), seed)
    chosen_rows = _Exchanges(model, replacement, features, chosen)
    settings = [(size, strength) for strength in STRENGTHS for size in SIZES]
    rates = []
    for number, tried in enumerate(settings):
        progress(number, len(settings), "names exchanged")
        hits = chosen_rows.said(chosen_rows.amounts(*tried))
        rates.append(
            sum(word == prompt.other for word, prompt in zip(hits, chosen, strict=True)) / len(chosen)
        )
    best = max(range(len(settings)), key=lambda number: (rates[number], -number))
    size, strength = settings[best]

    # what the model does not do by itself cannot be moved: only prompts that it answers right count
    drawn = draw_prompts(HELD_FRAMES, MOST_DRAWN * count, seed + 1)
    words = _Exchanges(model, replacement, features, drawn).said([{}] * len(drawn))
    right = [word == prompt.answer for word, prompt in zip(words, drawn, strict=True)]
    held = [prompt for prompt, is_right in zip(drawn, right, strict=True) if is_right][:count]
    setting = {"features": size, "strength": strength, "chosen": rates[best]}
    answered = RateEstimate.of(right, [prompt.frame for prompt in drawn])
    if not held:
        none = RateEstimate.of([])
        return NameSwap(
            **setting, right=answered, swapped=none, random=none, pushed=none, pushed_at_name=none, size=0.0
        )
    rows = _Exchanges(model, replacement, features, held)
    amounts = rows.amounts(size, strength)
    rng = random.Random(seed)
    strangers = [features.match(a, code, rng) for a, code in zip(amounts, rows.active, strict=True)]
    sizes = [features.size_of(a) for a in amounts]

    def rate(words: Sequence[str]) -> RateEstimate:
        hits = [word == prompt.other for word, prompt in zip(words, held, strict=True)]
        return RateEstimate.of(hits, [prompt.frame for prompt in held])

    return NameSwap(
        **setting,
        right=answered,
        swapped=rate(rows.said(amounts)),
        random=rate(rows.said(strangers)),
        pushed=rate(rows.pushed(f"resid_post.{model.n_layers - 1}", sizes, at_name=False)),
        pushed_at_name=rate(rows.pushed("embeddings", sizes, at_name=True)),
        size=sum(sizes) / len(sizes),
    )


class _Exchanges:
    """Prompts, where the receiver's name stands in them, and what is active there."""

    def __init__(
        self,
        model: Model,
        replacement: ReplacementModel,
        features: NameFeatures,
        prompts: Sequence[NamedPrompt],
    ) -> None:
        self.model, self.replacement, self.features = model, replacement, features
        self.prompts, self.rows = prompts, [model.text(prompt.text) for prompt in prompts]
        beginnings = [model.text(prompt.beginning) for prompt in prompts]
        self.places = [len(row) - 1 for row in beginnings]
        self.active = _read_last(model, replacement, beginnings, features.sizes)

    def amounts(self, size: int, strength: float) -> list[dict[int, float]]:
        return [
            self.features.exchange(prompt, code, size, strength)
            for prompt, code in zip(self.prompts, self.active, strict=True)
        ]

    def said(self, amounts: Sequence[dict[int, float]]) -> list[str]:
        """The likeliest next word of each prompt, with features changed at its name."""
        changes = [
            [
                Intervention(layer, place, latent, "set", float(code[column]) + amount)
                for column, amount in changed.items()
                for layer, latent in [self.features.place(column)]
            ]
            for changed, place, code in zip(amounts, self.places, self.active, strict=True)
        ]
        with intervening(self.model, self.replacement, self.rows, changes):
            return self._words(self.model.next_logits(self.rows))

    def pushed(self, address: str, sizes: Sequence[float], *, at_name: bool) -> list[str]:
        """The same with a push from the receiver's to the other's logit, at the name or the end."""
        edits = []
        for prompt, row, place, size in zip(self.prompts, self.rows, self.places, sizes, strict=True):
            words = [word_id(self.model, f" {name}") for name in (prompt.other, prompt.answer)]
            directions, _ = centred_unembedding(self.model, words)
            direction = directions[0] - directions[1]
            where = (place if at_name else len(row) - 1,)
            edits.append([Edit(address, "add", direction / direction.norm(), size, where=where)])
        return self._words(self.model.next_logits(self.rows, edits=edits))

    def _words(self, logits: Float[Tensor, "rows vocabulary"]) -> list[str]:
        return [self.model.decode([token]).strip() for token in logits.argmax(-1).tolist()]


def _read_names(model: Model, replacement: ReplacementModel) -> NameFeatures:
    """Step 1."""
    feature_io = replacement.access(model)
    sizes = tuple(feature_io.sizes)
    writes = [
        torch.stack(list(feature_io.decoders(layer, torch.arange(size)).values())).sum(0).float().cpu()
        for layer, size in enumerate(sizes)
    ]
    means = {}
    for number, name in enumerate(NAMES):
        other = NAMES[(number + 7) % len(NAMES)]
        beginnings = [
            NamedPrompt(frame, names, receiver, "").beginning
            for frame in CHOSEN_FRAMES
            for names, receiver in (((name, other), 0), ((other, name), 1))
        ]
        codes = _read_last(model, replacement, [model.text(text) for text in beginnings], sizes)
        means[name] = torch.stack(codes).mean(0)
    return NameFeatures(means, torch.cat(writes), sizes)


def _read_last(
    model: Model, replacement: ReplacementModel, rows: Sequence[Row], sizes: Sequence[int]
) -> list[Float[Tensor, "features"]]:
    """All features at the last token of rows."""
    latents = [(layer, latent) for layer, size in enumerate(sizes) for latent in range(size)]
    return [values[-1].clone() for values in read_feature_activations(model, replacement, rows, latents)]
