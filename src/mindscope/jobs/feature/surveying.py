"""Surveying: a corpus is read once, and it is kept when each feature is active."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import ClassVar

from pydantic import Field

from mindscope.explain import SurveyConfig
from mindscope.jobs.dictionary import CorpusSpec, TwoEnginesSpec, borrowed_of, read_rows_of
from mindscope.jobs.feature.inputs import FeatureSpec
from mindscope.jobs.job import Reporter, RunFolder
from mindscope.jobs.planning import JobPlan, PlanSizes, announce_plan, dictionary_sizes, mean_length
from mindscope.store import BorrowingDocument

LOOK = 64
"""Rows whose length tells that of all."""
DENSE = 0.1
"""Features that are active on a larger share of the tokens are called dense, as in the literature."""


class SurveySpec(TwoEnginesSpec, FeatureSpec, SurveyConfig, CorpusSpec):
    """What `survey` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("model", "dictionary", "corpus")
    options: ClassVar[Mapping[str, tuple[str, ...]]] = {"skip": ("--skip-tokens",)}

    rows: int = Field(default=10_000, ge=1)
    """The most rows of the corpus that are read."""


class SurveyReport(BorrowingDocument):
    """How many features there are, and how many of them are never or very often active.

    Attributes:
        tokens: that counted.
        outliers: that did not, because of their very large activations.
        estimate: what it was expected to take; None where the survey was there, went on, or is read by
            copies of the model.
    """

    features: int
    rows: int
    tokens: int
    outliers: int
    dead: int
    dense: int
    run: str
    estimate: JobPlan | None = None


def survey(spec: SurveySpec, *, run: RunFolder, reporter: Reporter) -> SurveyReport:
    """Read a corpus once, and keep when each feature is active; all other commands look at this."""
    from mindscope.explain import survey_features
    from mindscope.models import Model

    models = [model.with_template(clock=run.started) for model in spec.load_engines()]
    model, bank = models[0], spec.load_bank(*models)
    settings = {
        "dictionary": str(spec.dictionary_path()),
        "corpus": spec.corpus_name,
        "rows": spec.rows,
        "context": spec.context,
    }
    with run.open(kind="survey", config=settings, reporter=reporter, model=model, seed=spec.seed) as opened:
        estimate = None
        if not opened.resumed and isinstance(model, Model):  # no machine but this one is measured
            first = list(islice(read_rows_of(model, spec)(0), min(LOOK, spec.rows)))
            sizes = PlanSizes(rows=spec.rows, context=mean_length(first), **dictionary_sizes(bank.dictionary))
            estimate = announce_plan(reporter, "feature survey", model, sizes)
        result = survey_features(
            models,
            bank,
            islice(read_rows_of(model, spec)(0), spec.rows),
            opened,
            spec.config(SurveyConfig),
            total=spec.rows,
            progress=reporter.progress,
        )
        report = SurveyReport(
            features=result.n_features,
            rows=result.metadata["rows"],
            tokens=result.metadata["tokens"],
            outliers=result.metadata["outliers"],
            dead=int(result.statistics.dead.sum()),
            dense=int((result.statistics.density > DENSE).sum()),
            run=str(run.path),
            borrowed=borrowed_of(models),
            estimate=estimate,
        )
        opened.finish(**report.model_dump(mode="json", exclude={"run", "estimate"}))
    return report
