"""The page of a persona: how good its vectors are, what the sweep found, what steering does to answers."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from mindscope.personas.examples.results import ExampleStatistics
from mindscope.personas.pair_filter import FilterCounts
from mindscope.personas.steering.results import (
    ArmScores,
    ScoredAnswer,
    SteeredArm,
    SteeringResult,
    SweepPoint,
    SweepResult,
)
from mindscope.personas.vectors import PersonaVectors
from mindscope.reports import (
    AnswerCard,
    AnswerSample,
    CurveLine,
    Report,
    bars_by_layer,
    heatmap,
    lines_with_bands,
)
from mindscope.stats import Estimate

Row = list[object]
POINTS_READ = 3
"""Points whose answers are shown where none was chosen."""


def persona_report(
    vectors: PersonaVectors, sweep: SweepResult | None = None, steering: SteeringResult | None = None
) -> Report:
    """A page of its own for one trait."""
    model = vectors.model or "an unnamed model"
    report = Report(f"Persona: {vectors.trait}", f"persona vectors of {model}")
    return add_persona(report, vectors, sweep, steering)


def add_persona(
    report: Report,
    vectors: PersonaVectors,
    sweep: SweepResult | None = None,
    steering: SteeringResult | None = None,
) -> Report:
    """Adds the sections of one trait to a page; several traits may share one."""
    _add_vectors(report, vectors, sweep)
    if sweep is not None:
        _add_sweep(report, sweep)
    if steering is not None:
        _add_steering(report, steering)
    return _add_provenance(report, vectors)


def _add_vectors(report: Report, vectors: PersonaVectors, sweep: SweepResult | None) -> None:
    report.section(
        f"{vectors.trait}: vectors",
        "At each layer: the mean activation of answers that show the trait minus that of answers without.",
    )
    highlight = sweep.choice().layer if sweep is not None and sweep.chosen is not None else None
    norms = [
        vectors.norms[layer].item() if layer in vectors.layers else None for layer in range(vectors.n_layers)
    ]
    statistics = vectors.statistics
    errors = {"norm": (statistics.norm_low, statistics.norm_high)} if statistics else None
    report.figure(
        bars_by_layer({"norm": norms}, "norm", errors=errors, highlight=highlight),
        "Norm of the vector at each layer, with its 95 % interval over the answers drawn.",
    )
    if statistics is None:
        return
    report.figure(
        bars_by_layer({"d'": statistics.d_prime}, "d'", highlight=highlight),
        "Separation of held-out answers along the vector, in standard deviations.",
    )
    columns = ["layer", "norm", "d'", "AUROC", "cosine when resampled"]
    rows = zip(
        range(vectors.n_layers), norms, statistics.d_prime, statistics.auroc, statistics.cosine, strict=True
    )
    report.table(
        columns, [list(row) for row in rows], "Separation is measured on questions held out of the vector."
    )
    if (made_from := vectors.metadata.get("examples")) is not None:
        _add_examples(report, ExampleStatistics.model_validate(made_from))
    if vectors.filter is not None:
        report.text(_say_filter(vectors.filter, judged=vectors.metadata.get("judge") != "none"))
    if contrast := vectors.metadata.get("contrast"):
        report.text(
            "The judge was made of these answers themselves. Held out, it tells answers under the trait's "
            f"instructions from those under the opposite with an AUROC of {contrast['auroc']:.2f} "
            f"({contrast['low']:.2f} to {contrast['high']:.2f}; 0.5 is chance). It grades likeness to them: "
            "near 0.6 that says something about means over many answers, and little about one."
        )


def _add_examples(report: Report, examples: ExampleStatistics) -> None:
    for line in examples.describe():
        report.text(f"{line[0].upper()}{line[1:]}.")
    columns = ["layer", "AUROC from", "to", "shuffled sides"]
    rows = [
        list(row)
        for row in zip(
            range(len(examples.shuffled)),
            examples.auroc_low,
            examples.auroc_high,
            examples.shuffled,
            strict=True,
        )
    ]
    if examples.pair_rate is not None:
        columns.append("positive above its partner")
        rows = [[*row, str(rate)] for row, rate in zip(rows, examples.pair_rate, strict=True)]
    report.table(
        columns,
        rows,
        "The held-out AUROC's 95 % interval over questions, and what 95 of 100 random sides of the same "
        "examples stay below.",
    )
    controls = [["the answer's length alone", examples.length]]
    if examples.prompt is not None:
        controls.append(["the prompt alone", examples.prompt])
    report.table(
        ["control", "AUROC", "from", "to"],
        [[name, estimate.mean, estimate.low, estimate.high] for name, estimate in controls],
        "What tells the sides apart without the vector.",
    )


def _say_filter(counts: FilterCounts, *, judged: bool) -> str:
    if not judged:
        return f"Nobody judged the answers: {counts.kept} of {counts.pairs} pairs have two, and all are used."
    return (
        f"{counts.kept} of {counts.pairs} pairs of answers passed the filter. The others failed "
        f"on one criterion or several: {counts.failures()}."
    )


def _add_sweep(report: Report, sweep: SweepResult) -> None:
    report.section(
        f"{sweep.trait}: layer and coefficient",
        f"{len(sweep.questions)} questions without a system prompt, {sweep.config.positions} tokens steered. "
        "Bands are 95 % intervals over the questions.",
    )
    layers = list(dict.fromkeys(point.layer for point in sweep.points))
    coefficients = list(dict.fromkeys(point.coefficient for point in sweep.points))
    points = {(point.layer, point.coefficient): point for point in sweep.points}
    best = sweep.choice() if sweep.chosen is not None else None
    mark = (layers.index(best.layer), coefficients.index(best.coefficient)) if best else None
    for what, pick in (("Trait score", _trait), ("Coherence", _coherence)):
        values = [[_mean(pick(points[layer, c].scores)) for c in coefficients] for layer in layers]
        report.figure(
            heatmap(values, layers, coefficients, xlabel="coefficient", ylabel="layer", limit=100, mark=mark),
            f"{what} at every layer and coefficient{'; the frame is the point chosen' if best else ''}.",
        )
    _add_swept_answers(report, sweep, best)
    if best is None:
        report.note(
            f"No point was chosen: none raised the score above what random vectors do with coherence >= "
            f"{sweep.config.coherence_floor:g}."
        )
        return
    row = [sweep.unsteered, *(points[best.layer, c].scores for c in coefficients)]
    report.figure(
        _curves(row, [0.0, *coefficients], "coefficient", best.coefficient),
        f"Layer {best.layer}: trait score and coherence by coefficient (0 is unsteered).",
    )
    column = [points[layer, best.coefficient].scores for layer in layers]
    report.figure(
        _curves(column, layers, "layer", best.layer),
        f"Coefficient {best.coefficient:g}: trait score and coherence by layer.",
    )
    _add_controls(report, [point for point in sweep.points if point.random], sweep.unsteered)


def _add_swept_answers(report: Report, sweep: SweepResult, best: SweepPoint | None) -> None:
    """Answers of the point that was chosen; of those with the highest scores where none was."""
    ranked = sorted(sweep.points, key=lambda point: _mean(point.scores.trait) or 0.0, reverse=True)
    shown = [point for point in ([best] if best else ranked[:POINTS_READ]) if point.samples]
    samples = [
        AnswerSample(
            before.question,
            [
                _answer_card("unsteered", before),
                *(
                    _answer_card(f"layer {point.layer}, coefficient {point.coefficient:g}", point.samples[q])
                    for point in shown
                ),
            ],
        )
        for q, before in enumerate(sweep.unsteered_samples)
        if shown
    ]
    if samples:
        report.samples(samples, "First answers, drawn from the same seeds.")


def _answer_card(name: str, sample: ScoredAnswer) -> AnswerCard:
    scores = {"trait": sample.trait, "coherence": sample.coherence}
    return AnswerCard(name, sample.answer, scores, reasoning=sample.reasoning)


def _add_controls(report: Report, tried: Sequence[SweepPoint], unsteered: ArmScores) -> None:
    rows: list[Row] = [["unsteered", None, _mean(unsteered.trait), None, _mean(unsteered.coherence)]]
    rows += [
        [
            point.layer,
            point.coefficient,
            _mean(point.scores.trait),
            _mean(random.trait),
            _mean(point.scores.coherence),
        ]
        for point in tried
        if (random := point.random)
    ]
    columns = ["layer", "coefficient", "steered", "random vector", "coherence"]
    report.table(columns, rows, "Points tried against random vectors of the same norm.", align="rrrrr")


def few_pairs_report(trait: str, model: str, counts: FilterCounts, samples: Sequence[AnswerSample]) -> Report:
    """A page of an extraction that made no vectors: why pairs were not used, and answers to read."""
    report = Report(f"Persona: {trait}", f"no vectors of {model}")
    report.section(f"{trait}: too few pairs", _say_filter(counts, judged=True))
    return report.samples(samples, "Pairs from all over the plan, the first with the instruction to show it.")


def steering_report(steering: SteeringResult, model: str) -> Report:
    """A page of answers side by side, where there are no vectors of one trait that it is about."""
    report = Report("Steered answers", f"{steering.steered_by}, of {model}")
    _add_steering(report, steering)
    return report.facts({"fingerprint of the model": steering.fingerprint, "model": model})


def _add_steering(report: Report, steering: SteeringResult) -> None:
    report.section(
        "Answers" if steering.trait is None else f"{steering.trait}: steered answers",
        f"Steered by {steering.steered_by}; {steering.config.positions} tokens where it does not say which, "
        f"{len(steering.questions)} questions.",
    )
    every = {
        "unsteered": steering.unsteered,
        "steered": steering.steered,
        "against": steering.against,
        "random vector": steering.random,
    }
    arms = {name: arm for name, arm in every.items() if arm.samples}
    is_scored = any(arm.scores.unscored < arm.scores.answers for arm in arms.values())
    if is_scored:
        columns = ["", "trait score", "95 % interval", "coherence", "answers", "without a score"]
        report.table(columns, [_arm_row(name, arm) for name, arm in arms.items()], align="lrrrrr")
    samples = [
        AnswerSample(
            question, [_card(name, arm, q, len(steering.questions), is_scored) for name, arm in arms.items()]
        )
        for q, question in enumerate(steering.questions)
    ]
    report.samples(samples, "The same questions, drawn from the same seeds.")


def _arm_row(name: str, arm: SteeredArm) -> Row:
    trait = arm.scores.trait
    interval = f"{trait.low:.1f} to {trait.high:.1f}" if trait else None
    return [
        name,
        _mean(trait),
        interval,
        _mean(arm.scores.coherence),
        arm.scores.answers,
        arm.scores.unscored,
    ]


def _card(name: str, arm: SteeredArm, question: int, n_questions: int, is_scored: bool) -> AnswerCard:
    """The first of the arm's samples to a question."""
    sample = arm.samples[question * (len(arm.samples) // n_questions)]
    card = _answer_card(name, sample)
    return card if is_scored else replace(card, scores={})


def _add_provenance(report: Report, vectors: PersonaVectors) -> Report:
    report.section(f"{vectors.trait}: where this comes from")
    model = {} if vectors.model is None else {"model": vectors.model}
    shown = {"dtype", "judge", "config", "libraries", "source", "format"}
    facts = {key: value for key, value in vectors.metadata.items() if key in shown and value is not None}
    return report.facts({"fingerprint of the model": vectors.fingerprint, **model, **facts})


def _curves(scores: Sequence[ArmScores], x: Sequence[int | float], xlabel: str, mark: int | float):
    lines = [
        _line(name, [pick(arm) for arm in scores])
        for name, pick in (("trait", _trait), ("coherence", _coherence))
    ]
    return lines_with_bands(lines, x, xlabel, "score", ylim=(0, 100), mark=mark)


def _line(name: str, estimates: Sequence[Estimate | None]) -> CurveLine:
    def column(part: Callable[[Estimate], float]) -> list[float | None]:
        return [part(estimate) if estimate else None for estimate in estimates]

    return CurveLine(name, column(lambda e: e.mean), column(lambda e: e.low), column(lambda e: e.high))


def _trait(scores: ArmScores) -> Estimate | None:
    return scores.trait


def _coherence(scores: ArmScores) -> Estimate | None:
    return scores.coherence


def _mean(estimate: Estimate | None) -> float | None:
    return estimate.mean if estimate else None
