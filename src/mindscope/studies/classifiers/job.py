"""The study as a job."""

from __future__ import annotations

from mindscope.jobs import Reporter, RunFolder, load_model
from mindscope.studies.classifiers.config import ClassifiersConfig
from mindscope.studies.common.study import StudyReport, StudySpec


class ClassifiersSpec(StudySpec):
    """What `classifiers` is to do."""

    name = "classifiers"


def study_classifiers(spec: ClassifiersSpec, *, run: RunFolder, reporter: Reporter) -> StudyReport:
    """Compare features with raw activations as classifiers of harmful requests (Bricken et al. 2024)."""
    from mindscope.dictionaries import Dictionary
    from mindscope.organism import dictionary_path
    from mindscope.personas import default_layer
    from mindscope.studies.classifiers.claims import list_claims
    from mindscope.studies.classifiers.config import PRESETS
    from mindscope.studies.classifiers.lengths import measure_lengths
    from mindscope.studies.classifiers.reading import TextReader
    from mindscope.studies.classifiers.report import build_page
    from mindscope.studies.classifiers.results import (
        ClassifiersStudy,
        LengthScores,
        PlantedCue,
        ShiftScores,
    )
    from mindscope.studies.classifiers.shifts import measure_planted, measure_shifts
    from mindscope.studies.classifiers.texts import TextDraw
    from mindscope.studies.common import PieceBench

    config, seed = PRESETS[spec.preset], spec.seed
    model = load_model("organism")
    layer = default_layer(model.n_layers)
    dictionary = Dictionary.load(dictionary_path(f"sae.{layer}"), model)
    settings = {"preset": spec.preset, **config.model_dump(mode="json"), "dictionary": dictionary.digest()}
    with run.open(
        kind="study-classifiers", config=settings, reporter=reporter, model=model, seed=seed
    ) as opened:
        bench = PieceBench(opened, reporter, "classifiers", _costs(config))
        numbers = range(config.seeds)
        draws = [TextDraw(seed + number, config.turns) for number in numbers]

        def reader() -> TextReader:
            # a new one for each piece: what is ordinary must not hang on which pieces are there already
            return TextReader(model, dictionary, config.window)

        study = ClassifiersStudy(
            model=model.name,
            fingerprint=model.fingerprint,
            layer=layer,
            false_alarms=config.false_alarms,
            read_back=config.read_back,
            shifts=bench.measure_each(
                "shifts", numbers, ShiftScores, lambda i, p: measure_shifts(reader(), draws[i], config, p)
            ),
            planted=bench.measure_each(
                "planted", numbers, PlantedCue, lambda i, p: measure_planted(reader(), draws[i], config, p)
            ),
            lengths=bench.measure_each(
                "lengths", numbers, LengthScores, lambda i, p: measure_lengths(reader(), draws[i], config, p)
            ),
        )
        study.save(run.path / "classifiers.json")
        claims, seconds = list_claims(study), bench.seconds()
        facts = {"model": model.name, "fingerprint": model.fingerprint, "layer": layer, "seed": seed}
        return bench.conclude(spec, claims, build_page(study, claims, facts | settings, seconds))


def _costs(config: ClassifiersConfig) -> dict[str, float]:
    """Rows that are read or fitted on; a long one is as many rows as it has turns."""
    train, test, long = config.train_rows, config.test_rows, config.turns * config.test_rows
    one = {
        "shifts": 14 * train + 5 * test + long,
        "planted": 6 * train + 4 * test,
        "lengths": 2 * train + 2 * test + long,
    }
    return {f"{part}/{draw}": float(cost) for part, cost in one.items() for draw in range(config.seeds)}
