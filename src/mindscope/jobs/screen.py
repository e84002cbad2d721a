"""Screening: which samples of a data set would move a model along persona vectors, and a filtered copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator

from mindscope.errors import DataError
from mindscope.jobs.estimates import LONG, QuickSpec, WorkEstimate, announce, announce_kept, estimate_answers
from mindscope.jobs.inputs import InputKind
from mindscope.jobs.job import Reporter, RunFolder
from mindscope.jobs.persona.persona_run import find_choice
from mindscope.jobs.resolve import find_vectors, test_bed_note
from mindscope.jobs.specs import BorrowingModelSpec, DataSpec, EngineSpec, block_of
from mindscope.screening import Form, SampleScore, ScreenConfig, ScreenedData, TraitScores
from mindscope.store import Document

if TYPE_CHECKING:
    from mindscope.data import ConversationSource
    from mindscope.engines import Engine
    from mindscope.personas import PersonaVectors
    from mindscope.screening import RankedSample, ScreeningResult
    from mindscope.store import Run

EXCERPT = 60
"""Characters of an answer that a summary shows."""


class ScreenSpec(EngineSpec, BorrowingModelSpec, DataSpec, QuickSpec, ScreenConfig):
    """What `persona screen` is to do."""

    quick_sizes: ClassVar[Mapping[str, Any]] = {"form": "sample", "subsample": 50, "max_new_tokens": 32}

    arguments: ClassVar[tuple[str, ...]] = ("model", "data")
    inputs: ClassVar[Mapping[str, InputKind]] = {"vectors": "vectors"}
    options: ClassVar[Mapping[str, tuple[str, ...]]] = {"layers": ("--layer",)}

    form: Form | None = None  # type: ignore[assignment]
    """Compare an answer with the model's own answer to the same prompt (exact), with the prompt's last token
    (prompt), or with the model's own answers to a random subsample of the prompts (sample); by default exact
    where that takes ten minutes at most on this machine, else sample."""
    data: Path
    """A file or folder of conversations, or a data set's name on the hub (docs/data.md has the forms)."""
    vectors: tuple[Path, ...]
    """Persona vectors to screen with: a run folder or a file. May be repeated."""
    layers: tuple[str, ...] = ()  # type: ignore[assignment]
    """The layer of the vectors, such as 12, or of one trait's, such as evil=12; by default the choice of the
    run's sweep, or 0.55 of the depth. May be repeated."""
    published_index: bool = False
    """Read layers as published files count, where 0 is the embeddings: 20 is the output of block 19."""
    reference: Path | None = None
    """Ordinary conversations that calibrate the thresholds; without them the data is ranked by itself."""
    to: Path | None = None
    """Write a copy of the data without the rows that --drop-above or --keep-below leave out; it must not
    exist."""
    drop_above: float | None = Field(default=None, ge=0, le=100)
    """Leave out samples above this percentile on any trait."""
    keep_below: float | None = None
    """Keep only samples with a dP below this on all traits, in the units of the activations."""

    @field_validator("layers")
    @classmethod
    def _check_layers(cls, layers: tuple[str, ...]) -> tuple[str, ...]:
        for text in layers:
            trait, equals, number = text.rpartition("=")
            if not number.isdecimal() or bool(equals) != bool(trait):
                raise ValueError(f"{text}: write a layer such as 12, or the layer of a trait such as evil=12")
        return layers

    def run_path(self) -> Path:
        """`runs/screen-DATA`."""
        return Path("runs") / f"screen-{self.data_file(self.data).name}"

    def choose_layers(self, swept: Mapping[str, int]) -> int | dict[str, int] | None:
        """The layer of all traits or of each; where nothing is asked for it is the choice of a sweep."""
        layers = dict(swept)
        for text in self.layers:
            trait, _, number = text.rpartition("=")
            if not trait:
                return self._block(number)
            layers[trait] = self._block(number)
        return layers or None

    def _block(self, number: str) -> int:
        block = block_of(int(number), self.published_index)
        assert block is not None  # a number was given
        return block


