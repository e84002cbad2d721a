"""The study as a job."""

from __future__ import annotations

from mindscope.jobs import Reporter, RunFolder
from mindscope.studies.common import StudyReport, StudySpec


class MonosemanticitySpec(StudySpec):
    """What `monosemanticity` is to do."""

    name = "monosemanticity"


def study_monosemanticity(spec: MonosemanticitySpec, *, run: RunFolder, reporter: Reporter) -> StudyReport:
    """Take the MLP of one-layer transformers apart into features (Bricken et al. 2023)."""
    from mindscope.models import load
    from mindscope.studies.common import PieceBench, StudyText
    from mindscope.studies.monosemanticity.claims import list_claims
    from mindscope.studies.monosemanticity.config import PRESETS
    from mindscope.studies.monosemanticity.measure import MonosemanticityBench, list_costs
    from mindscope.studies.monosemanticity.report import build_page

    config, seed = PRESETS[spec.preset], spec.seed
    settings = {"preset": spec.preset, **config.model_dump(mode="json")}
    with run.open(kind="study-monosemanticity", config=settings, reporter=reporter, seed=seed) as opened:
        pieces = PieceBench(opened, reporter, "monosemanticity", list_costs(config))
        text = StudyText(config.vocabulary, config.corpus_tokens, seed)
        study = MonosemanticityBench(opened, load("organism"), text, config, seed).measure_all(pieces)
        study.save(run.path / "monosemanticity.json")
        claims = list_claims(study, config)
        facts = {"seed": seed, **settings}
        page = build_page(study, config, claims, facts, pieces.seconds())
        return pieces.conclude(spec, claims, page)
