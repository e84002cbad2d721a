"""Baking: steering into the weights of an ordinary checkpoint, searched for or given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from mindscope.core import Index
from mindscope.errors import DataError
from mindscope.features import BakedCheckpoint
from mindscope.jobs.inputs import InputKind
from mindscope.jobs.job import Reporter, RunFolder
from mindscope.jobs.persona.kept_inputs import JUDGEMENTS
from mindscope.jobs.resolve import find_vectors, test_bed_note
from mindscope.jobs.specs import BorrowingModelSpec, DataSpec, JudgeSpec
from mindscope.personas import BakeConfig, BakeSearch
from mindscope.store import Document, claim

if TYPE_CHECKING:
    from mindscope.judges import Judge
    from mindscope.models import Edit, Model, Row
    from mindscope.personas import PersonaVectors, Trait

COMPARED = 8
"""Texts on which the checkpoint is compared with the steered model."""


class BakeSpec(JudgeSpec, BorrowingModelSpec, DataSpec, BakeConfig):
    """What `persona bake` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("model",)
    hidden: ClassVar[tuple[str, ...]] = ("positions",)
    inputs: ClassVar[Mapping[str, InputKind]] = {"vectors": "vectors"}

    vectors: Path | None = None
    """Persona vectors: a run folder or a file, of one trait."""
    trait: str | None = None
    """The trait whose questions are asked; by default that of the vectors."""
    steer: str | None = None
    """Bake this and search nothing, such as '1.5 runs/patient@14[all] - runs/evil@12[all]'."""
    layer: Index | None = None
    """Bake this layer's vector and search nothing."""
    coefficient: float | None = None
    """How many times the vector of --layer is added."""
    to: Path | None = None
    """The folder of the checkpoint; by default bake/model in the run."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """The precision of the checkpoint."""
    ordinary: Path | None = None
    """A file of conversations that have nothing to do with the trait, on which the divergence is measured; by
    default the model's own answers to the trait's extraction questions."""
    dtype: str = "float32"
    """The precision in which the weights are changed; only float32 is right."""

    def run_path(self) -> Path:
        """`runs/bake`."""
        return Path("runs/bake")


class BakeReport(Document):
    """The checkpoint, the search that it came from, and where their page is."""

    search: BakeSearch | None
    checkpoint: BakedCheckpoint | None
    """None where the search chose nothing."""
    run: str
    report: str


def bake(spec: BakeSpec, *, run: RunFolder, reporter: Reporter) -> BakeReport:
    """Write steering into the weights of an ordinary checkpoint that any server runs at full speed.

    Additions become biases, where the architecture has them; an ablation becomes orthogonal weights. Without
    --layer or --steer, layers and coefficients are searched for the best trait score at the least divergence
    from the unsteered model. The checkpoint is compared with the steered model in plain transformers.
    """
    from mindscope.features import bake_checkpoint, require_replaceable
    from mindscope.personas import bake_report, search_baking

    _require_one_source(spec)
    _check_ordinary(spec, reporter)
    folder = spec.to or run.path / "bake" / "model"
    require_replaceable(folder)
    model = spec.load()
    opened = run.open(
        kind="persona",
        config={"dtype": str(model.dtype).removeprefix("torch.")},
        model=model,
        reporter=reporter,
    )
    search: BakeSearch | None = None
    checkpoint: BakedCheckpoint | None = None
    with opened:
        rows = _ordinary_rows(spec, model)
        if spec.steer is not None or spec.layer is not None:
            edits, card = _given_edits(spec, model)
            claim(opened, "checkpoint", {"steering": card, "precision": spec.precision})
        else:
            vectors = _find_vectors(spec, model)
            trait = _find_trait(spec, vectors)
            search = search_baking(
                model,
                vectors,
                trait,
                _find_judge(spec, model, run.path, trait),
                opened,
                spec.config(BakeConfig),
                ordinary=rows,
                progress=reporter.progress,
            )
            edits, card = _chosen_edits(search, model, vectors)
        if edits:
            reporter.say("writing the checkpoint, and comparing it with the steered model")
            compared = (rows or _plain_rows(model))[:COMPARED]
            checkpoint = bake_checkpoint(
                model, edits, folder, compared, precision=spec.precision, card={"steering": card}
            )
    page = bake_report(search, checkpoint, model.name, test_bed_note(model)).write(run.path / "bake.html")
    return BakeReport(search=search, checkpoint=checkpoint, run=str(run.path), report=str(page))


def require_checkpoint(report: BakeReport) -> None:
    """Raises where a search chose nothing to bake."""
    if report.checkpoint is None and report.search is not None:
        report.search.choice()


def _require_one_source(spec: BakeSpec) -> None:
    if spec.steer is not None and (spec.layer is not None or spec.coefficient is not None):
        raise DataError("--steer says where and how strongly: leave --layer and --coefficient out")
    if spec.steer is not None and spec.vectors is not None:
        raise DataError(
            "--steer names its own vectors, such as '1.5 runs/patient@14[all]': leave --vectors out, or give "
            "it with --layer and --coefficient"
        )
    if spec.steer is None and spec.vectors is None:
        raise DataError("there is nothing to bake: give --vectors RUN, or --steer EXPRESSION")
    if spec.layer is None and spec.coefficient is not None:
        raise DataError("--coefficient belongs to a --layer; the search takes --coefficients")
    if spec.operation == "ablate" and spec.coefficient is not None:
        raise DataError("an ablation takes the whole direction out, and has no --coefficient")
    if spec.layer is not None and spec.operation == "add" and spec.coefficient is None:
        raise DataError("give --coefficient beside --layer, or --operation ablate")
    if spec.steer is not None:
        from mindscope.features import SteerExpression

        SteerExpression.parse(spec.steer)  # what is miswritten is told before the model is loaded


def _find_vectors(spec: BakeSpec, model: Model) -> PersonaVectors:
    assert spec.vectors is not None
    vectors = find_vectors(spec.vectors, model)
    if len(vectors) != 1:
        raise DataError(f"{spec.vectors} holds the vectors of {len(vectors)} traits: name one file")
    return vectors[0]


def _find_trait(spec: BakeSpec, vectors: PersonaVectors) -> Trait:
    from mindscope.jobs.resolve import find_trait
    from mindscope.personas import Trait

    if spec.trait is not None:
        return find_trait(spec.trait, spec.model)
    if vectors.trait_document is None:
        raise DataError(f"the vectors of {vectors.trait} name no questions: give --trait")
    return Trait.parse(vectors.trait_document)


def _find_judge(spec: BakeSpec, model: Model, run: Path, trait: Trait) -> Judge:
    """Who scores the answers: a contrast judge is the one that was made with the vectors."""
    from mindscope.jobs.persona.persona_run import PersonaRun
    from mindscope.personas import JUDGE_FILE, contrast_recipe

    recipe = contrast_recipe(spec.judge)
    if recipe is None:
        return spec.find_judge(model, run / JUDGEMENTS)
    assert spec.vectors is not None
    file = PersonaRun(spec.vectors).vectors_file(trait.name) if spec.vectors.is_dir() else spec.vectors
    return recipe.load(model, file.with_name(JUDGE_FILE))


def _given_edits(spec: BakeSpec, model: Model) -> tuple[Sequence[Edit], str]:
    from mindscope.features import SteerExpression
    from mindscope.jobs.steering import SteeringNames
    from mindscope.personas import baked_edits

    if spec.steer is not None:
        expression = SteerExpression.parse(spec.steer)
        return SteeringNames(model).edits(expression, "all"), str(expression)
    vectors = _find_vectors(spec, model)
    assert spec.layer is not None
    direction = vectors.direction(spec.layer, spec.kind)
    return baked_edits(model, direction, spec.coefficient), _said(vectors, spec.layer, spec.coefficient)


def _chosen_edits(search: BakeSearch, model: Model, vectors: PersonaVectors) -> tuple[Sequence[Edit], str]:
    from mindscope.personas import baked_edits

    if search.chosen is None:
        return (), ""
    point = search.choice()
    direction = vectors.direction(point.layer, search.config.kind)
    return baked_edits(model, direction, point.coefficient), _said(vectors, point.layer, point.coefficient)


def _said(vectors: PersonaVectors, layer: int, coefficient: float | None) -> str:
    if coefficient is None:
        return f"ablate {vectors.trait}@{layer} everywhere"
    return f"{coefficient:g} {vectors.trait}@{layer}[all]"


def _check_ordinary(spec: BakeSpec, reporter: Reporter) -> None:
    """Look through the ordinary conversations before a model is loaded."""
    if spec.ordinary is not None:
        spec.open_data(spec.ordinary, reporter, refuse=True)
    elif spec.columns or spec.split:
        raise DataError("--columns and --split are about the ordinary conversations: give --ordinary FILE")


def _ordinary_rows(spec: BakeSpec, model: Model) -> list[Row] | None:
    from itertools import islice

    from mindscope.data import read_conversations

    if spec.ordinary is None:
        return None
    conversations = islice(read_conversations(spec.data_file(spec.ordinary)), spec.texts)
    return [model.chat(conversation.prompt, answer=conversation.answer) for conversation in conversations]


def _plain_rows(model: Model) -> list[Row]:
    """A few prompts with the model's own answers, for the comparison alone."""
    from mindscope.features import PROBE_QUESTIONS
    from mindscope.models import Sampling

    prompts = [model.chat([{"role": "user", "content": question}]) for question in PROBE_QUESTIONS]
    answers = model.generate(prompts, Sampling(temperature=0, max_new_tokens=32))
    return [answer.row for answer in answers]
