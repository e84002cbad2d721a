"""The study as a job."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

from pydantic import model_validator

from mindscope.errors import DataError
from mindscope.jobs import Reporter, RunFolder, load_model
from mindscope.jobs.inputs import InputKind
from mindscope.models import LoadOptions
from mindscope.studies.common.study import StudyReport, StudySpec
from mindscope.studies.persona_space.config import PersonaSpaceConfig


class PersonaSpaceSpec(StudySpec, LoadOptions):
    """What `persona-space` is to do."""

    name = "persona-space"
    inputs: ClassVar[Mapping[str, InputKind]] = {"judge_encoder": "folder"}

    model: str | None = None
    """Look at forty short traits of this model (a Hugging Face name or folder, or a GGUF file); by default
    the organism's own voices are looked at, with all that its dictionaries tell."""
    judge_encoder: Path | None = None
    """The folder of a sentence encoder that the judges of a loaded model's traits see answers through; by
    default they see n-grams of characters."""

    @model_validator(mode="after")
    def _require_a_model_for_judges(self) -> Self:
        if self.judge_encoder is not None and self.model is None:
            raise DataError("--judge-encoder is for the judges of a loaded model's traits: give --model too")
        return self

    def run_path(self) -> Path:
        """`runs/persona-space-quick`, `-paper`, or `-traits` where a model is given."""
        return super().run_path() if self.model is None else Path("runs/persona-space-traits")


def study_persona_space(spec: PersonaSpaceSpec, *, run: RunFolder, reporter: Reporter) -> StudyReport:
    """Find how many dimensions hold a model's voices, and which features carry them."""
    if spec.model is not None:
        return _study_traits(spec, run, reporter)
    from mindscope.dictionaries import Dictionary
    from mindscope.organism import dictionary_path
    from mindscope.studies.common import PieceBench
    from mindscope.studies.persona_space.carriers import measure_carriers
    from mindscope.studies.persona_space.claims import list_claims
    from mindscope.studies.persona_space.config import PRESETS
    from mindscope.studies.persona_space.geometry import measure_geometry
    from mindscope.studies.persona_space.readers import measure_readers
    from mindscope.studies.persona_space.report import build_page
    from mindscope.studies.persona_space.results import (
        BlendedVoices,
        PersonaCarriers,
        PersonaGeometry,
        PersonaSpaceStudy,
        ReaderScores,
        SteeredVoices,
        VectorPairs,
        VoiceAnswers,
    )
    from mindscope.studies.persona_space.steering import measure_blends, measure_pairs, measure_steered
    from mindscope.studies.persona_space.voices import (
        N_CHARACTERS,
        VOICES,
        VoiceBench,
        read_voices,
        tell_voices,
    )

    config, seed = PRESETS[spec.preset], spec.seed
    model = load_model("organism")
    voices = VoiceBench(model, config, seed)
    dictionary = Dictionary.load(dictionary_path(f"sae.{voices.layer}"), model)
    settings = {"preset": spec.preset, **config.model_dump(mode="json"), "dictionary": dictionary.digest()}
    with run.open(
        kind="study-persona-space", config=settings, reporter=reporter, model=model, seed=seed
    ) as opened:
        bench = PieceBench(opened, reporter, "persona space", _costs(config))
        draws = range(config.seeds)
        files = [f"activations/{draw}.safetensors" for draw in draws]
        told = bench.measure_each(
            "told", draws, VoiceAnswers, lambda i, p: tell_voices(voices, i, opened, files[i], p)
        )
        reads = [read_voices(opened, file) for file in files]
        study = PersonaSpaceStudy(
            model=model.name,
            fingerprint=model.fingerprint,
            layer=voices.layer,
            voices=VOICES,
            n_characters=N_CHARACTERS,
            feature_counts=config.features,
            carriers=config.carriers,
            told=told,
            geometry=bench.measure("geometry", PersonaGeometry, lambda _: measure_geometry(reads, seed)),
            readers=bench.measure_each(
                "readers",
                draws,
                ReaderScores,
                lambda i, _: measure_readers(reads, i, config.reader_width, seed),
            ),
            steered=bench.measure_each(
                "steered", draws, SteeredVoices, lambda i, p: measure_steered(voices, i, reads[i], p)
            ),
            blends=bench.measure_each(
                "blends", draws, BlendedVoices, lambda i, p: measure_blends(voices, i, reads[i], p)
            ),
            pairs=bench.measure_each(
                "pairs", draws, VectorPairs, lambda i, p: measure_pairs(voices, i, reads[i], p)
            ),
            persona_carriers=bench.measure_each(
                "carriers",
                draws,
                PersonaCarriers,
                lambda i, p: measure_carriers(voices, i, reads[i], dictionary, p),
            ),
        )
        study.save(run.path / "persona-space.json")
        claims, seconds = list_claims(study), bench.seconds()
        facts = {"model": model.name, "fingerprint": model.fingerprint, "layer": study.layer, "seed": seed}
        return bench.conclude(spec, claims, build_page(study, claims, facts | settings, seconds))


