"""The study as a job."""

from __future__ import annotations

from mindscope.jobs import Reporter, RunFolder
from mindscope.studies.common.study import StudyReport, StudySpec
from mindscope.studies.double_descent.config import DoubleDescentConfig


class DoubleDescentSpec(StudySpec):
    """What `double-descent` is to do."""

    name = "double-descent"


def study_double_descent(spec: DoubleDescentSpec, *, run: RunFolder, reporter: Reporter) -> StudyReport:
    """See when toy models store samples in place of features (Henighan et al. 2023)."""
    from mindscope.studies.common import PieceBench
    from mindscope.studies.double_descent.claims import list_claims
    from mindscope.studies.double_descent.config import PRESETS
    from mindscope.studies.double_descent.descent import measure_repeated, measure_size
    from mindscope.studies.double_descent.planted import measure_planted
    from mindscope.studies.double_descent.report import build_page
    from mindscope.studies.double_descent.results import (
        DoubleDescentStudy,
        PlantedRows,
        RepeatedSamples,
        SampleSize,
    )

    config, seed = PRESETS[spec.preset], spec.seed
    descent = config.descent
    settings = {"preset": spec.preset, **config.model_dump(mode="json")}
    with run.open(kind="study-double-descent", config=settings, reporter=reporter, seed=seed) as opened:
        bench = PieceBench(opened, reporter, "double descent", _costs(config))

        def measure(samples: int, hidden: int) -> SampleSize:
            return bench.measure(
                f"sizes/{samples}-{hidden}",
                SampleSize,
                lambda p: measure_size(descent, samples, hidden, seed, p),
            )

        largest = descent.samples[-1]
        study = DoubleDescentStudy(
            features=descent.features,
            density=descent.density,
            planted=bench.measure("planted", PlantedRows, lambda p: measure_planted(config.planted, seed, p)),
            sizes=tuple(measure(samples, descent.hidden) for samples in descent.samples),
            plane=tuple(measure(t, m) for m in descent.plane_hidden for t in descent.plane_samples),
            repeated=bench.measure_each(
                "repeated",
                descent.repeats,
                RepeatedSamples,
                lambda repeats, p: measure_repeated(descent, largest, repeats, seed, p),
            ),
        )
        study.save(run.path / "double-descent.json")
        claims, seconds = list_claims(study), bench.seconds()
        return bench.conclude(spec, claims, build_page(study, claims, {"seed": seed, **settings}, seconds))


def _costs(config: DoubleDescentConfig) -> dict[str, float]:
    """Numbers that pass through models at every step, and a little for the step itself."""
    descent, planted = config.descent, config.planted
    models = descent.seeds * descent.starts

    def cost(samples: int) -> float:
        return descent.steps * (models * descent.features * samples + 50_000.0)

    sizes = {(samples, descent.hidden) for samples in descent.samples}
    sizes |= {(samples, hidden) for samples in descent.plane_samples for hidden in descent.plane_hidden}
    tokens = planted.model.seeds * planted.batch * planted.model.context
    return {
        "planted": planted.steps * tokens * 200.0 * planted.model.layers,
        **{f"sizes/{samples}-{hidden}": cost(samples) for samples, hidden in sizes},
        **{f"repeated/{repeats}": cost(descent.samples[-1]) for repeats in descent.repeats},
    }
