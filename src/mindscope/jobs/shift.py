"""Shift: how far tuned models moved away from their base along persona vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from mindscope.core import Index, format_duration
from mindscope.errors import DataError, MindscopeError
from mindscope.jobs.estimates import QuickSpec, WorkEstimate, announce, announce_kept, estimate_answers
from mindscope.jobs.inputs import InputKind
from mindscope.jobs.job import Reporter, RunFolder
from mindscope.jobs.persona.persona_run import default_layer, find_choice
from mindscope.jobs.resolve import find_trait, find_vectors, load_model, test_bed_note
from mindscope.jobs.specs import BorrowingSpec, DataSpec, TemplateSpec, block_of, blocks_of
from mindscope.models import LoadOptions
from mindscope.personas import ShiftConfig, ShiftResult

if TYPE_CHECKING:
    from mindscope.models import Model
    from mindscope.personas import PersonaVectors, Prompt
    from mindscope.store import Run

AFFORDABLE = 300.0
"""Seconds of answering, by all models together, up to which answers are read though nobody asks."""
UNREAD = (
    "only the last token of each prompt was read, not what the models then answer; a model may answer "
    "otherwise though this token hardly moved"
)
RESULT = "shift.json"
READS_ANSWERS = "shift/reads_answers.json"
"""Whether a run reads answers where it is left to choose: what it chose first."""


class ShiftSpec(BorrowingSpec, TemplateSpec, DataSpec, QuickSpec, ShiftConfig, LoadOptions):
    """What `persona shift` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("base", "tuned")
    inputs: ClassVar[Mapping[str, InputKind]] = {"vectors": "vectors"}
    options: ClassVar[Mapping[str, tuple[str, ...]]] = {"answers": ("--answers/--no-answers",)}
    quick_sizes: ClassVar[Mapping[str, Any]] = {"max_new_tokens": 32}

    base: str
    """The model that the vectors were made from: a Hugging Face name or folder, or `organism`."""
    tuned: tuple[str, ...]
    """A tuned model, or the checkpoints of a training run, from the first to the last; of a hub's also as
    OWNER/MODEL@REVISION."""
    vectors: tuple[Path, ...]
    """Persona vectors to measure along: a run folder or a file. May be repeated."""
    answers: bool | None = None  # type: ignore[assignment]
    """Also let all models answer, and measure the movement of the mean over the answers' tokens; by default
    where that takes five minutes at most."""
    prompts: str | None = None
    """A file, folder or data set of conversations, or a trait whose evaluation questions are asked;
    by default those of the vectors' own traits."""
    layer: Index | None = None
    """The layer to show; by default the choice of the run's sweep, or 0.55 of the depth."""
    published_index: bool = False
    """Read layers as published files count, where 0 is the embeddings: 20 is the output of block 19."""

    def run_path(self) -> Path:
        """`runs/shift`."""
        return Path("runs/shift")

    def shown_layer(self, model: Model, vectors: PersonaVectors) -> int:
        """The layer that is asked for, else the sweep's choice; one that is measured in any case."""
        choice = find_choice(self.vectors[0], vectors)
        chosen = default_layer(model) if choice is None else choice.layer
        asked = block_of(self.layer, self.published_index)
        measured = blocks_of(self.layers, self.published_index)
        shown = chosen if asked is None else asked
        return shown if measured is None or shown in measured else measured[0]


class ShiftReport(ShiftResult):
    """The shifts, and where their page is."""

    layer: int
    """The layer that the page shows."""
    run: str
    report: str
    estimate: WorkEstimate | None = None
    """What answering was expected to take, before it began; None where answers are not asked for, or are
    there already."""

    @property
    def unread(self) -> str:
        """What was not read, and how to read it; nothing where answers were read too."""
        return "" if self.config.answers else self._unread(self.estimate)

    @staticmethod
    def _unread(estimate: WorkEstimate | None) -> str:
        cost = ""
        if estimate is not None and estimate.seconds is not None:
            word = "about" if estimate.expected else "at most"
            cost = f" ({estimate.answers:,} answers, {word} {format_duration(estimate.seconds)})"
        return f"{UNREAD}: --answers in the same run reads the answers too{cost}"


