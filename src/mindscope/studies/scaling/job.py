"""The study as a job: the organism, or any model that is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindscope.jobs import Reporter, RunFolder, load_model
from mindscope.models import LoadOptions
from mindscope.studies.common.study import StudyReport, StudySpec

if TYPE_CHECKING:
    from mindscope.studies.common import PieceBench
    from mindscope.studies.scaling.results import LawSeed
    from mindscope.studies.scaling.seeds import SeedBench


class ScalingSpec(StudySpec, LoadOptions):
    """What `scaling` is to do."""

    name = "scaling"
    model: str | None = None
    """Look at this model (a Hugging Face name or folder, or a GGUF file) instead of the organism. Laws and
    neighbourhoods are measured; names and clamped latents are left out, as they need known truth."""

    def run_path(self) -> Path:
        """`runs/scaling-quick`, `-paper`, or `-model` where a model is given."""
        return super().run_path() if self.model is None else Path("runs/scaling-model")


def study_scaling(spec: ScalingSpec, *, run: RunFolder, reporter: Reporter) -> StudyReport:
    """Follow dictionaries as they grow: their loss, the names they find (Templeton et al. 2024)."""
    if spec.model is not None:
        return _study_model(spec, run, reporter)
    from mindscope.studies.common import PieceBench
    from mindscope.studies.scaling.claims import list_claims
    from mindscope.studies.scaling.config import PRESETS
    from mindscope.studies.scaling.report import build_page
    from mindscope.studies.scaling.results import ClampSeed, NameSeed, NearSeed, ScalingStudy
    from mindscope.studies.scaling.seeds import SeedBench, middle_address, piece_costs

    config = PRESETS[spec.preset]
    seeds = range(spec.seed, spec.seed + config.seeds)
    model = load_model("organism", spec.config(LoadOptions, dtype="float32"))
    address = middle_address(model, config.layer)
    settings = {"preset": spec.preset, **config.model_dump(mode="json")}
    with run.open(
        kind="study-scaling", config=settings, reporter=reporter, model=model, seed=spec.seed
    ) as opened:
        bench = PieceBench(opened, reporter, "scaling", piece_costs(config, seeds, plain=False))
        laws, names, near, clamped = [], [], [], []
        for seed in seeds:  # one after the other, so that the activations of one lie in memory
            own = SeedBench(model, address, config, opened, seed)
            laws.append(_measure_laws(bench, own))
            names.append(bench.measure(f"names/{seed}", NameSeed, lambda _, own=own: own.measure_names()))
            near.append(bench.measure(f"near/{seed}", NearSeed, lambda _, own=own: own.measure_near()))
            clamped.append(bench.measure(f"clamped/{seed}", ClampSeed, own.measure_clamped))
        study = ScalingStudy(
            model=model.name,
            fingerprint=model.fingerprint,
            address=address,
            laws=tuple(laws),
            names=tuple(names),
            near=tuple(near),
            clamped=tuple(clamped),
        )
        study.save(run.path / "scaling.json")
        claims, facts = list_claims(study), _facts(spec, model, address, settings)
        return bench.conclude(spec, claims, build_page(study, claims, facts, _parts(bench, seeds)))


def _study_model(spec: ScalingSpec, run: RunFolder, reporter: Reporter) -> StudyReport:
    """The parts that need no known truth, of any model, on text that comes with every Python."""
    from mindscope.core import digest_text
    from mindscope.studies.common import PieceBench, read_paragraphs
    from mindscope.studies.scaling.claims import list_model_claims
    from mindscope.studies.scaling.config import MODEL_PRESETS
    from mindscope.studies.scaling.report import build_model_page
    from mindscope.studies.scaling.results import ModelScalingStudy, NearSeed
    from mindscope.studies.scaling.seeds import PlainSeedBench, middle_address, paragraph_rows, piece_costs

    config = MODEL_PRESETS[spec.preset]
    seeds = range(spec.seed, spec.seed + config.seeds)
    paragraphs = read_paragraphs()
    model = load_model(str(spec.model), spec.config(LoadOptions, dtype="float32"))
    address = middle_address(model, config.layer)
    settings = {
        "preset": spec.preset,
        **config.model_dump(mode="json"),
        "text": digest_text("\n\n".join(paragraphs)),
    }
    with run.open(
        kind="study-scaling-model", config=settings, reporter=reporter, model=model, seed=spec.seed
    ) as opened:
        bench = PieceBench(opened, reporter, "scaling", piece_costs(config, seeds, plain=True))
        laws, near = [], []
        for seed in seeds:
            rows = paragraph_rows(model, paragraphs, seed)
            own = PlainSeedBench(model, address, config, opened, seed, rows)
            laws.append(_measure_laws(bench, own))
            near.append(bench.measure(f"near/{seed}", NearSeed, lambda _, own=own: own.measure_near()))
        study = ModelScalingStudy(
            model=model.name,
            fingerprint=model.fingerprint,
            address=address,
            laws=tuple(laws),
            near=tuple(near),
        )
        study.save(run.path / "scaling-model.json")
        claims, facts = list_model_claims(study), _facts(spec, model, address, settings)
        return bench.conclude(spec, claims, build_model_page(study, claims, facts, _parts(bench, seeds)))


def _measure_laws(bench: PieceBench, own: SeedBench) -> LawSeed:
    from mindscope.studies.scaling.laws import list_runs
    from mindscope.studies.scaling.results import LawRun, LawSeed
    from mindscope.studies.scaling.seeds import law_piece

    runs = tuple(
        bench.measure(
            law_piece(own.seed, latents, steps),
            LawRun,
            lambda _, latents=latents, steps=steps: own.measure_law_run(latents, steps),
        )
        for latents, steps in list_runs(own.config)
    )
    larger = bench.measure(f"larger/{own.seed}", LawSeed, lambda _: own.measure_larger())
    return LawSeed(runs=runs, larger=larger.larger)


def _facts(spec: ScalingSpec, model: Any, address: str, settings: dict[str, Any]) -> dict[str, Any]:
    own = {"model": model.name, "fingerprint": model.fingerprint, "read": address, "seed": spec.seed}
    return own | settings


def _parts(bench: PieceBench, seeds: Sequence[int]) -> dict[str, float]:
    """The time by part and seed."""
    seconds = bench.seconds()
    return {
        f"{part}, seed {seed}": sum(
            value
            for piece, value in seconds.items()
            if piece.startswith((f"{part}/{seed}/",)) or piece == f"{part}/{seed}"
        )
        for seed in seeds
        for part in ("laws", "larger", "names", "near", "clamped")
        if any(piece.split("/")[0] == part for piece in seconds)
    }
