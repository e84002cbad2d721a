"""How good the dictionaries are: evaluated, what their latents stand for, and what these do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

from mindscope import organism
from mindscope.core import Progress
from mindscope.dictionaries import Dictionary, DictionaryBank, DictionaryEvaluation, EvaluateConfig, evaluate
from mindscope.explain import ConceptTable, LabelledText, concept_table, pooled_features
from mindscope.jobs.feature import list_concepts, split_concept_texts
from mindscope.models import Model
from mindscope.organism import WorldName
from mindscope.probes import Concept, SingleFeature
from mindscope.store import Run, measure_once
from mindscope.studies.organism_dictionaries.baselines import measure_baselines
from mindscope.studies.organism_dictionaries.behaviours import candidates, effects
from mindscope.studies.organism_dictionaries.modalities import known_things, measure_modalities
from mindscope.studies.organism_dictionaries.results import ModalityRates, SwitchEffect

HELD_OUT = 1
"""The seed of the rows that are measured; training drew its rows with seed 0."""

BASELINES_FILE = "concepts/baselines.json"
SAMPLE = 1500
"""How many texts say how strong a latent usually is."""


@dataclass(frozen=True)
class DictionaryMeasurements:
    """All that was measured.

    Attributes:
        evaluations: of every dictionary.
        tables: the best single latent of each concept, by the name of an SAE.
        effects: what the latents that stand for concepts do.
        baselines: what stands for each concept without training, by the baseline's name.
        modalities: of the second organism, how many things have a latent for their picture and their words.
    """

    evaluations: list[DictionaryEvaluation]
    tables: dict[str, ConceptTable]
    effects: list[SwitchEffect]
    baselines: dict[str, dict[str, SingleFeature]] = field(default_factory=dict)
    modalities: list[ModalityRates] = field(default_factory=list)

    def best(self) -> dict[str, str]:
        """For each concept the SAE whose latent stands for it best on the half it was chosen on."""
        names = dict.fromkeys(name for table in self.tables.values() for name in table.best)
        return {
            name: max(
                (key for key in self.tables if name in self.tables[key].best),
                key=lambda key: self.tables[key].best[name].train_f1,
            )
            for name in names
        }

    def reaching(self, least: float = 0.9) -> list[str]:
        """Concepts whose chosen latent has at least this F1 on the other half."""
        return [name for name, key in self.best().items() if self.tables[key].best[name].f1 >= least]

    def found(self, least: float = 0.9) -> list[str]:
        """Those of them that no baseline reaches: the latent's F1 is above that of all of them."""
        return [
            name
            for name in self.reaching(least)
            if all(
                self.tables[self.best()[name]].best[name].f1 > baseline[name].f1
                for baseline in self.baselines.values()
                if name in baseline
            )
        ]


def measure(
    model: Model,
    dictionaries: Mapping[str, Dictionary],
    run: Run,
    *,
    rows: int = 400,
    scale: float = 1.0,
    switching: bool = True,
    progress: Progress | None = None,
) -> DictionaryMeasurements:
    """Evaluate all dictionaries, and of the SAEs say what single latents stand for and, if asked, do.

    Losses are of the tokens of answers, which is all that the organism has learnt to predict.
    """
    world: WorldName = "second" if organism.is_second(model) else "first"
    texts = list(islice(organism.corpus_rows(model, seed=HELD_OUT, world=world), rows))
    config = EvaluateConfig(predictions="response")
    # A crosscoder of layers reads what lies behind its first writes, and cannot be spliced into a pass.
    parts = {name: dictionary for name, dictionary in dictionaries.items() if dictionary.kind != "crosscoder"}
    evaluations = evaluate(model, parts, texts, run, config, progress=progress)
    concepts = list_concepts(model)
    halves = split_concept_texts(model, scale=scale)
    tables: dict[str, ConceptTable] = {}
    usual: dict[tuple[str, str], float] = {}
    saes = {name: dictionary for name, dictionary in dictionaries.items() if dictionary.kind == "sae"}
    for name, dictionary in saes.items():
        features, piece = DictionaryBank(dictionary), f"concepts/{name}.json"
        if not run.has(piece):
            table = concept_table(model, features, concepts, *halves, progress=progress)
            run.save_json(piece, _kept(table) | {"usual": _strengths(model, features, table, halves[0])})
        document = run.load_json(piece)
        tables[name] = _table(concepts, document)
        usual |= {(name, concept): value for concept, value in document["usual"].items()}
    if not run.has(BASELINES_FILE):
        # What is no SAE has no table to hold against them.
        measured = measure_baselines(model, saes, concepts, *halves) if saes else {}
        run.save_json(BASELINES_FILE, {name: _singles(best) for name, best in measured.items()})
    baselines = {
        name: {concept: SingleFeature(**single) for concept, single in best.items()}
        for name, best in run.load_json(BASELINES_FILE).items()
    }
    if world == "second":
        # Few texts (`scale`) show no thing often enough in every way.
        kinds = ("sae", "crosscoder") if any(known_things(halves)) else ()
        streams = {name: own for name, own in dictionaries.items() if own.kind in kinds}
        rates = [
            measure_once(
                run,
                f"modalities/{name}.json",
                ModalityRates,
                partial(measure_modalities, model, name, own, halves),
            )
            for name, own in streams.items()
        ]
        return DictionaryMeasurements(evaluations, tables, [], baselines, rates)
    tried = candidates(tables, usual) if switching else []
    done = effects(model, saes, concepts, tried, run, progress=progress) if tried else []
    return DictionaryMeasurements(evaluations, tables, done, baselines)


def _kept(table: ConceptTable) -> dict[str, Any]:
    return {
        "best": _singles(table.best),
        "skipped": table.skipped,
        "rows": table.rows,
    }


def _singles(best: Mapping[str, SingleFeature]) -> dict[str, Any]:
    return {name: single.to_json() for name, single in best.items()}


def _table(concepts: Sequence[Concept], document: Mapping[str, Any]) -> ConceptTable:
    best = {name: SingleFeature(**single) for name, single in document["best"].items()}
    chosen, tested = document["rows"]
    return ConceptTable(
        concepts=tuple(concepts), best=best, skipped=tuple(document["skipped"]), rows=(chosen, tested)
    )


def _strengths(
    model: Model, features: DictionaryBank, table: ConceptTable, texts: list[LabelledText]
) -> dict[str, float]:
    """Of each concept's latent the median of its highest activations in texts that show the concept.

    0 where it was active in none of them.
    """
    texts = texts[:SAMPLE]
    pooled = pooled_features(model, features, [text.row for text in texts])["all", ""]
    strengths = {}
    for name, single in table.best.items():
        rows = [index for index, text in enumerate(texts) if name in text.concepts]
        active = pooled[rows, single.feature]
        strengths[name] = float(active[active > 0].median()) if bool((active > 0).any()) else 0.0
    return strengths
