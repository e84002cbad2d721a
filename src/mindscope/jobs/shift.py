"""Shift: how far tuned models moved away from their base along persona vectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mindscope.errors import DataError
from mindscope.jobs.job import Reporter, RunFolder
from mindscope.jobs.persona_run import default_layer, find_choice
from mindscope.jobs.resolve import find_trait, find_vectors, load_model, test_bed_note
from mindscope.jobs.specs import BorrowingSpec, DataSpec, TemplateSpec, block_of, blocks_of
from mindscope.models import LoadOptions
from mindscope.personas import ShiftConfig, ShiftResult

if TYPE_CHECKING:
    from mindscope.models import Model
    from mindscope.personas import PersonaVectors, Prompt


class ShiftSpec(BorrowingSpec, TemplateSpec, DataSpec, ShiftConfig, LoadOptions):
    """What `persona shift` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("base", "tuned")
    inputs: ClassVar[tuple[str, ...]] = ("vectors",)

    base: str
    """The model that the vectors were made from: a Hugging Face name or folder, or `organism`."""
    tuned: tuple[str, ...]
    """A tuned model, or the checkpoints of a training run, from the first to the last; of a hub's also as
    OWNER/MODEL@REVISION."""
    vectors: tuple[Path, ...]
    """Persona vectors to measure along: a run folder or a file. May be repeated."""
    prompts: str | None = None
    """A file, folder or data set of conversations, or a trait whose evaluation questions are asked;
    by default those of the vectors' own traits."""
    layer: int | None = None
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
        result = measure_shift(
            model,
            spec.tuned,
            vectors,
            prompts,
            spec.config(ShiftConfig, layers=blocks_of(spec.layers, spec.published_index)),
            run=opened,
            options=spec.config(LoadOptions, revision=None),
            progress=reporter.progress,
        )
        result.save(run.path / "shift.json")
        page = shift_report(result, layer, test_bed_note(model)).write(run.path / "report.html")
    return ShiftReport(**dict(result), layer=layer, run=str(run.path), report=str(page))


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
