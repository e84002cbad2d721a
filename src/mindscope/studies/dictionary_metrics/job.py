"""The study as a job."""

from __future__ import annotations

from mindscope.jobs import Reporter, RunFolder
from mindscope.studies.common.study import StudyReport, StudySpec


class DictionaryMetricsSpec(StudySpec):
    """What `dictionaries` is to do."""

    name = "dictionaries"


def study_dictionaries(spec: DictionaryMetricsSpec, *, run: RunFolder, reporter: Reporter) -> StudyReport:
    """See which metrics of dictionaries agree with what was recovered, and beyond which noise."""
    from mindscope.studies.common import PieceBench
    from mindscope.studies.dictionary_metrics.atoms import AtomWorld
    from mindscope.studies.dictionary_metrics.claims import list_claims
    from mindscope.studies.dictionary_metrics.config import PRESETS
    from mindscope.studies.dictionary_metrics.measure import join_trainings, measure_training
    from mindscope.studies.dictionary_metrics.report import build_page
    from mindscope.studies.dictionary_metrics.results import AtomWorldScores, DictionaryMetricsStudy

    config, seed = PRESETS[spec.preset], spec.seed
    settings = {"preset": spec.preset, **config.model_dump(mode="json")}
    with run.open(kind="study-dictionaries", config=settings, reporter=reporter, seed=seed) as opened:
        costs = {
            f"worlds/{number}-{reseed}": 1.0
            for number in range(config.worlds)
            for reseed in range(config.reseeds)
        }
        bench = PieceBench(opened, reporter, "dictionaries", costs)
        study = DictionaryMetricsStudy(
            atoms=config.atoms.atoms,
            width=config.atoms.width,
            draws=config.draws,
            worlds=tuple(
                join_trainings(
                    [
                        bench.measure(
                            f"worlds/{number}-{reseed}",
                            AtomWorldScores,
                            lambda p, number=number, reseed=reseed: measure_training(
                                AtomWorld(config.atoms, seed + number), number, reseed, config, opened, p
                            ),
                        )
                        for reseed in range(config.reseeds)
                    ]
                )
                for number in range(config.worlds)
            ),
        )
        study.save(run.path / "dictionaries.json")
        claims, seconds = list_claims(study), bench.seconds()
        return bench.conclude(spec, claims, build_page(study, claims, {"seed": seed, **settings}, seconds))
