"""Persona vectors: extract them, choose where to steer, and measure what steering does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mindscope.errors import DataError
from mindscope.jobs.estimates import announce
from mindscope.jobs.job import Reporter, RunFolder
from mindscope.jobs.persona.estimates import (
    CONTRAST,
    estimate_extraction,
    estimate_steering,
    estimate_sweep,
    quick_layers,
)
from mindscope.jobs.persona.kept_inputs import (
    JUDGEMENTS,
    find_kept_judge,
    require_kept_judge,
    require_vectors,
    vectors_file,
)
from mindscope.jobs.persona.persona_run import (
    PersonaRun,
    default_layer,
    find_vector_files,
    summarise_vectors,
)
from mindscope.jobs.persona.step_specs import (
    ComparedAnswers,
    ExtractReport,
    ExtractSpec,
    ShowVectorsSpec,
    SteeringSummary,
    SteerSpec,
    SweepReport,
    SweepSpec,
    VectorsListing,
)
from mindscope.jobs.resolve import TEST_BED, is_test_bed, require_judge
from mindscope.jobs.specs import block_of, blocks_of
from mindscope.jobs.steering import SteeringNames
from mindscope.personas import (
    BudgetChoice,
    ExtractConfig,
    SteerConfig,
    SweepConfig,
    SweepResult,
)

if TYPE_CHECKING:
    from mindscope.engines import Engine
    from mindscope.personas import PersonaVectors, SteeringResult, Trait
    from mindscope.store import Run

TRAIT = "trait.yaml"
"""A trait that was made of a name."""


def extract(spec: ExtractSpec, *, run: RunFolder, reporter: Reporter) -> ExtractReport:
    """Find the vectors at every layer: from answers under contrasting instructions, or from recorded ones."""
    if spec.examples:
        return _extract_from_examples(spec, run, reporter)
    from mindscope.personas import contrast_recipe, extract_vectors

    trait, recipe, config = spec.find_trait(), contrast_recipe(spec.judge), spec.config(ExtractConfig)
    if recipe is not None:
        recipe.require_drawn(config)
    elif spec.judge != "none":
        require_judge(spec, spec.model)
    if config.temperature is None and config.samples == 1:
        reporter.say("one answer to each prompt takes the likeliest tokens: --temperature 1 draws it")
    model = spec.load_engine()
    with _open(run, model, reporter) as opened:
        judge = None if spec.judge == "none" else recipe or spec.find_judge(model, run.path / JUDGEMENTS)
        more = "" if recipe is None else CONTRAST
        estimate = estimate_extraction(model, trait, opened, config, judged=judge is not None, more=more)
        if estimate is not None:
            announce(reporter, estimate, spec.less())
        vectors = extract_vectors(model, trait, judge, opened, config, progress=reporter.progress)
    kept = PersonaRun(run.path)
    kept.note_sizes("extract", spec.quick_note)
    page = kept.write_report(vectors)
    file = kept.vectors_file(trait.name)
    return ExtractReport.of(vectors, file, run=str(run.path), report=str(page), estimate=estimate)


def _extract_from_examples(spec: ExtractSpec, run: RunFolder, reporter: Reporter) -> ExtractReport:
    from mindscope.personas import LABEL, read_examples

    trait, refuse = spec.find_trait(), spec.on_error == "refuse"
    sources = [
        spec.open_data(file, reporter, refuse=refuse, main=number == 0, read=(LABEL, "rejected"))
        for number, file in enumerate(spec.examples)
    ]
    examples = read_examples(sources, positive=spec.positive, on_error=spec.on_error)
    examples.require(spec.least_pairs, trait.name)

    from mindscope.personas import contrast_recipe, extract_from_examples  # takes seconds

    recipe, config = contrast_recipe(spec.judge), spec.config(ExtractConfig)
    is_judged = spec.judge not in (None, "none")
    if recipe is not None:
        recipe.require_drawn(config)
    elif is_judged:
        require_judge(spec, spec.model)
    model = spec.load_engine()
    with _open(run, model, reporter) as opened:
        judge = recipe or (spec.find_judge(model, run.path / JUDGEMENTS) if is_judged else None)
        vectors = extract_from_examples(
            model, trait, examples, opened, config, judge=judge, progress=reporter.progress
        )
        if spec.name is not None:
            trait.save(run.path / TRAIT)
            reporter.say(f"saved as {run.path / TRAIT}: the trait to give to sweep and steer")
    kept = PersonaRun(run.path)
    page = kept.write_report(vectors)
    return ExtractReport.of(vectors, kept.vectors_file(trait.name), run=str(run.path), report=str(page))


def sweep(spec: SweepSpec, *, run: RunFolder, reporter: Reporter) -> SweepReport:
    """Choose where to steer: trait score and coherence at every layer with every coefficient.

    Given again with other layers or coefficients, it keeps the answers that are there and adds the others.
    """
    from mindscope.personas import sweep_coefficients

    trait, kept = spec.find_trait(), PersonaRun(run.path)
    require_vectors(spec, run.path)
    require_kept_judge(spec, run.path)
    model = spec.load_engine()
    vectors = kept.vectors(trait.name, model, spec.vectors)
    layers = blocks_of(spec.layers, spec.published_index)
    if layers is None and spec.quick:
        layers = quick_layers(vectors.layers)
    config = spec.config(SweepConfig, layers=layers)
    with _open(run, model, reporter) as opened:
        judge = find_kept_judge(spec, model, run.path)
        estimate = estimate_sweep(model, vectors, trait, opened, config)
        if estimate is not None:
            announce(reporter, estimate, spec.less())
        result = sweep_coefficients(model, vectors, trait, judge, opened, config, progress=reporter.progress)
    kept.note_sizes("sweep", spec.quick_note)
    page = kept.write_report(vectors)
    return SweepReport(sweep=result, run=str(run.path), report=str(page), estimate=estimate)


def steer(spec: SteerSpec, *, run: RunFolder, reporter: Reporter) -> SteeringSummary:
    """Measure what steering does: unsteered, steered, steered against, and with random vectors.

    With --question and without a judge it shows the answers side by side.
    """
    from mindscope.personas import held_out, measure_steering, plan_steering, steering_report

    spec.require_work(run.path)
    trait, kept = None if spec.trait is None else spec.find_trait(), PersonaRun(run.path)
    swept = None if trait is None else kept.sweep(trait.name)
    config = None if spec.budget is not None else _steer_config(spec, swept)
    model = spec.load_engine()
    vectors = None
    if trait is not None and (spec.steer is None or vectors_file(spec, run.path).exists()):
        vectors = kept.vectors(trait.name, model, spec.vectors)
    choice: BudgetChoice | None = None
    if config is None:
        assert trait is not None
        assert vectors is not None
        config, choice = _within_budget(spec, model, vectors, trait, swept, reporter)
    questions = spec.question or (held_out(trait, swept) if trait is not None and swept is not None else None)
    names = SteeringNames(
        model,
        {} if vectors is None else {vectors.trait: vectors},
        chosen={} if swept is None or swept.chosen is None else {swept.trait: swept.choice().layer},
        kind=spec.kind,
        published_index=spec.published_index and spec.steer is not None,
    )
    with _open(run, model, reporter) as opened:
        judge = find_kept_judge(spec, model, run.path) if spec.is_judged else None
        planned = plan_steering(model, vectors, trait, opened, config, questions=questions, find=names.find)
        estimate = estimate_steering(model, planned, opened, config, judged=judge is not None)
        if estimate is not None:
            announce(reporter, estimate, spec.less())
        result = measure_steering(
            model,
            vectors,
            trait,
            judge,
            opened,
            config,
            questions=questions,
            find=names.find,
            progress=reporter.progress,
        )
    kept.note_sizes("steer", spec.quick_note)
    if vectors is None:
        answers = steering_report(result, model.name)
        if is_test_bed(model.name):
            answers.note(TEST_BED)
        page = answers.write(run.path / "report.html")
    else:
        page = kept.write_report(vectors)
    return SteeringSummary(
        **result.summary().to_json(),
        trait=result.trait,
        steered_by=result.steered_by,
        texts=compare_answers(result) if spec.question else (),
        run=str(run.path),
        report=str(page),
        borrowed=result.borrowed,
        budget=choice,
        estimate=estimate,
    )


CALIBRATION_QUESTIONS = 8
"""How many extraction questions are answered with each coefficient that is tried for a budget."""


def _within_budget(
    spec: SteerSpec,
    model: Engine,
    vectors: PersonaVectors,
    trait: Trait,
    swept: SweepResult | None,
    reporter: Reporter,
) -> tuple[SteerConfig, BudgetChoice]:
    """The layer, and the largest coefficient within the budget, on questions that are not measured then."""
    from mindscope.personas import find_budget_coefficient

    assert spec.budget is not None
    layer = block_of(spec.layer, spec.published_index)
    if layer is None:
        layer = default_layer(model) if swept is None or swept.chosen is None else swept.choice().layer
    choice = find_budget_coefficient(
        model,
        vectors.direction(layer, spec.kind),
        trait.questions("extraction")[:CALIBRATION_QUESTIONS],
        budget=spec.budget,
        positions=spec.positions,
        progress=reporter.progress,
    )
    reporter.say(f"coefficient {choice.coefficient:.3g} at layer {layer}: within {spec.budget:g} nats")
    return spec.config(SteerConfig, layer=layer, coefficient=choice.coefficient), choice


def compare_answers(result: SteeringResult) -> tuple[ComparedAnswers, ...]:
    """The answers of all arms by question."""
    arms = {name: getattr(result, name).samples for name in ("unsteered", "steered", "against", "random")}
    return tuple(
        ComparedAnswers(
            question=question,
            answers={
                name: tuple(sample.answer for sample in samples if sample.question == question)
                for name, samples in arms.items()
                if samples
            },
        )
        for question in result.questions
    )


def show(spec: ShowVectorsSpec, *, reporter: Reporter) -> VectorsListing:
    """Show vectors, what a sweep chose and what steering did, out of a run or file."""
    del reporter  # there is nothing to wait for
    return VectorsListing(tuple(summarise_vectors(file) for file in find_vector_files(spec.path)))


def _steer_config(spec: SteerSpec, swept: SweepResult | None) -> SteerConfig:
    """What is steered by: an expression, or a layer and a coefficient, which a sweep may have chosen."""
    if spec.steer is not None:
        return spec.config(SteerConfig)
    layer, coefficient = block_of(spec.layer, spec.published_index), spec.coefficient
    if swept is not None and None in (layer, coefficient):
        point = swept.choice()
        layer = point.layer if layer is None else layer
        coefficient = point.coefficient if coefficient is None else coefficient
    if layer is None or coefficient is None:
        raise DataError(
            "there is no sweep in this run: give --layer and --coefficient, or --steer, or sweep first"
        )
    return spec.config(SteerConfig, layer=layer, coefficient=coefficient)


def _open(run: RunFolder, model: Engine, reporter: Reporter) -> Run:
    return run.open(
        kind="persona",
        config={"dtype": str(model.dtype).removeprefix("torch.")},
        model=model,
        reporter=reporter,
    )