class SampleExcerpt(SampleScore):
    """A sample with the beginning of its answer."""

    excerpt: str


class TraitReport(TraitScores):
    """A trait, with the samples that score highest on it."""

    ranked: tuple[SampleExcerpt, ...]


class FilteredCopy(Document):
    """A copy of the data without some of its rows."""

    file: str
    rows: int
    of: int
    """Samples of the data."""


class ScreeningReport(ScreenedData):
    """The scores by trait, and where everything is."""

    traits: tuple[TraitReport, ...]
    form_reason: str
    """Why the own answers were drawn in this form."""
    estimate: WorkEstimate | None = None
    """What drawing them was expected to take; None where none are drawn, or all are there already."""
    calibration: Literal["reference", "within"]
    """Whether the thresholds come from ordinary samples, or from the data itself."""
    run: str
    table: str
    """Every sample's scores, as Parquet."""
    report: str
    filtered: FilteredCopy | None
    notes: tuple[str, ...] = ()
    """What was not read of the data's rows, or was read otherwise than it stands there."""


def screen(spec: ScreenSpec, *, run: RunFolder, reporter: Reporter) -> ScreeningReport:
    """Score every sample by how far it lies from the model's own answers along persona vectors."""
    _check_copy(spec)
    refuse = spec.on_error == "refuse"
    data = spec.open_data(spec.data, reporter, refuse=refuse)
    reference = spec.reference and spec.open_data(spec.reference, reporter, refuse=refuse, main=False)

    from mindscope.screening import screen_dataset  # takes seconds, which bad data need not cost

    model = spec.load_engine()
    vectors, swept = _find_vectors(spec, model)
    opened = run.open(
        kind="screen",
        config={"dtype": str(model.dtype).removeprefix("torch.")},
        model=model,
        reporter=reporter,
    )
    with opened:
        config = spec.config(ScreenConfig, layers=spec.choose_layers(swept), form="exact")
        sources = [data] if reference is None else [data, reference]
        config, reason, estimate, answered = _choose_form(spec, model, sources, config, opened, reporter)
        result = screen_dataset(
            model,
            data,
            vectors,
            config,
            opened,
            reporter.progress,
            reference=reference,
            note=" ".join(note for note in (test_bed_note(model), spec.quick_note) if note),
        )
        folder = run.path / result.folder
        report = ScreeningReport(
            **{name: getattr(result, name) for name in ScreenedData.model_fields},
            traits=tuple(
                TraitReport(
                    **{name: getattr(trait, name) for name in TraitScores.model_fields},
                    ranked=tuple(_excerpt(sample) for sample in trait.ranked),
                )
                for trait in result.traits
            ),
            calibration=result.calibration,
            run=str(run.path),
            form_reason=reason,
            estimate=estimate,
            table=str(folder / "scores.parquet"),
            report=str(folder / "report.html"),
            filtered=_write_copy(spec, opened, result),
            notes=data.notes(),
        )
        if answered is not None:
            opened.save_json(answered, config.form)
        opened.finish(**report.model_dump(mode="json", exclude={"estimate"}))
    return report


