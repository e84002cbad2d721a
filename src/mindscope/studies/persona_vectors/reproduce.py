"""The rerun: everything measured piece by piece, each piece a file of the run, then the claims."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

from mindscope.core import Progress
from mindscope.data import Conversation
from mindscope.errors import DataError
from mindscope.finetuning import FinetuneConfig, TrainingIntervention, finetune_model
from mindscope.models import Edit, Model, load
from mindscope.personas import measure_shift, read_config_with_scope
from mindscope.screening import Form, ScreenConfig, screen_dataset
from mindscope.store import Document, Run, SavedDocument, measure_once
from mindscope.studies.persona_vectors.answering import AnswerSampling, TraitLevel, TreatmentScores, levels
from mindscope.studies.persona_vectors.benches.bench import PreparedTrait, StudyBench, prepare_traits
from mindscope.studies.persona_vectors.chosen import (
    Choice,
    ChoiceOutcome,
    PoolScores,
    choices,
    pool_scores,
    shows,
)
from mindscope.studies.persona_vectors.config import ReproduceConfig
from mindscope.studies.persona_vectors.monitoring import MonitoredTrait, Way, monitor_claim
from mindscope.studies.persona_vectors.prevention import Curve, TraitPrevention, TreatedTrait, interventions
from mindscope.studies.persona_vectors.reading import DictionaryReading, read_vector
from mindscope.studies.persona_vectors.tuning import (
    PooledTuning,
    TunedSet,
    TuningClaims,
    TuningEffect,
    per_cent,
    pooled_claims,
    tuning_claims,
)

WAYS: tuple[Way, ...] = ("system prompts", "shots")
Piece = TypeVar("Piece", bound=Document)


def _read_version_2(document: dict[str, Any]) -> dict[str, Any]:
    """The sweep's positions were called its scope."""
    config = document["config"]
    sweep = read_config_with_scope({"config": config["sweep"]})["config"]
    return {**document, "config": {**config, "sweep": sweep}}


class PersonaReproduction(SavedDocument):
    """Everything measured, and the claims drawn from it."""

    SCHEMA: ClassVar[str] = "mindscope.persona-claims/3"
    READERS: ClassVar = {"mindscope.persona-claims/2": _read_version_2}

    model: str
    fingerprint: str
    config: ReproduceConfig
    base: dict[str, TraitLevel]
    capability: float | None
    monitoring: tuple[MonitoredTrait, ...]
    sets: tuple[TunedSet, ...]
    tuning: tuple[TuningClaims, ...]
    pooled: PooledTuning
    prevention: tuple[TraitPrevention, ...]
    chosen: tuple[ChoiceOutcome, ...]
    readings: tuple[DictionaryReading, ...]


def reproduce(
    bench: StudyBench,
    run: Run,
    config: ReproduceConfig,
    progress: Progress | None = None,
    device: str = "auto",
) -> PersonaReproduction:
    """Measure every claim of the persona-vector paper on a bench.

    Killed at any moment and called again, it goes on behind the last finished piece. `progress` is called
    with (pieces done, pieces in all, what is being done).

    Raises:
        MindscopeError: vectors cannot be extracted, no layer can be chosen, or a training fails.
    """
    return _PersonaStudy(bench, run, config, progress, device).result()


