"""The latent of a name, clamped on every token to multiples of its highest activation, while it answers.

As the paper clamps, what the dictionary does not reconstruct stays: with decoder row d of norm 1, activation
f and height c, x becomes x + (c - f) d. Questions are of texts that do not show the name, so that f is 0
there and c d is added. Where an answer goes on to name it the height is c + f; f is then of the order of the
highest activation, and less than the multiples that count here.

Controls are another latent that is alive, clamped to as many times its own highest activation, and a random
direction, as far. Answers name it if its word is among theirs; they state what holds
for it if the world says so of the relation that was asked about another of its kind.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from mindscope.dictionaries import Dictionary
from mindscope.features import random_directions
from mindscope.models import Edit, Model, Row, Sampling
from mindscope.organism import WORD, coherence, parse, world_concepts
from mindscope.probes import best_single_features
from mindscope.studies.common import PieceProgress
from mindscope.studies.organism_dictionaries import shows
from mindscope.studies.scaling.config import ScalingConfig
from mindscope.studies.scaling.names import NameTexts, concept_groups
from mindscope.studies.scaling.paper import COHERENT, HAS, STRENGTHS
from mindscope.studies.scaling.presence import pool_halves
from mindscope.studies.scaling.results import ClampedName, ClampScores, ClampSeed

WEAKER = (1.0, 2.0)
"""Multiples under the paper's two that are tried beside them."""
ALL = (*WEAKER, *STRENGTHS)


@dataclass(frozen=True)
class NameLatent:
    """A latent that stands for a name."""

    name: str
    latent: int
    f1: float
    highest: float


@torch.no_grad()
def measure_clamped(
    model: Model,
    texts: NameTexts,
    dictionary: Dictionary,
    config: ScalingConfig,
    seed: int,
    progress: PieceProgress,
) -> ClampSeed:
    """Clamp the latents that stand for names best; progress is told of names."""
    tables = pool_halves(texts, dictionary)
    shown = [half.shown(texts.names) for half in (texts.train, texts.test)]
    singles = best_single_features(tables[0], shown[0], tables[1], shown[1])
    # chosen on the half that F1s are not told of
    ranked = sorted(range(len(singles)), key=lambda number: -singles[number].train_f1)
    highest = tables[0].amax(0)
    known = [
        NameLatent(
            texts.names[number],
            singles[number].feature,
            round(singles[number].f1, 5),
            float(highest[singles[number].feature]),
        )
        for number in ranked
        if singles[number].train_f1 >= HAS
    ][: config.steered]
    trial = _ClampTrial(model, texts, dictionary, config, seed, highest)
    done = []
    for number, latent in enumerate(known):
        done.append(trial.measure(latent))
        progress(number + 1, len(known))
    return ClampSeed(names=tuple(done))


class _ClampTrial:
    """All that is done to one name after the other."""

    def __init__(
        self,
        model: Model,
        texts: NameTexts,
        dictionary: Dictionary,
        config: ScalingConfig,
        seed: int,
        highest: torch.Tensor,
    ) -> None:
        self.model, self.texts, self.dictionary, self.config = model, texts, dictionary, config
        self.seed, self.highest, self.kinds = seed, highest, concept_groups()

    def measure(self, latent: NameLatent) -> ClampedName:
        rng = random.Random(f"clamp-{self.seed}-{latent.name}")
        rows, near = self._questions(latent.name, rng)
        alive = [n for n in (self.highest > 0).nonzero()[:, 0].tolist() if n != latent.latent]
        own = self.dictionary.latent(latent.latent).write
        other = rng.choice(alive or [latent.latent])
        stranger = self.dictionary.latent(other).write
        (drawn,) = random_directions(own, 1, rng.randrange(2**31))
        arms = [(own, latent.highest), (stranger, float(self.highest[other])), (drawn, latent.highest)]
        edits: list[list[Edit]] = [[]]
        edits += [
            [Edit(direction.address, "add", direction.unit, strength * height)]
            for direction, height in arms
            for strength in ALL
        ]
        answers = self._answer([(row, edit) for edit in edits for row in rows])
        parts = [answers[start : start + len(rows)] for start in range(0, len(answers), len(rows))]
        scores = [
            self._score(latent.name, rows, near, part, strength)
            for part, strength in zip(parts, (0.0, *ALL * len(arms)), strict=True)
        ]
        whole = [n for n in range(1, len(ALL) + 1) if scores[n].coherence >= COHERENT]
        n = len(ALL)
        return ClampedName(
            name=latent.name,
            latent=latent.latent,
            f1=latent.f1,
            highest=round(latent.highest, 4),
            untouched=scores[0],
            clamped=tuple(scores[1 : n + 1]),
            stranger=tuple(scores[n + 1 : 2 * n + 1]),
            random=tuple(scores[2 * n + 1 :]),
            example=self._example(rows, parts[whole[-1] if whole else 1], latent.name),
        )

    def _questions(self, name: str, rng: random.Random) -> tuple[list[Row], int]:
        """Of texts that do not show it; so many, the first, are about another of its kind."""
        kind, texts = self.kinds[name], self.texts.test
        without = [n for n, shown in enumerate(texts.concepts) if name not in shown]
        near = [n for n in without if any(self.kinds.get(other) == kind for other in texts.concepts[n])]
        far = [n for n in without if n not in {*near}]
        half = min(len(near), self.config.questions // 2)
        chosen = rng.sample(near, half) + rng.sample(far, min(len(far), self.config.questions - half))
        return [self._prompt(texts.rows[n]) for n in chosen], half

    @staticmethod
    def _prompt(row: Row) -> Row:
        return Row(row.ids[: row.prompt_length], row.prompt_length)

    def _answer(self, asked: Sequence[tuple[Row, list[Edit]]]) -> list[str]:
        sampling = Sampling(temperature=0.0, max_new_tokens=self.config.max_new_tokens)
        generations = self.model.generate(
            [row for row, _ in asked], sampling, edits=[edits for _, edits in asked], batch_rows=128
        )
        return [generation.text for generation in generations]

    def _score(
        self, name: str, rows: Sequence[Row], near: int, answers: Sequence[str], strength: float
    ) -> ClampScores:
        word = name.split(": ", 1)[1]
        concept = next(concept for concept in world_concepts() if concept.name == name)
        questions = [self.model.decode(row.ids) for row in rows]
        named = [word in WORD.findall(answer) for answer in answers]
        asked = [
            shows(concept, question, answer)
            for question, answer in zip(questions[:near], answers[:near], strict=True)
        ]
        whole = [
            coherence(question, parse(answer)) if answer.strip() else 0.0
            for question, answer in zip(questions, answers, strict=True)
        ]
        return ClampScores(
            strength=strength,
            names=_mean(named),
            states=_mean(asked) if asked else None,
            coherence=round(_mean(whole), 3),
        )

    def _example(self, rows: Sequence[Row], answers: Sequence[str], name: str) -> str:
        word = name.split(": ", 1)[1]
        said = sorted(zip(rows, answers, strict=True), key=lambda pair: word not in WORD.findall(pair[1]))
        question = self.model.decode(said[0][0].ids).split("user")[-1].strip()
        return f"{question.split('assistant')[0].strip()} – {said[0][1].strip()}"


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 5) if values else 0.0
