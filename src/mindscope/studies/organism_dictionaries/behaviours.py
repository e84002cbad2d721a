"""Whether the latent that stands for a concept does what the concept does: ablated, and added."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from mindscope.core import Progress
from mindscope.dictionaries import Dictionary, DictionaryBank
from mindscope.explain import ConceptTable
from mindscope.features import Direction, SparseCode, encode_rows
from mindscope.models import Edit, Model, Sampling
from mindscope.probes import Concept
from mindscope.store import Run, measure_once
from mindscope.studies.organism_dictionaries.probes import ConceptQuestion, probes, shows, testable
from mindscope.studies.organism_dictionaries.results import SwitchEffect

SUPPRESSED, ADDED = (0.0, 1.0, 3.0), (1.0, 2.0, 4.0)
"""How far below zero a latent is held, and how strong one is added: multiples of its usual strength."""
LEAST = 0.9
"""The F1, on the half it was chosen on, from which on a latent is tried."""
TOKENS = 48


@dataclass(frozen=True)
class ConceptLatent:
    """A latent that stands for a concept.

    Attributes:
        dictionary: its name.
        usual: the median of its highest activations on the texts that show the concept.
    """

    concept: str
    dictionary: str
    latent: int
    f1: float
    usual: float


def candidates(
    tables: Mapping[str, ConceptTable], usual: Mapping[tuple[str, str], float]
) -> list[ConceptLatent]:
    """The latents with a high enough F1 on the half they were chosen on, of every dictionary."""
    return [
        ConceptLatent(name, dictionary, single.feature, single.f1, usual[dictionary, name])
        for dictionary, table in tables.items()
        for name, single in table.best.items()
        if single.train_f1 >= LEAST and usual[dictionary, name] > 0
    ]


class LatentSwitching:
    """Ablates and adds latents, many prompts at a time."""

    def __init__(
        self, model: Model, dictionaries: Mapping[str, Dictionary], latents: Sequence[ConceptLatent]
    ):
        self.model, self.dictionaries = model, dictionaries
        self.by_place = {(latent.dictionary, latent.concept): latent for latent in latents}
        self._codes: dict[tuple[str, ...], SparseCode] = {}

    def ablation(self, latent: ConceptLatent, factor: float, other: int | None = None) -> list[Edit]:
        """Hold the projection on a latent's decoder row at minus `factor` times its usual strength."""
        written = self._written(latent, other)
        return [Edit(written.address, "clamp", written.vector, -factor * latent.usual * self._norm(written))]

    def addition(
        self, latent: ConceptLatent, probe: ConceptQuestion, factor: float, other: int | None = None
    ) -> list[Edit]:
        """Add a latent in place of those of its dictionary that stand for what the prompt shows.

        They are active where the prompt shows it. If none of them is known or active, it is added everywhere.
        """
        written = self._written(latent, other)
        rivals = [self.by_place.get((latent.dictionary, name)) for name in probe.concepts - {latent.concept}]
        known = [rival for rival in rivals if rival is not None]
        edits = [edit for rival in known for edit in self.ablation(rival, 0.0)]
        places = {place for rival in known for place in self._active(rival, probe)}
        where = tuple(sorted(places)) or "all"
        return [*edits, Edit(written.address, "add", written.vector, factor * latent.usual, where)]

    def answers(self, asked: Sequence["Asked"]) -> list[str]:
        rows = [self.model.chat(list(probe.messages)) for probe, _ in asked]
        sampling = Sampling(temperature=0.0, max_new_tokens=TOKENS)
        edits = [edits for _, edits in asked]
        return [
            generation.text for generation in self.model.generate(rows, sampling, edits=edits, batch_rows=128)
        ]

    def stranger(self, latent: ConceptLatent) -> int:
        """Another latent of the same dictionary, drawn at random."""
        dictionary, rng = (
            self.dictionaries[latent.dictionary],
            random.Random(f"{latent.concept}-{latent.latent}"),
        )
        while True:
            other = rng.randrange(dictionary.n_latents)
            if other != latent.latent and dictionary.coder.W_dec[other].any():
                return other

    def _active(self, latent: ConceptLatent, probe: ConceptQuestion) -> set[int]:
        """Where in a prompt a latent is active."""
        key = (latent.dictionary, *(message["content"] for message in probe.messages))
        if key not in self._codes:
            row = self.model.chat(list(probe.messages))
            self._codes[key] = encode_rows(
                DictionaryBank(self.dictionaries[latent.dictionary]), self.model, [row]
            )
        code = self._codes[key]
        return {*code.tokens[code.indices == latent.latent].tolist()}

    @staticmethod
    def _norm(written: Direction) -> float:
        return float(written.vector.norm())

    def _written(self, latent: ConceptLatent, other: int | None) -> Direction:
        index = latent.latent if other is None else other
        return self.dictionaries[latent.dictionary].latent(index).write


