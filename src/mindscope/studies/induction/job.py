"""The study as a job: small models trained here, or the heads of a model that is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindscope.jobs import Reporter, RunFolder, load_model
from mindscope.models import LoadOptions, WholeModelOptions
from mindscope.studies.common.study import StudyReport, StudySpec
from mindscope.studies.induction.results import HeadCost

if TYPE_CHECKING:
    from mindscope.models import Model


class InductionSpec(StudySpec, WholeModelOptions):
    """What `induction` is to do."""

    name = "induction"
    model: str | None = None
    """Scan this model's heads (a Hugging Face name or folder, a GGUF file, or `organism`); by default small
    models are trained and watched."""

    def run_path(self) -> Path:
        """`runs/induction-quick`, `-paper`, or `-scan` where a model is given."""
        return super().run_path() if self.model is None else Path("runs/induction-scan")


class InductionReport(StudyReport):
    """What was claimed and measured; of a model that was loaded also its heads."""

    heads: tuple[HeadCost, ...] = ()
    """All heads of a loaded model, the best at matching prefixes first; empty where models were trained."""


def study_induction(spec: InductionSpec, *, run: RunFolder, reporter: Reporter) -> InductionReport:
    """Watch induction heads form in small models, or find those of a model (Olsson et al. 2022)."""
    if spec.model is not None:
        model = load_model(spec.model, spec.config(LoadOptions, dtype="float32"))
        return _scan(spec, model, run, reporter)
    from mindscope.studies.common import PieceBench, StudyText
    from mindscope.studies.induction.claims import list_claims
    from mindscope.studies.induction.config import PRESETS
    from mindscope.studies.induction.report import build_training_page
    from mindscope.studies.induction.results import InductionStudy, TrainingCurves
    from mindscope.studies.induction.train import train_kind

    config, seed = PRESETS[spec.preset], spec.seed
    settings = {"preset": spec.preset, **config.model_dump(mode="json")}
    with run.open(kind="study-induction", config=settings, reporter=reporter, seed=seed) as opened:
        text = StudyText(config.vocabulary, config.corpus_tokens, seed)
        names = {kind: f"kinds/{kind.name.replace(', ', '-').replace(' ', '-')}" for kind in config.models}
        costs = {names[kind]: float(kind.layers * kind.seeds * (1 + kind.mlp)) for kind in config.models}
        bench = PieceBench(opened, reporter, "induction", costs)
        study = InductionStudy(
            context=config.models[0].context,
            kinds=tuple(
                bench.measure(
                    names[kind],
                    TrainingCurves,
                    lambda p, kind=kind: train_kind(kind, config, text, seed, p),
                )
                for kind in config.models
            ),
        )
        study.save(run.path / "induction.json")
        claims, seconds = list_claims(study), bench.seconds()
        facts: dict[str, Any] = {"seed": seed, **settings}
        report = bench.conclude(spec, claims, build_training_page(study, claims, facts, seconds))
        return InductionReport.model_validate(report.to_json())


def _scan(spec: InductionSpec, model: Model, run: RunFolder, reporter: Reporter) -> InductionReport:
    from mindscope.studies.common import PieceBench
    from mindscope.studies.induction.claims import list_scan_claims
    from mindscope.studies.induction.report import build_scan_page
    from mindscope.studies.induction.results import RowCosts, RowScores
    from mindscope.studies.induction.scan import ABLATED, DRAWS, GROUP, SINGLE, HeadScanner

    scanner = HeadScanner(model, spec.seed)
    settings = {"group": GROUP, "draws": DRAWS, "single": SINGLE, "sequences": len(scanner.rows)}
    with run.open(
        kind="head-scan", config=settings, reporter=reporter, model=model, seed=spec.seed
    ) as opened:
        n_rows, n_ablated = len(scanner.rows), len(scanner.ablated)
        costs = {f"scores/{row}": 1.0 for row in range(n_rows)}
        # a row passes once for every ablation, and its logits are needed
        costs |= {f"costs/{row}": 0.8 * (2 + SINGLE + DRAWS) for row in range(n_ablated)}
        bench = PieceBench(opened, reporter, "heads", costs)
        scored = bench.measure_each("scores", range(n_rows), RowScores, lambda row, _: scanner.score_row(row))
        heads = scanner.rank_heads(scored)
        scan = scanner.conclude(
            heads,
            bench.measure_each(
                "costs", range(n_ablated), RowCosts, lambda row, _: scanner.silence_heads(row, heads)
            ),
        )
        scan.save(run.path / "heads.json")
        claims, seconds = list_scan_claims(scan), bench.seconds()
        facts = {"model": model.name, "fingerprint": model.fingerprint, "seed": spec.seed, **settings}
        pieces = {
            name: sum(value for piece, value in seconds.items() if piece.startswith(name))
            for name in ("scores", "costs")
        }
        page = build_scan_page(scan, claims, facts | {"sequences taken out": ABLATED}, pieces)
        report = bench.conclude(spec, claims, page)
        return InductionReport.model_validate(report.to_json() | {"heads": scan.heads})