def shift(spec: ShiftSpec, *, run: RunFolder, reporter: Reporter) -> ShiftReport:
    """Measure how far tuned models moved along persona vectors, layer by layer, with intervals."""
    from mindscope.personas import measure_shift, shift_report

    spec.require_inputs()
    model = load_model(spec.base, spec.config(LoadOptions), spec.template_option)
    model.vectors_of_base = spec.vectors_of_base
    vectors = [item for path in spec.vectors for item in find_vectors(path, model)]
    layer = spec.shown_layer(model, vectors[0])
    prompts = _find_prompts(spec, vectors)
    opened = run.open(
        kind="shift",
        config={"dtype": str(model.dtype).removeprefix("torch.")},
        model=model,
        reporter=reporter,
    )
    with opened:
        layers = blocks_of(spec.layers, spec.published_index)
        config, estimate = _choose_answers(spec, model, prompts, layers, opened, reporter)
        result = measure_shift(
            model,
            spec.tuned,
            vectors,
            prompts,
            config,
            run=opened,
            options=spec.config(LoadOptions, revision=None),
            progress=reporter.progress,
        )
        result.save(run.path / RESULT)
        report = ShiftReport(
            **dict(result),
            layer=layer,
            run=str(run.path),
            report=str(run.path / "report.html"),
            estimate=estimate,
        )
        notes = [note for note in (test_bed_note(model), spec.quick_note, report.unread) if note]
        shift_report(result, layer, *notes).write(report.report)
    return report


def _choose_answers(
    spec: ShiftSpec,
    model: Model,
    prompts: Sequence[Prompt],
    layers: tuple[int, ...] | None,
    run: Run,
    reporter: Reporter,
) -> tuple[ShiftConfig, WorkEstimate | None]:
    """Whether answers are read: what is asked for, else what this run chose before, else what it can afford.

    The choice is kept: a run that goes on measures the same, however busy the machine is.
    """
    from mindscope.personas import plan_shift_answers, render_prompts

    asked = spec.answers
    if asked is None and run.has(READS_ANSWERS):
        asked = run.load_json(READS_ANSWERS)
    config = spec.config(ShiftConfig, layers=layers, answers=asked is not False)
    if asked is False or len(prompts) < 2:  # the second is refused by who measures
        return config, None
    rows = render_prompts(model, prompts[: config.batch_rows])
    plan = plan_shift_answers(rows, layers or range(model.n_layers), config, config.shard_rows)
    each = len(prompts) * config.samples
    answers, kept = each * (1 + len(spec.tuned)), _count_kept(run, model, spec.tuned, each)
    if asked and kept >= answers:
        announce_kept(reporter)
        return config, None
    estimate = estimate_answers(model, plan, answers=answers, kept=kept)
    if asked is None:
        affordable = estimate.seconds is None or estimate.seconds <= AFFORDABLE
        run.save_json(READS_ANSWERS, affordable)
        if not affordable:
            reporter.say(ShiftReport._unread(estimate))
            return config.model_copy(update={"answers": False}), estimate
    announce(reporter, estimate, spec.less())
    return config, estimate


def _count_kept(run: Run, base: Model, tuned: Sequence[str], each: int) -> int:
    """How many answers of the base and of tuned models are there already, of `each` of every model.

    What weights a name stands for is known from the run's last result: a model is not loaded to be counted.
    """
    from mindscope.personas import count_shift_answers

    try:
        known = {one.model: one.fingerprint for one in ShiftResult.load(run.path / RESULT).tuned}
    except MindscopeError:
        known = {}  # it did not come to its end yet
    fingerprints = [base.fingerprint, *(known[name] for name in tuned if name in known)]
    return sum(min(each, count_shift_answers(run, fingerprint)) for fingerprint in fingerprints)


def _find_prompts(spec: ShiftSpec, vectors: Sequence[PersonaVectors]) -> Sequence[Prompt]:
    """The turns before the answers in a file, or a trait's evaluation questions."""
    from mindscope.data import read_conversations
    from mindscope.personas import Trait

    if spec.prompts is not None:
        data = spec.data_file(spec.prompts)
        if data.suffix or data.path.is_dir() or data.is_remote:
            return [conversation.prompt for conversation in read_conversations(data)]
        return find_trait(spec.prompts, spec.base).questions("evaluation")
    questions: list[str] = []
    for item in vectors:
        document = item.trait_document
        if document is None:
            raise DataError(f"the vectors of {item.trait} name no questions: give --prompts FILE or a trait")
        questions += Trait.parse(document).questions("evaluation")
    return list(dict.fromkeys(questions))