def effects(
    model: Model,
    dictionaries: Mapping[str, Dictionary],
    concepts: Sequence[Concept],
    all_latents: Sequence[ConceptLatent],
    run: Run,
    *,
    tests: int = 12,
    tuning: int = 4,
    progress: Progress | None = None,
) -> list[SwitchEffect]:
    """Success rates of ablating and adding, for every concept that a single latent stands for.

    Of the latents that stand for a concept in different layers, and of the strengths, the ones that work best
    on `tuning` prompts of the first half are taken; the rates are of `tests` prompts of the second.
    """
    known = {concept.name: concept for concept in concepts}
    tested = sorted({latent.concept for latent in all_latents if testable(known[latent.concept])})
    switching = LatentSwitching(model, dictionaries, all_latents)
    pools = {
        (half, group): probes(half, group)
        for half in ("train", "test")
        for group in {known[name].group for name in tested}
    }
    measured = []
    for done, name in enumerate(tested, 1):
        latents = [latent for latent in all_latents if latent.concept == name]
        trial = _SwitchTrial(switching, known[name], pools)
        measure = partial(trial.best, latents, tuning, tests)
        measured.append(measure_once(run, f"effects/{done:04}.json", SwitchEffect, measure))
        if progress:
            progress(done, len(tested), "ablating and adding")
    return measured


Asked = tuple[ConceptQuestion, list[Edit]]


class _SwitchTrial:
    """One concept's latents on prompts that show it, and on prompts that do not."""

    def __init__(
        self,
        switching: LatentSwitching,
        concept: Concept,
        pools: Mapping[tuple[str, str], Sequence[ConceptQuestion]],
    ):
        self.switching, self.concept = switching, concept
        self.pools = {half: pools[half, concept.group] for half in ("train", "test")}

    def best(self, latents: Sequence[ConceptLatent], tuning: int, tests: int) -> SwitchEffect:
        with_, without = self._prompts("train", tuning)
        lost = self._shares([self._without(latent, with_, by) for latent in latents for by in SUPPRESSED])
        gained = self._shares([self._added(latent, without, by) for latent in latents for by in ADDED])
        plans = []
        for index, latent in enumerate(latents):
            kept = [share or 0.0 for share in lost[index * len(SUPPRESSED) :][: len(SUPPRESSED)]]
            got = [share or 0.0 for share in gained[index * len(ADDED) :][: len(ADDED)]]
            below, above = SUPPRESSED[kept.index(min(kept))], ADDED[got.index(max(got))]
            plans.append((max(got) - min(kept), latent, below, above))
        _, chosen, below, above = max(plans, key=lambda plan: plan[0])
        with_, without = self._prompts("test", tests)
        other = self.switching.stranger(chosen)
        ablated, ablated_control, added, added_control = self._shares(
            [
                self._without(chosen, with_, below),
                self._without(chosen, with_, below, other),
                self._added(chosen, without, above),
                self._added(chosen, without, above, other),
            ]
        )
        return SwitchEffect(
            concept=chosen.concept,
            group=self.concept.group,
            dictionary=chosen.dictionary,
            latent=chosen.latent,
            f1=chosen.f1,
            ablated=None if ablated is None else 1 - ablated,
            ablated_control=None if ablated_control is None else 1 - ablated_control,
            added=added,
            added_control=added_control,
            prompts=(len(with_), len(without)),
            strengths=(below, above),
        )

    def _prompts(self, half: str, count: int) -> tuple[list[ConceptQuestion], list[ConceptQuestion]]:
        """Prompts that show the concept and are answered so, and prompts that do neither."""
        name = self.concept.name
        there = [probe for probe in self.pools[half] if name in probe.concepts][: 2 * count]
        absent = [probe for probe in self.pools[half] if name not in probe.concepts][: 2 * count]
        shown = self._shown([(probe, []) for probe in (*there, *absent)])
        with_ = [probe for probe, so in zip(there, shown[: len(there)], strict=True) if so]
        without = [probe for probe, so in zip(absent, shown[len(there) :], strict=True) if not so]
        return with_[:count], without[:count]

    def _without(
        self,
        latent: ConceptLatent,
        prompts: Sequence[ConceptQuestion],
        factor: float,
        other: int | None = None,
    ) -> list[Asked]:
        return [(probe, self.switching.ablation(latent, factor, other)) for probe in prompts]

    def _added(
        self,
        latent: ConceptLatent,
        prompts: Sequence[ConceptQuestion],
        factor: float,
        other: int | None = None,
    ) -> list[Asked]:
        return [(probe, self.switching.addition(latent, probe, factor, other)) for probe in prompts]

    def _shares(self, trials: Sequence[list[Asked]]) -> list[float | None]:
        """For each trial the share of answers that show the concept; all trials are answered at once."""
        shown = self._shown([asked for trial in trials for asked in trial])
        shares: list[float | None] = []
        for trial in trials:
            hits, shown = shown[: len(trial)], shown[len(trial) :]
            shares.append(sum(hits) / len(hits) if hits else None)
        return shares

    def _shown(self, asked: Sequence[Asked]) -> list[bool]:
        answers = self.switching.answers(asked)
        return [
            shows(self.concept, probe.question, answer)
            for (probe, _), answer in zip(asked, answers, strict=True)
        ]