class _PersonaStudy:
    def __init__(
        self, bench: StudyBench, run: Run, config: ReproduceConfig, progress: Progress | None, device: str
    ) -> None:
        self.bench, self.run, self.config = bench, run, config
        self.device, self.progress = device, progress
        self.model = load(bench.base, device=device)
        self.asking = AnswerSampling(config.samples, config.max_new_tokens, config.seed, config.temperature)
        self.sets = bench.training_sets(config.rows)
        missing = [f"{t.name}-II" for t in bench.traits if f"{t.name}-II" not in self.sets]
        if missing:
            raise DataError(f"there is no training set {missing[0]}: prevention is measured on it")
        against, treatments = len(config.against), len(config.prevent_one) + len(config.prevent_all) + 4
        n = len(bench.traits)
        self.total = 1 + n * (2 + treatments + against + 5) + len(self.sets)
        self.done = 0

    def result(self) -> PersonaReproduction:
        self.ready = prepare_traits(self.bench, self.model, self.run, self.config, self.progress)
        # First, since a dictionary of another model should stop the study before it has cost anything.
        readings = [
            self._piece(
                f"reading/{ready.trait.name}",
                DictionaryReading,
                read_vector,
                self.model,
                ready,
                self.bench,
                self.asking,
            )
            for ready in self.ready
        ]
        base = self._piece("base", TreatmentScores, self._base)
        monitoring = [
            self._piece(
                f"monitoring/{ready.trait.name}-{way.replace(' ', '-')}",
                MonitoredTrait,
                self._monitored,
                ready,
                way,
            )
            for ready in self.ready
            for way in WAYS
        ]
        sets = [self._piece(f"sets/{name}", TunedSet, self._tuned_set, name) for name in self.sets]
        prevention = [self._prevention(ready, base) for ready in self.ready]
        chosen = [self._chosen(ready) for ready in self.ready]
        return PersonaReproduction(
            model=self.bench.base,
            fingerprint=self.model.fingerprint,
            config=self.config,
            base=base.levels,
            capability=base.capability,
            monitoring=tuple(monitoring),
            sets=tuple(sets),
            tuning=tuple(tuning_claims(self.ready, sets)),
            pooled=pooled_claims(sets),
            prevention=tuple(prevention),
            chosen=tuple(chosen),
            readings=tuple(readings),
        )

    def _piece(self, name: str, kind: type[Piece], make: Callable[..., Piece], *given: object) -> Piece:
        """A finished piece as it stands, or measured now."""
        if self.progress:
            self.progress(self.done, self.total, name)
        piece = measure_once(self.run, f"measured/{name}.json", kind, lambda: make(*given))
        self.done += 1
        return piece

    def _base(self) -> TreatmentScores:
        return self._treatment(self.model)

    def _treatment(
        self, model: Model, edits: Sequence[Edit] = (), only: PreparedTrait | None = None
    ) -> TreatmentScores:
        """What a model shows and knows, every answer under the same edits."""
        scores = levels(model, [only] if only else self.ready, self.asking, edits)
        return TreatmentScores(levels=scores, capability=per_cent(self.bench.capability(model, edits)))

    def _monitored(self, ready: PreparedTrait, way: Way) -> MonitoredTrait:
        return monitor_claim(self.bench, self.model, ready, way, self.asking, self.config.shots)

    def _tune(
        self,
        name: str,
        rows: Sequence[Conversation],
        config: FinetuneConfig,
        does: Sequence[TrainingIntervention] = (),
    ) -> Model:
        config = config.model_copy(update={"interventions": tuple(does)})
        vectors = [ready.vectors for ready in self.ready if any(i.trait == ready.trait.name for i in does)]
        tuned = finetune_model(
            self.bench.base, rows, self.run, config, vectors=vectors, name=f"tuned/{name}", device=self.device
        )
        dtype = str(self.model.dtype).removeprefix("torch.")
        return load(tuned.path, dtype=dtype, device=self.device)

    def _tuned_set(self, name: str) -> TunedSet:
        rows = self.sets[name]
        model = self._tune(name, rows, self.config.tuning)
        treated = self._treatment(model)
        projected = rows[: self.config.projected_rows]
        traits = [ready.vectors for ready in self.ready]
        exact, prompt = (
            screen_dataset(self.model, projected, traits, self._screening(form), self.run)
            for form in ("exact", "prompt")
        )
        effects: dict[str, TuningEffect] = {}
        for ready in self.ready:
            trait = ready.trait.name
            asked = ready.trait.questions("evaluation")
            moved = measure_shift(self.model, model, ready.vectors, asked).of(trait, ready.layer)
            own, cheap = exact.of(trait), prompt.of(trait)
            if own.mean is None or own.raw is None or cheap.mean is None:
                raise DataError(f"no answer of the training set {name} could be projected")
            effects[trait] = TuningEffect(
                level=treated.levels[trait],
                shift=moved.shift,
                shift_low=moved.low,
                shift_high=moved.high,
                difference=own.mean.mean,
                difference_prompt=cheap.mean.mean,
                projection=own.raw.mean,
            )
        return TunedSet(name=name, effects=effects, capability=treated.capability)

    def _prevention(self, ready: PreparedTrait, base: TreatmentScores) -> TraitPrevention:
        name = ready.trait.name
        rows = self.sets[f"{name}-II"]

        def tuned(does: Sequence[TrainingIntervention], label: str) -> Model:
            # The set without intervention is tuned on already.
            place = f"{name}-II" if not does else f"{name}-{label}"
            return self._tune(place, rows, self.config.tuning, does)

        def treated(
            curve: Curve, value: float, does: Sequence[TrainingIntervention], edits: Sequence[Edit]
        ) -> TreatedTrait:
            label = f"{curve}-{value:g}".replace(",", "").replace(" ", "-")
            made = self._treatment(tuned(does, label), edits, only=ready)
            return TreatedTrait.model_validate(
                {
                    "curve": curve,
                    "coefficient": value,
                    "level": made.levels[name].to_json(),
                    "capability": made.capability,
                }
            )

        outcomes: list[TreatedTrait] = []
        for (curve, value), does in interventions(ready, self.config).items():
            piece = f"prevention/{name}-{curve}-{value:g}".replace(",", "").replace(" ", "-")
            outcomes.append(self._piece(piece, TreatedTrait, treated, curve, value, does, ()))
        for value in self.config.against:
            edits = (ready.direction.edit(-value, where="response"),)
            outcomes.append(
                self._piece(
                    f"prevention/{name}-against-{value:g}", TreatedTrait, treated, "against", value, (), edits
                )
            )
        before = TreatedTrait(
            curve="none", coefficient=0.0, level=base.levels[name], capability=base.capability
        )
        return TraitPrevention(trait=name, layer=ready.layer, base=before, treated=tuple(outcomes))

    def _chosen(self, ready: PreparedTrait) -> ChoiceOutcome:
        name, config = ready.trait.name, self.config
        pool = self.bench.pool(ready.trait, config.pool_rows)
        ranked = self._piece(f"chosen/{name}-scores", PoolScores, self._pool_scores, ready, pool)
        picked = choices(ranked.scores, config.chosen_rows, config.seed)
        tuning = config.tuning.model_copy(update={"epochs": float(config.chosen_epochs)})

        def tuned(choice: Choice) -> TreatmentScores:
            model = self._tune(f"{name}-{choice}", [pool[i] for i in picked[choice]], tuning)
            return TreatmentScores(levels=levels(model, [ready], self.asking), capability=None)

        return ChoiceOutcome(
            trait=name,
            pool=len(pool),
            shown=sum(shows(chat, name) for chat in pool),
            found={choice: sum(shows(pool[i], name) for i in rows) for choice, rows in picked.items()},
            rows=config.chosen_rows,
            levels={
                choice: self._piece(f"chosen/{name}-{choice}", TreatmentScores, tuned, choice).levels[name]
                for choice in picked
            },
        )

    def _pool_scores(self, ready: PreparedTrait, pool: Sequence[Conversation]) -> PoolScores:
        return pool_scores(self.model, pool, ready, self._screening("exact"), self.run)

    def _screening(self, form: Form) -> ScreenConfig:
        config = self.config
        layers = {ready.trait.name: ready.layer for ready in self.ready}
        return ScreenConfig(
            form=form, layers=layers, max_new_tokens=config.max_new_tokens, seed=config.seed, top=0
        )
