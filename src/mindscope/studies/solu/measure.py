"""All measures of one kind of model on one text: it is trained, and looked at while it is in memory."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mindscope.studies.common import (
    EXPLAINED,
    ConceptBench,
    ConceptTexts,
    FiringRules,
    PieceProgress,
    RuleScores,
    TinyTraining,
    TokenText,
    detect_firings,
    explain_firings,
    find_rules,
    match_rules,
    read_neurons,
    say_rule,
    score_firings,
    split_held,
    train_transformers,
)
from mindscope.studies.solu.concepts import measure_neurons
from mindscope.studies.solu.config import SoluConfig
from mindscope.studies.solu.neurons import ROWS_AT_ONCE, draw_rotations, find_firings
from mindscope.studies.solu.results import KindScores, LevelShares, NeuronRule
from mindscope.studies.solu.small_activations import SmallParts, measure_levels, measure_small

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
    # Kinds start from the same weights and read the same rows, so that they are compared seed by seed.
    training = TinyTraining(rows=config.rows, steps=config.steps, learning_rate=config.learning_rate)
    models = train_transformers(kind, tokens, training, seed, lambda done, _: progress(done, total))
    reading_rows, ids = split_held(tokens, kind.context, config.held_rows)
    split = ids[: config.split_rows]
    reading = read_neurons(models, split)
    turns = draw_rotations(reading.before, seed)
    firings = [find_firings(models, part, turns) for part in (reading_rows, ids)]
    scored: tuple[list[RuleScores], list[RuleScores]] = ([], [])
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
        concepts=text.concepts and measure_neurons(text.concepts[0], models, turns, text.concepts[1]),
        examples=examples,
    )


def _show_rules(
    rules: FiringRules, explained: Tensor, detected: Tensor, words: Sequence[str]
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
