"""The study as a job."""

from __future__ import annotations

from mindscope.jobs import SECOND_ORGANISM, Reporter, RunFolder
from mindscope.studies.common.study import StudyReport, StudySpec


class SharedSpaceSpec(StudySpec):
    """What `shared-space` is to do."""

    name = "shared-space"

    model: str = SECOND_ORGANISM
    """The bundled second organism, or the folder of one of another size, or of the run that trains one."""


def study_shared_space(spec: SharedSpaceSpec, *, run: RunFolder, reporter: Reporter) -> StudyReport:
    """Find features that languages and pictures share (Lindsey et al. 2025; Templeton et al. 2024)."""
    from mindscope import organism
    from mindscope.dictionaries import DictionaryConfig, ModelSource, TrainConfig, train
    from mindscope.jobs.organism import load_second
    from mindscope.studies.common import PieceBench
    from mindscope.studies.shared_space.claims import list_claims
    from mindscope.studies.shared_space.config import PRESETS
    from mindscope.studies.shared_space.overlap import draw_sentences, measure_overlap
    from mindscope.studies.shared_space.report import build_page
    from mindscope.studies.shared_space.results import (
        LayerOverlap,
        PictureHeats,
        SharedSpaceStudy,
        SharedThings,
    )
    from mindscope.studies.shared_space.things import draw_heats, measure_things

    config, seed = PRESETS[spec.preset], spec.seed
    model = load_second(spec.model, dtype="float32")
    layers = range(model.n_layers)
    planned = TrainConfig(
        dictionaries=tuple(
            DictionaryConfig(
                name=f"sae.{layer}",
                reads=(f"resid_post.{layer}",),
                n_latents=config.latents,
                k=config.k,
                learning_rate=8e-4,
                dead_tokens=max(1, config.steps * config.batch_tokens // 8),
            )
            for layer in layers
        ),
        steps=config.steps,
        batch_tokens=config.batch_tokens,
        buffer_batches=32,
    ).model_copy(update={"seed": seed})
    settings = {"preset": spec.preset, **config.model_dump(mode="json")}
    with run.open(
        kind="study-shared-space", config=settings, reporter=reporter, model=model, seed=seed
    ) as opened:
        source = ModelSource(
            [model],
            tuple(f"resid_post.{layer}" for layer in layers),
            lambda start: organism.corpus_rows(model, start, seed, "second"),
        )
        trained = train(source, opened, planned, model.device, reporter.progress)
        dictionaries = {layer: trained[f"sae.{layer}"].bind(model) for layer in layers}
        bench = PieceBench(opened, reporter, "shared space", {"overlap": 1.0, "things": 3.0, "pictures": 0.2})
        things = bench.measure(
            "things", SharedThings, lambda p: measure_things(model, dictionaries, config, seed, p)
        )
        study = SharedSpaceStudy(
            model=model.name,
            fingerprint=model.fingerprint,
            n_layers=model.n_layers,
            overlap=bench.measure(
                "overlap",
                LayerOverlap,
                lambda p: measure_overlap(model, dictionaries, draw_sentences(config.sentences, seed), p),
            ),
            things=things,
            pictures=bench.measure(
                "pictures", PictureHeats, lambda _: draw_heats(model, dictionaries, things, config, seed)
            ),
        )
        study.save(run.path / "shared-space.json")
        claims = list_claims(study, config)
        facts = {"model": model.name, "fingerprint": model.fingerprint, "seed": seed, **settings}
        return bench.conclude(spec, claims, build_page(study, config, claims, facts, bench.seconds()))
