"""All pieces of the study, in order: what is trained first, then each measure seed by seed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property

import torch

from mindscope.dictionaries import Dictionary
from mindscope.models import Model
from mindscope.store import Run
from mindscope.studies.common import (
    ConceptBench,
    ConceptTexts,
    PieceBench,
    PieceProgress,
    StudyText,
    TinyTransformers,
    name_tokens,
    read_neurons,
    split_held,
)
from mindscope.studies.monosemanticity.config import (
    NEURONS,
    SHUFFLED,
    MonosemanticityConfig,
    say_size,
)
from mindscope.studies.monosemanticity.measures import (
    SeedViews,
    find_often,
    measure_automata,
    measure_effects,
    measure_reading,
    measure_splits,
    measure_universality,
    say_random,
)
from mindscope.studies.monosemanticity.results import (
    DictionaryFit,
    MonosemanticityStudy,
    SeedAutomata,
    SeedEffects,
    SeedReading,
    SeedSplits,
    SeedUniversality,
    TrainedDictionaries,
    TrainedTransformers,
)
from mindscope.studies.monosemanticity.training import (
    BARE,
    OWN,
    NeuronSource,
    keep_transformers,
    shuffle_weights,
    train_dictionaries,
)

COSTS: Mapping[str, float] = {
    "reading": 3.0,
    "effects": 1.0,
    "splitting": 1.0,
    "universality": 1.0,
    "automata": 1.0,
}
"""Of each seed, beside 5 for the transformers and 40 for the dictionaries; for progress."""


def list_costs(config: MonosemanticityConfig) -> dict[str, float]:
    """Every piece with its share of the time."""
    seeds = range(config.model.seeds)
    each = {f"{part}/{seed}": cost for part, cost in COSTS.items() for seed in seeds}
    return {"transformers": 5.0, "dictionaries": 40.0, "concepts": 0.5, **each}


@dataclass(frozen=True, eq=False)
class MonosemanticityBench:
    """What pieces are measured with; models and dictionaries are read again where they are in the run."""

    run: Run
    organism: Model
    text: StudyText
    config: MonosemanticityConfig
    seed: int

    @cached_property
    def focus(self) -> str:
        """The view that is looked at closely."""
        return say_size(self.config.focus)

    @property
    def unasked(self) -> tuple[str, ...]:
        """Views whose known concepts are no claim's control."""
        return (say_random(self.config.sizes[-1]),) if self.config.sizes[-1] != self.config.focus else ()

    @cached_property
    def words(self) -> list[str]:
        """Each id as a reader knows it."""
        return name_tokens(self.text, self.organism.tokenizer)

    @cached_property
    def models(self) -> dict[str, TinyTransformers]:
        """The transformers, and their shuffled copies."""
        return self._models(lambda done, total: None)

    @cached_property
    def dictionaries(self) -> dict[str, Dictionary]:
        """All dictionaries by name."""
        return self._dictionaries(lambda done, total: None)

    @cached_property
    def concepts(self) -> ConceptBench:
        """Texts with known concepts."""
        config = self.config
        return ConceptBench.read(self.organism, self.text, config.model.context, config.texts, self.seed)

    def measure_all(self, pieces: PieceBench) -> MonosemanticityStudy:
        """Every piece, out of its file or measured and kept."""
        seeds, config = range(self.config.model.seeds), self.config
        return MonosemanticityStudy(
            transformers=pieces.measure("transformers", TrainedTransformers, self._measure_transformers),
            dictionaries=pieces.measure("dictionaries", TrainedDictionaries, self._measure_dictionaries),
            texts=pieces.measure(
                "concepts", ConceptTexts, lambda _: self.concepts.measure_tokens(config.vocabulary)
            ),
            readings=pieces.measure_each(
                "reading",
                seeds,
                SeedReading,
                lambda n, p: measure_reading(
                    self.views(n), self.focus, self.concepts, self.words, p, self.unasked
                ),
            ),
            effects=pieces.measure_each(
                "effects",
                seeds,
                SeedEffects,
                lambda n, p: measure_effects(self.views(n), self.focus, config, n, p),
            ),
            splits=pieces.measure_each(
                "splitting",
                seeds,
                SeedSplits,
                lambda n, p: measure_splits(self.views(n), config, self.words, p),
            ),
            universality=pieces.measure_each(
                "universality", seeds, SeedUniversality, self._measure_universality
            ),
            automata=pieces.measure_each(
                "automata",
                seeds,
                SeedAutomata,
                lambda n, p: measure_automata(self.views(n), self.focus, config, n, self.words, p),
            ),
        )

    @cache  # noqa: B019 - a bench lives as long as its study
    def views(self, seed: int) -> SeedViews:
        """All views of one transformer."""
        return SeedViews.of(self.models, self.dictionaries, self.text, self.config, seed)

    def _models(self, progress: PieceProgress) -> dict[str, TinyTransformers]:
        own = keep_transformers(self.run, self.text, self.config, self.seed, progress)
        return {OWN: own, BARE: shuffle_weights(own, self.seed)}

    def _dictionaries(self, progress: PieceProgress) -> dict[str, Dictionary]:
        source = NeuronSource(self.models, self.text, self.seed)
        return train_dictionaries(self.run, source, self.config, self.seed, progress)

    @torch.no_grad()
    def _held_losses(self, models: TinyTransformers) -> tuple[float, ...]:
        _, test = split_held(self.text, self.config.model.context, self.config.held_rows)
        parts = [models.losses(part.expand(models.config.seeds, -1, -1)) for part in test.split(64)]
        return tuple(round(float(loss), 5) for loss in torch.cat(parts, 1).mean((1, 2)))

    def _measure_transformers(self, progress: PieceProgress) -> TrainedTransformers:
        models = self._models(progress)
        return TrainedTransformers(
            loss=self._held_losses(models[OWN]), shuffled=self._held_losses(models[BARE])
        )

    def _measure_dictionaries(self, progress: PieceProgress) -> TrainedDictionaries:
        self._dictionaries(progress)  # tells how far it is; later ones find it done
        fits = [fit for seed in range(self.config.model.seeds) for fit in self._fit_views(seed)]
        return TrainedDictionaries(fits=tuple(fits))

    @torch.no_grad()
    def _fit_views(self, seed: int) -> Iterator[DictionaryFit]:
        views = self.views(seed)
        for view in views.views.values():
            if view.name == NEURONS:
                continue
            read, test = view.read(views.read), view.read(views.test)
            x = read_neurons(view.model, views.test).before[0].flatten(0, 1)
            error = (x - test.flatten(0, 1) @ view.directions - view.bias).square().sum()
            yield DictionaryFit(
                name=f"{view.name}, seed {seed}",
                latents=test.shape[-1],
                active=round(float((test > 0).sum(-1).float().mean()), 4),
                often=int(find_often(read[:, :-1], test[:, :-1]).sum()),
                explained=round(1 - float(error / (x - x.mean(0)).square().sum()), 5),
            )

    def _measure_universality(self, seed: int, progress: PieceProgress) -> SeedUniversality:
        other = (seed + 1) % self.config.model.seeds
        names = list(dict.fromkeys([NEURONS, say_size(self.config.sizes[0]), self.focus]))
        names += [say_random(self.config.focus), SHUFFLED]
        return measure_universality(self.views(seed), self.views(other), names, progress)