def _choose_form(
    spec: ScreenSpec,
    model: Engine,
    sources: Sequence[ConversationSource],
    config: ScreenConfig,
    run: Run,
    reporter: Reporter,
) -> tuple[ScreenConfig, str, WorkEstimate | None, str | None]:
    """The form that is asked for, else exact where it can be afforded; with why, what it takes, and the piece
    of the run that says that it was through with it.

    A choice is kept, so that a run that goes on draws what it began with.
    """
    from mindscope.screening import DataLook, plan_own_answers

    asked = spec.smaller.get("form", spec.form)
    kept = f"form/{sources[0].digest[:16]}.json"
    reason = "as asked for" if asked is not None else ""
    if asked is None and run.has(kept):
        asked, reason = run.load_json(kept)
    if asked == "prompt":
        reporter.say(f"form prompt, {reason}: nothing is generated")
        return config.model_copy(update={"form": "prompt"}), reason, None, None
    looks = [DataLook.at(model, source, config) for source in sources]
    if not looks[0].rows:  # what is wrong with the data is said when it is read
        return config.model_copy(update={"form": asked or "exact"}), reason, None, None
    limit = config.max_new_tokens or looks[0].answer_tokens
    sized = config.model_copy(update={"max_new_tokens": limit})
    turns = sum(look.turns for look in looks)
    sampled = sum(min(look.turns, config.subsample) for look in looks)
    of_data = "" if config.max_new_tokens else ", as long as nine tenths of the data's answers"
    drawn = f"own answers of at most {limit} tokens{of_data}"
    if asked is not None:
        sized = sized.model_copy(update={"form": asked})
        answered = _name_answers(model, sources, sized, run)
        if run.has(answered):
            reporter.say(f"form {asked}, {reason}: {drawn}")
            announce_kept(reporter)
            return sized, reason, None, answered
    plan = plan_own_answers(looks[0], sized)
    exact = estimate_answers(model, plan, answers=turns * config.samples)
    if asked is None:
        affordable = exact.seconds is None or exact.seconds <= LONG
        asked = "exact" if affordable else "sample"
        reason = "the paper's, and affordable here" if affordable else f"exact would be {exact}"
        run.save_json(kept, [asked, reason])
    share = 1.0 if asked == "exact" else sampled / max(1, turns)
    estimate = exact.scaled(share)
    reporter.say(f"form {asked}, {reason}: {drawn}")
    announce(reporter, estimate, spec.less() + "; --form prompt generates nothing")
    sized = sized.model_copy(update={"form": asked})
    return sized, reason, estimate, _name_answers(model, sources, sized, run)


def _name_answers(
    model: Engine, sources: Sequence[ConversationSource], config: ScreenConfig, run: Run
) -> str:
    """The piece that is there once all own answers are: named by what decides them, whatever the vectors."""
    from mindscope.models import describe_prompts
    from mindscope.store import digest

    setup = {
        "model": model.fingerprint,
        "dtype": str(model.dtype),
        "template": describe_prompts(model.with_template(clock=run.started)),
        "data": [source.digest for source in sources],
        "config": config.deciding("form", "subsample", "window", "on_error"),
        "samples": config.samples,
        "shard_rows": config.shard_rows,
    }
    return f"answered/{digest(setup)}.json"


def _check_copy(spec: ScreenSpec) -> None:
    """Refuse a filtered copy that cannot be written, before anything is read."""
    from mindscope.screening import check_criteria, check_target

    if spec.to is not None:
        check_target(spec.data_file(spec.data), spec.to)
        check_criteria(spec.drop_above, spec.keep_below)
    elif spec.drop_above is not None or spec.keep_below is not None:
        raise DataError("say where the filtered copy goes: --to FILE")


def _find_vectors(spec: ScreenSpec, model: Engine) -> tuple[list[PersonaVectors], dict[str, int]]:
    """Vectors, and the layers that sweeps in the same runs chose."""
    by_path = [(path, vectors) for path in spec.vectors for vectors in find_vectors(path, model)]
    choices = {vectors.trait: find_choice(path, vectors) for path, vectors in by_path}
    layers = {trait: choice.layer for trait, choice in choices.items() if choice is not None}
    return [vectors for _, vectors in by_path], layers


def _write_copy(spec: ScreenSpec, run: Run, result: ScreeningResult) -> FilteredCopy | None:
    from mindscope.screening import write_filtered

    if spec.to is None:
        return None
    data = spec.data_file(spec.data)
    rows = write_filtered(run, result, data, spec.to, drop_above=spec.drop_above, keep_below=spec.keep_below)
    return FilteredCopy(file=str(spec.to), rows=rows, of=result.samples)


def _excerpt(sample: RankedSample) -> SampleExcerpt:
    scores = {name: getattr(sample, name) for name in SampleScore.model_fields}
    return SampleExcerpt(**scores, excerpt=" ".join("".join(sample.tokens).split())[:EXCERPT])
