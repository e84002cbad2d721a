"""All measures of one kind of model on one text: it is trained, and looked at while it is in memory."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from mindscope.errors import DataError
from mindscope.studies.common import PieceProgress, TokenText
from mindscope.studies.solu.concepts import ConceptBench
from mindscope.studies.solu.config import SoluConfig
from mindscope.studies.solu.neurons import (
    ROWS_AT_ONCE,
    NeuronRules,
    detect_firings,
    draw_rotations,
    explain_firings,
    find_firings,
    find_rules,
    match_rules,
    read_neurons,
    say_rule,
    score_firings,
)
from mindscope.studies.solu.paper import EXPLAINED
from mindscope.studies.solu.results import ConceptTexts, KindScores, LevelShares, NeuronRule, NeuronScores
from mindscope.studies.solu.small_activations import SmallParts, measure_levels, measure_small
from mindscope.studies.solu.train import train_kind

EXAMPLES = 12
"""Neurons that are shown."""
TRAINING = 0.9
"""The share of the time that training takes, roughly; for progress."""


@dataclass(frozen=True)
class StudiedText:
    """A text that models are trained on.

    Attributes:
        name: what tables call it.
        tokens: the text.
        words: each id as a reader knows it.
        concepts: known ones, with texts that show them and with how far tokens go; None where none are known.
    """

    name: str
    tokens: TokenText
    words: Sequence[str]
    concepts: tuple[ConceptBench, ConceptTexts] | None = None


def measure_kind(
    name: str, text: StudiedText, config: SoluConfig, seed: int, progress: PieceProgress
) -> KindScores:
    """Train one kind, by its name, on a text, and measure it; progress is told of steps."""
    tokens, size = text.tokens, text.tokens.vocabulary
    kind = config.kind(name)
    total = round(config.steps / TRAINING)
    models = train_kind(kind, config, tokens, seed, lambda done, _: progress(done, total))
    reading_rows, ids = split_held(tokens, kind.context, config.held_rows)
    split = ids[: config.split_rows]
    reading = read_neurons(models, split)
    turns = draw_rotations(reading.before, seed)
    firings = [find_firings(models, part, turns) for part in (reading_rows, ids)]
    scored: tuple[list[NeuronScores], list[NeuronScores]] = ([], [])
    levels: list[LevelShares] = []
    examples: tuple[NeuronRule, ...] = ()
    for own in range(kind.seeds):
        for view, scores in enumerate(scored):
            activations = reading.before[own, :, :-1]
            activations = activations @ turns[own] if view else activations
            rules = find_rules(firings[0][view][own], size)
            explained = explain_firings(rules, firings[1][view][own], size)
            matches = match_rules(rules, split, size)
            detected = detect_firings(matches, activations)
            scores.append(score_firings(rules, explained, detected))
            if view:
                continue
            levels.append(measure_levels(reading, own, matches, explained >= EXPLAINED))
            if own == 0:
                examples = _show_rules(rules, explained, detected, text.words)
    with torch.no_grad():
        losses = [models.losses(part.expand(kind.seeds, -1, -1)) for part in ids.split(ROWS_AT_ONCE)]
    return KindScores(
        kind=name,
        text=text.name,
        loss=tuple(round(float(loss), 5) for loss in torch.cat(losses, 1).mean((1, 2))),
        own=tuple(scored[0]),
        rotated=tuple(scored[1]),
        levels=tuple(levels),
        small=measure_small(models, split, SmallParts.of(reading)),
        concepts=text.concepts and text.concepts[0].measure_neurons(models, turns, text.concepts[1]),
        examples=examples,
    )


def split_held(
    text: TokenText, context: int, most: int
) -> tuple[Int[Tensor, "read tokens"], Int[Tensor, "tested tokens"]]:
    """Held-out text as rows that share no token: its first half to read rules from, its second to test them.

    Seeds and kinds read the same rows.

    Raises:
        DataError: it is too short for two rows.
    """
    count = min(most, len(text.held) // context // 2)
    if count < 1:
        raise DataError(f"{len(text.held)} tokens are held out: two rows of {context} are needed")
    rows = text.held[: 2 * count * context].view(2 * count, context)
    return rows[:count], rows[count:]


def _show_rules(
    rules: NeuronRules, explained: Tensor, detected: Tensor, words: Sequence[str]
) -> tuple[NeuronRule, ...]:
    """Neurons at even steps through their order by what is explained."""
    order = explained.argsort(descending=True, stable=True).tolist()
    step = max(1, len(order) // EXAMPLES)
    return tuple(
        NeuronRule(
            neuron=neuron,
            rule=say_rule(int(rules.offsets[neuron]), words[int(rules.tokens[neuron])]),
            explained=round(float(explained[neuron]), 5),
            detected=None if detected[neuron].isnan() else round(float(detected[neuron]), 5),
        )
        for neuron in order[::step][:EXAMPLES]
    )