def _study_traits(spec: PersonaSpaceSpec, run: RunFolder, reporter: Reporter) -> StudyReport:
    """The part that needs no exact judge and no dictionary, of any chat model."""
    from mindscope.judges.contrast import SentenceEncoder
    from mindscope.studies.common import PieceBench
    from mindscope.studies.persona_space.claims import list_real_claims
    from mindscope.studies.persona_space.config import REAL_PRESETS
    from mindscope.studies.persona_space.geometry import measure_geometry
    from mindscope.studies.persona_space.real_traits import (
        REAL_VOICES,
        TraitBench,
        judge_traits,
        tell_traits,
    )
    from mindscope.studies.persona_space.report import build_real_page
    from mindscope.studies.persona_space.results import (
        JudgedTraits,
        PersonaGeometry,
        RealTraitsStudy,
        TraitAnswers,
    )
    from mindscope.studies.persona_space.voices import read_voices

    spec.require_inputs()
    config, seed = REAL_PRESETS[spec.preset], spec.seed
    encoder = None if spec.judge_encoder is None else SentenceEncoder(str(spec.judge_encoder))
    model = load_model(str(spec.model), spec.config(LoadOptions))
    seen_as = "n-grams" if encoder is None else encoder.name
    settings = {"preset": spec.preset, **config.model_dump(mode="json"), "judges see": seen_as}
    with run.open(
        kind="study-persona-traits", config=settings, reporter=reporter, model=model, seed=seed
    ) as opened:
        traits, draws = TraitBench(model, config, seed), range(config.seeds)
        files = [f"activations/{draw}.safetensors" for draw in draws]
        costs = {f"told/{draw}": 1.0 for draw in draws} | {f"judged/{draw}": 0.1 for draw in draws}
        bench = PieceBench(opened, reporter, "traits", {**costs, "geometry": 0.01})
        told = bench.measure_each(
            "told", draws, TraitAnswers, lambda i, p: tell_traits(traits, i, opened, files[i], p)
        )
        reads = [read_voices(opened, file) for file in files]
        study = RealTraitsStudy(
            model=model.name,
            fingerprint=model.fingerprint,
            layer=traits.layer,
            voices=REAL_VOICES,
            geometry=bench.measure("geometry", PersonaGeometry, lambda _: measure_geometry(reads, seed)),
            judged=bench.measure_each(
                "judged", draws, JudgedTraits, lambda i, _: judge_traits(traits, told, encoder, i)
            ),
        )
        study.save(run.path / "persona-traits.json")
        claims, seconds = list_real_claims(study), bench.seconds()
        facts = {"model": model.name, "fingerprint": model.fingerprint, "layer": study.layer, "seed": seed}
        return bench.conclude(spec, claims, build_real_page(study, claims, facts | settings, seconds))


def _costs(config: PersonaSpaceConfig) -> dict[str, float]:
    """Answers, and for the readers as many as take the same time."""
    one = {
        "told": 16 * config.questions,
        "readers": 5 * config.questions,
        "steered": (17 + config.n_random) * config.asked,
        "blends": 21 * config.asked,
        "pairs": 91 * config.pair_questions + 50 * config.facts,
        "carriers": (29 + 21 * len(config.features)) * config.asked,
    }
    costs = {f"{part}/{draw}": float(cost) for part, cost in one.items() for draw in range(config.seeds)}
    return {**costs, "geometry": 1.0 * config.questions}
