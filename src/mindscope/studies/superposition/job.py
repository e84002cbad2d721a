"""The study as a job."""

from __future__ import annotations

from mindscope.jobs import Reporter, RunFolder
from mindscope.studies.common import StudyReport, StudySpec
from mindscope.studies.superposition.config import SuperpositionConfig


class SuperpositionSpec(StudySpec):
    """What `superposition` is to do."""

    name = "superposition"


def study_superposition(spec: SuperpositionSpec, *, run: RunFolder, reporter: Reporter) -> StudyReport:
    """Train toy models that keep more features than they have dimensions (Elhage et al. 2022)."""
    from mindscope.studies.common import PieceBench
    from mindscope.studies.superposition.claims import list_claims
    from mindscope.studies.superposition.computing import measure_computing
    from mindscope.studies.superposition.config import PRESETS
    from mindscope.studies.superposition.geometry import measure_band
    from mindscope.studies.superposition.measure import measure_correlated, measure_panels, measure_polytopes
    from mindscope.studies.superposition.phase import SIZES, measure_phase
    from mindscope.studies.superposition.report import build_page
    from mindscope.studies.superposition.results import (
        ComputedFeatures,
        CorrelatedFeatures,
        GeometryBand,
        PhaseDiagrams,
        PhasePanel,
        PolytopeFits,
        PolytopeSavings,
        SuperpositionPanels,
        SuperpositionStudy,
        UniformGeometry,
    )
    from mindscope.studies.superposition.savings import measure_savings

    config, seed = PRESETS[spec.preset], spec.seed
    settings = {"preset": spec.preset, **config.model_dump(mode="json")}
    with run.open(kind="study-superposition", config=settings, reporter=reporter, seed=seed) as opened:
        bench = PieceBench(opened, reporter, "superposition", _costs(config))
        study = SuperpositionStudy(
            panels=bench.measure("panels", SuperpositionPanels, lambda p: measure_panels(config, seed, p)),
            polytopes=bench.measure("polytopes", PolytopeFits, lambda p: measure_polytopes(config, seed, p)),
            correlated=bench.measure(
                "correlated", CorrelatedFeatures, lambda p: measure_correlated(config, seed, p)
            ),
            savings=bench.measure(
                "savings", PolytopeSavings, lambda p: measure_savings(config.saving_samples, seed, p)
            ),
            phases=PhaseDiagrams(
                panels=tuple(
                    bench.measure(
                        f"phases/{n}-{m}",
                        PhasePanel,
                        lambda p, n=n, m=m: measure_phase(config.phase, n, m, seed, p),
                    )
                    for n, m in SIZES
                )
            ),
            computing=bench.measure(
                "computing", ComputedFeatures, lambda p: measure_computing(config, seed, p)
            ),
            geometry=UniformGeometry(
                features=config.geometry.features,
                hidden=config.geometry.hidden,
                bands=tuple(
                    bench.measure(
                        f"geometry/{density:g}",
                        GeometryBand,
                        lambda p, density=density: measure_band(config.geometry, density, seed, p),
                    )
                    for density in config.geometry.densities
                ),
            ),
        )
        study.save(run.path / "superposition.json")
        claims, seconds = list_claims(study), bench.seconds()
        facts = {"preset": spec.preset, "seed": seed, **settings}
        return bench.conclude(spec, claims, build_page(study, claims, facts, seconds))


def _costs(config: SuperpositionConfig) -> dict[str, float]:
    """Numbers that pass through models: models x features x samples x steps, times what one costs beside
    others.
    """
    from mindscope.studies.superposition import savings
    from mindscope.studies.superposition.computing import FEATURES
    from mindscope.studies.superposition.config import DENSITIES
    from mindscope.studies.superposition.measure import PANEL_FEATURES, POLYTOPES, SETS
    from mindscope.studies.superposition.phase import SIZES

    small = config.small.steps * config.small.samples
    phase, band, computing = config.phase, config.geometry, config.computing
    cells = phase.seeds * phase.starts * phase.cells**2 * phase.training.steps * phase.training.samples
    computed = config.computing_seeds * len(config.computing_densities) * computing.steps * computing.samples
    corners = sum(len(cosines) for cosines, _ in savings.FRAMES.values())
    many = band.seeds * band.features * sum(own.steps * own.samples for own in band.trainings)
    return {
        "panels": 2.0 * small * config.seeds * len(DENSITIES) * PANEL_FEATURES,
        "polytopes": float(small * config.seeds * sum(features for _, features, *_ in POLYTOPES)),
        "correlated": 3.0 * small * config.set_seeds * config.starts * sum(features for _, features in SETS),
        "computing": 4.0 * computed * FEATURES,
        "savings": float(savings.EVALUATIONS * config.saving_samples * len(savings.DENSITIES) * corners),
        **{f"phases/{n}-{m}": float(cells * n) for n, m in SIZES},
        **{f"geometry/{density:g}": 2.0 * many for density in band.densities},
    }
