"""The study as a job."""

from __future__ import annotations

from mindscope.jobs import Reporter, RunFolder
from mindscope.studies.common import StudyReport, StudySpec


class CrosscodersSpec(StudySpec):
    """What `crosscoders` is to do."""

    name = "crosscoders"


def study_crosscoders(spec: CrosscodersSpec, *, run: RunFolder, reporter: Reporter) -> StudyReport:
    """Train crosscoders over layers and between two models (Lindsey et al. 2024, 2025)."""
    from mindscope.errors import MindscopeError
    from mindscope.finetuning import missing_libraries
    from mindscope.models import load
    from mindscope.studies.common import PieceBench
    from mindscope.studies.crosscoders.claims import list_claims
    from mindscope.studies.crosscoders.config import PRESETS
    from mindscope.studies.crosscoders.layers import measure_layers
    from mindscope.studies.crosscoders.pairs import measure_pair
    from mindscope.studies.crosscoders.report import build_page
    from mindscope.studies.crosscoders.results import CrosscodersStudy, LayerSeed, PairSeed

    if missing := missing_libraries():
        raise MindscopeError(f"the pairs are tuned with {', '.join(missing)}: pip install 'mindscope[train]'")
    config = PRESETS[spec.preset]
    seeds = range(spec.seed, spec.seed + config.seeds)
    settings = {"preset": spec.preset, **config.model_dump(mode="json")}
    model = load("organism", dtype="float32")
    with run.open(
        kind="study-crosscoders", config=settings, reporter=reporter, model=model, seed=spec.seed
    ) as opened:
        costs = {f"{part}/{seed}": cost for part, cost in (("layers", 2.0), ("pairs", 1.0)) for seed in seeds}
        bench = PieceBench(opened, reporter, "crosscoders", costs)
        study = CrosscodersStudy(
            model=model.name,
            fingerprint=model.fingerprint,
            layers=bench.measure_each(
                "layers", seeds, LayerSeed, lambda seed, p: measure_layers(model, opened, config, seed, p)
            ),
            pairs=bench.measure_each(
                "pairs", seeds, PairSeed, lambda seed, p: measure_pair(model, opened, config, seed, p)
            ),
        )
        study.save(run.path / "crosscoders.json")
        claims = list_claims(study)
        facts = {"model": model.name, "fingerprint": model.fingerprint, "seed": spec.seed, **settings}
        return bench.conclude(spec, claims, build_page(study, claims, facts, bench.seconds()))
