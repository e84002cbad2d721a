"""One climb of the ladder: all that discovery prompts show of a model beside its base, and candidates.

The same climb is made for the tuned model and for every harmless one, so that both lists of candidates come
about alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from mindscope.dictionaries import DictionaryBank
from mindscope.diffing.claims.candidates import (
    ClaimCandidate,
    baseline_candidates,
    context_candidate,
    find_contexts,
    latent_candidate,
    trait_candidate,
    typical_words,
    word_candidate,
)
from mindscope.diffing.claims.carrying import ChangeSubspace, find_subspaces
from mindscope.diffing.claims.pushing import DirectionPusher, PushDirection
from mindscope.diffing.config import DiffConfig
from mindscope.diffing.ladder.distributions import read_distributions
from mindscope.diffing.ladder.latents import read_latents
from mindscope.diffing.ladder.lens import (
    TEXTS,
    LensVectors,
    mean_differences,
    read_lens,
    remaining_differences,
)
from mindscope.diffing.ladder.outputs import find_words, read_outputs
from mindscope.diffing.observing import ObservedModel
from mindscope.diffing.results import (
    DictionaryChange,
    DistributionReading,
    LensReading,
    OutputsReading,
    Rung,
)
from mindscope.diffing.terms import token_terms
from mindscope.models import Last, Mean, Read, Row, Where
from mindscope.personas import Trait

PLACES = (TEXTS, "last_prompt", "answer")
"""Places of the lens that make a claim each; the single positions of texts are shown and make none."""
WHERE = {
    TEXTS: "on the first tokens of unrelated texts",
    "last_prompt": "before its answers",
    "answer": "on its answers",
}


@dataclass
class Climb:
    """What one climb read, and the candidates it left.

    Attributes:
        candidates: of the look inside.
        baseline: of a reader of the answers.
        directions: those that candidates name.
        subspaces: of the candidates about kinds of prompts, by the same names.
    """

    outputs: OutputsReading
    distributions: DistributionReading | None = None
    lens: LensReading | None = None
    latents: tuple[DictionaryChange, ...] = ()
    candidates: list[ClaimCandidate] = field(default_factory=list)
    baseline: list[ClaimCandidate] = field(default_factory=list)
    directions: dict[str, PushDirection] = field(default_factory=dict)
    subspaces: dict[str, ChangeSubspace] = field(default_factory=dict)


@dataclass
class LadderClimber:
    """Climbs the steps that two models allow, and makes candidates of what it finds.

    Attributes:
        base: the base model, observed.
        model: the other one, observed.
        subject: what sentences call it: "the tuned model".
        texts: unrelated to any tuning.
        traits: traits that claims may be about; a judge scores them.
        allowed: the steps that these two models allow.
        address: of the lens.
        pusher: finds out what the base says under a push.
    """

    base: ObservedModel
    model: ObservedModel
    subject: str
    texts: Sequence[str]
    traits: Sequence[Trait]
    allowed: frozenset[Rung]
    address: str
    pusher: DirectionPusher
    config: DiffConfig

    def climb(self) -> Climb:
        """All steps, the cheapest first."""
        base_answers, answers = self.base.discovery_answers, self.model.discovery_answers
        outputs = read_outputs(base_answers, answers, self.config)
        climb = Climb(outputs, baseline=baseline_candidates(self.subject, outputs))
        if "lens" in self.allowed:
            self._lens(climb)
        if "distributions" in self.allowed:
            self._distributions(climb)
        self._traits(climb)
        if "latents" in self.allowed:
            self._latents(climb)
        return climb

    def _lens(self, climb: Climb) -> None:
        climb.lens, vectors = read_lens(
            self.base.model,
            self.model.model,
            self.texts,
            self.base.prompts.discovery,
            self.model.discovery_answers,
            self.address,
            self.config,
        )
        for place in PLACES:
            if place in vectors.vectors:
                self._lens_place(climb, place, vectors)

    def _lens_place(self, climb: Climb, place: str, vectors: LensVectors) -> None:
        vector = vectors.vectors[place]
        rows, reductions = self._rows_of(place)
        direction = PushDirection(
            f"lens {place}",
            self.address,
            vector / vector.norm(),
            vectors.norms[place],
            float(vector.norm()),
            POSITIONS[place],
            remaining_differences(
                self.base.model, self.model.model, rows, self.addresses, reductions, POSITIONS[place]
            ),
        )
        climb.directions[direction.name] = direction
        terms = token_terms(self.base.model, vectors.promoted[place], self.config.n_terms)
        if terms:
            why = f"its activations differ towards them {WHERE[place]}"
            climb.candidates.append(
                word_candidate(f"lens {place}", "lens", self.subject, terms, why, direction.name)
            )
        pushed = self.pusher.discovery_answers(direction)
        words = find_words(self.base.discovery_answers[: len(pushed)], pushed, self.config)
        if words:
            why = f"its base says them when pushed along the difference {WHERE[place]}"
            terms = [change.term for change in words]
            climb.candidates.append(
                word_candidate(f"steering {place}", "steering", self.subject, terms, why, direction.name)
            )

    def _distributions(self, climb: Climb) -> None:
        prompts, answers = self.base.prompts.discovery, self.model.discovery_answers
        measured = self.model.divergences(self.base, held_out=False)
        climb.distributions = read_distributions(self.base.model, prompts, answers, measured, self.config)
        name = "lens answer" if "lens answer" in climb.directions else None
        change = (measured.after - measured.before).argsort(descending=True)
        rising = [int(token) for token in change[: 4 * self.config.n_terms]]
        terms = token_terms(
            self.base.model,
            [token for token in rising if measured.after[token] > measured.before[token]],
            self.config.n_terms,
        )
        if terms:
            why = "their probability rose along its answers"
            climb.candidates.append(
                word_candidate("distributions", "distributions", self.subject, terms, why, name)
            )
        contexts = find_contexts(prompts, measured.js, self.config)
        if "lens" in self.allowed:
            kinds = {f"context {number}": members for number, (_, members) in enumerate(contexts, 1)}
            self._context_directions(climb, kinds)
        for number, (word, members) in enumerate(contexts, 1):
            own = f"context {number}" if f"context {number}" in climb.directions else None
            typical = typical_words(prompts, members, word)
            climb.candidates.append(context_candidate(f"context {number}", self.subject, word, own, typical))

    def _traits(self, climb: Climb) -> None:
        name = "lens answer" if "lens answer" in climb.directions else None
        for trait in self.traits:
            candidate = trait_candidate(
                f"trait {trait.name}", self.subject, trait.name, trait.description, name
            )
            climb.candidates.append(candidate)

    def _latents(self, climb: Climb) -> None:
        readings: list[DictionaryChange] = []
        for name, bank in self.model.banks.items():
            rates = [self.model.rates(name, held_out=False, of_base=of_base) for of_base in (True, False)]
            reading = read_latents(
                name, self.base.model, bank, rates[0], rates[1], self.config, self.config.n_contexts
            )
            readings.append(reading)
            for change in reading.changed:
                candidate = latent_candidate(f"{name} {change.latent}", "latent", self.subject, name, change)
                climb.candidates.append(candidate)
                moved = float(rates[1].mean[change.latent] - rates[0].mean[change.latent])
                self._latent_direction(climb, candidate.name, bank, change.latent, moved)
        climb.latents = tuple(readings)

    @property
    def addresses(self) -> list[str]:
        """The residual stream after every block."""
        return [f"resid_post.{layer}" for layer in range(self.base.model.n_layers)]

    def _rows_of(self, place: str) -> tuple[list[Row], list[Mean | Last]]:
        """Rows that a place of the lens was measured on, no more than are pushed; what was read of them."""
        if place == TEXTS:
            rows = [self.base.model.text(text) for text in self.texts[: self.config.n_pushed]]
            return rows, [Mean((position,)) for position in range(1, self.config.positions)]
        rows = [row for row in self.model.rows(held_out=False) if row.answer][: self.config.n_pushed]
        return rows, [Last("prompt") if place == "last_prompt" else Mean("answer")]

    def _context_directions(self, climb: Climb, kinds: Mapping[str, np.ndarray]) -> None:
        """What differs on the answers to each kind of prompts, on average and token by token; nothing of a
        kind on which nothing does.
        """
        all_rows = self.model.rows(held_out=False)
        models = self.base.model, self.model.model
        for name, members in kinds.items():
            rows = [all_rows[index] for index in members if all_rows[index].answer]
            moved = mean_differences(*models, rows, [self.address], [Mean("answer")]) if rows else {}
            if self.address not in moved:
                continue
            vector = moved[self.address]
            norm = self._norm_at(self.address, rows)
            climb.directions[name] = PushDirection(
                name, self.address, vector / vector.norm(), norm, float(vector.norm()), "response", moved
            )
        members_of = {name: {int(i) for i in kinds[name]} for name in kinds if name in climb.directions}
        if members_of:
            climb.subspaces |= find_subspaces(*models, all_rows, members_of, self.address, self.addresses)

    def _latent_direction(
        self, climb: Climb, name: str, bank: DictionaryBank, latent: int, moved: float
    ) -> None:
        """What a latent writes, as much more or less as it is active; none where that is nothing."""
        write = bank.dictionary.latent(latent).write
        vector = write.vector.float() * moved
        if not vector.any():
            return
        rows = [row for row in self.model.rows(held_out=False) if row.answer]
        climb.directions[name] = PushDirection(
            name,
            write.address,
            vector / vector.norm(),
            self._norm_at(write.address, rows),
            float(vector.norm()),
            "response",
            {write.address: vector},
        )

    def _norm_at(self, address: str, rows: Sequence[Row]) -> float:
        """The mean norm of the base's mean activation over an answer's tokens."""
        values = self.base.model.read(rows, {"answer": Read(address, Mean("answer"))})["answer"].values
        assert isinstance(values, Tensor)
        return float(values.norm(dim=1).mean())


def allowed_rungs(skipped: Sequence[Rung]) -> frozenset[Rung]:
    """The steps that are not skipped."""
    rungs: tuple[Rung, ...] = ("outputs", "distributions", "lens", "traits", "latents")
    return frozenset(rungs) - frozenset(skipped)


POSITIONS: dict[str, Where] = {TEXTS: "all", "last_prompt": "last_prompt", "answer": "response"}
"""The tokens that are pushed: those at which the difference was measured."""


def direction_tensors(directions: Mapping[str, PushDirection]) -> dict[str, Tensor]:
    """What is saved of the directions: unit vectors by name."""
    return {name: direction.unit.contiguous() for name, direction in directions.items()}
