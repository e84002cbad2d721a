"""The case book as a job."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from pydantic import Field, model_validator

from mindscope.core import Seed
from mindscope.jobs import ORGANISM, SECOND_ORGANISM, Reporter, RunFolder, load_model
from mindscope.jobs.circuit import ReplacementSpec, find_replacement, find_streams
from mindscope.organism import WorldName
from mindscope.store import Document
from mindscope.studies.llm_biology.config import QUICK, BookConfig, order_families
from mindscope.studies.llm_biology.documents import CaseResult


class CaseBookSpec(ReplacementSpec):
    """What `cases` is to do."""

    options: ClassVar = {"families": ("--family",)}

    families: tuple[str, ...] = Field(default=(), json_schema_extra={"metavar": "FAMILY"})
    """Work through this family of cases; all by default. May be repeated."""
    world: WorldName = "first"
    """Which organism: first, the bundled one; second, whose world forces the mechanisms."""
    streams: str | None = Field(default=None, json_schema_extra={"metavar": "SAES"})
    """Exchange latents of SAEs of the residual stream in place of the dictionary's features: a folder or a
    run with one for each block, or `organism` or `second-organism` for an organism's own. Graphs stay the
    dictionary's."""
    held: int | None = Field(default=None, ge=8, le=1000)
    """Held-out prompts that each rate is taken of: more make its interval narrower. 50 by default, 8 with
    --quick."""
    quick: bool = False
    """Spend few prompts: to see that it runs, not to judge by."""
    device: str = "auto"
    """Where the model runs: cpu, cuda, or auto."""
    seed: Seed = 0
    """The seed of the prompts that are drawn."""

    @model_validator(mode="after")
    def _require_families(self) -> CaseBookSpec:
        order_families(self.families, self.world)
        return self

    def run_path(self) -> Path:
        """`runs/cases`, or `runs/second-cases`."""
        return Path("runs/cases" if self.world == "first" else "runs/second-cases")

    def book_config(self) -> BookConfig:
        """How many prompts to spend."""
        config = replace(QUICK if self.quick else BookConfig(), seed=self.seed)
        return config if self.held is None else replace(config, held=self.held)


class CaseBookReport(Document):
    """The families, and where the page is."""

    report: str
    cases: tuple[CaseResult, ...]


def work_through(spec: CaseBookSpec, *, run: RunFolder, reporter: Reporter) -> CaseBookReport:
    """Work through the case book: hypothesis, graph, groups, intervention and verdict, family by family."""
    from mindscope.studies.llm_biology.book import settings_of, write_book
    from mindscope.studies.llm_biology.report import book_report, book_rows

    config = spec.book_config()
    model = load_model(
        ORGANISM if spec.world == "first" else SECOND_ORGANISM, dtype="float32", device=spec.device
    )
    replacement, name = find_replacement(spec.dictionary, model)
    streams = None if spec.streams is None else find_streams(spec.streams, model)
    settings = settings_of(
        spec.families, config, replacement.digest(), spec.world, streams and streams.digest()
    )
    with run.open(
        kind="case-book",
        config=settings,
        reporter=reporter,
        model=model,
        seed=spec.seed,
    ) as opened:
        cases = write_book(
            model, replacement, opened, spec.families, config, reporter.progress, spec.world, streams
        )
        facts = {"model": model.name, "fingerprint": model.fingerprint, "replacement": name, **settings}
        if streams is not None:
            facts["exchanged"] = f"latents of the residual streams' SAEs ({spec.streams})"
        page = book_report(cases, run.path, facts).write(run.path / "report.html")
        opened.finish(report=str(page), verdicts=book_rows(cases))
    return CaseBookReport(report=str(page), cases=tuple(cases))
