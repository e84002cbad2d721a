"""The page of a search for steering to bake, and of the checkpoint that came of it."""

from mindscope.features import BakedCheckpoint
from mindscope.personas.baking.results import BAKE_COLUMNS, BakePoint, BakeSearch, bake_rows
from mindscope.reports import Report, ScatterPoints, scatter


def bake_report(
    search: BakeSearch | None, checkpoint: BakedCheckpoint | None, model: str, note: str = ""
) -> Report:
    """A page of its own; either part may be missing."""
    trait = search.trait if search is not None else "steering"
    report = Report(f"Baked: {trait}", f"into {model}")
    if note:
        report.note(note)
    if search is not None:
        _add_search(report, search)
    if checkpoint is not None:
        _add_checkpoint(report, checkpoint)
    return report


def _add_search(report: Report, search: BakeSearch) -> None:
    config = search.config
    report.section(
        "What steering costs",
        f"{len(search.questions)} questions for trait and coherence, {search.texts} ordinary texts "
        f"({search.tokens} tokens) for the divergence from the unsteered model. Every token is steered, as "
        "weights do it.",
    )
    front = [point for point in search.points if point.front]
    others = [point for point in search.points if not point.front]
    chosen = [] if search.chosen is None else [search.points[search.chosen]]
    series = [_series("on the front", sorted(front, key=lambda p: p.divergence.mean), labelled=True)]
    series += [_series("others", others)] if others else []
    series += [_series("chosen", chosen)] if chosen else []
    if search.unsteered.trait is not None:
        series.append(ScatterPoints("unsteered", [0.0], [search.unsteered.trait.mean]))
    wanted = "high" if config.goal == "raise" else "low"
    report.figure(
        scatter(series, "KL to the unsteered model, nats a token", "trait score", fit=False),
        f"Trait against divergence; {wanted} and to the left is better. On the front no point is "
        "beaten in trait, divergence and coherence at once. Labels are layer x coefficient.",
    )
    report.table(list(BAKE_COLUMNS), bake_rows(search), align="rrrrrrl")
    for point in search.points:
        if point.random is not None and point.random.trait is not None and point.scores.trait is not None:
            report.text(
                f"{point.name} against random directions of the same norm: {point.scores.trait.mean:.1f} "
                f"against {point.random.trait.mean:.1f}."
            )
    if search.chosen is None:
        report.note("Nothing was chosen: no point on the front qualifies.")
    for layer in search.refused:
        report.text(f"Layer {layer.layer} was left out: {layer.reason}.")


def _add_checkpoint(report: Report, checkpoint: BakedCheckpoint) -> None:
    compared = checkpoint.comparison
    report.section("The checkpoint", "In plain transformers, beside the steered model.")
    report.facts(
        {
            "folder": checkpoint.folder,
            "architecture": checkpoint.architecture,
            "precision": compared.precision,
            "compared at": f"{compared.tokens} tokens of {compared.texts} texts, the whole vocabulary",
            "largest difference of a log-probability": f"{compared.largest:.2e} nats",
            "root mean square": f"{compared.rms:.2e} nats; steering changes {compared.steering_rms:.2e}",
        }
    )
    for sentence in checkpoint.changes:
        report.text(f"{sentence}.")


def _series(name: str, points: list[BakePoint], *, labelled: bool = False) -> ScatterPoints:
    scored = [point for point in points if point.scores.trait is not None]
    x = [point.divergence.mean for point in scored]
    y = [point.scores.trait.mean for point in scored if point.scores.trait is not None]
    names = [point.name for point in scored]
    return ScatterPoints(name, x, y, _apart(names, x, y) if labelled else ())


def _apart(names: list[str], x: list[float], y: list[float]) -> list[str]:
    """The names, left out where one that is kept lies so near that they would cover one another."""
    wide, high = (max(values) - min(values) or 1.0 for values in (x, y))
    kept: list[str] = []
    written: list[tuple[float, float]] = []
    for name, at_x, at_y in zip(names, x, y, strict=True):
        free = all(
            abs(at_x - other_x) > 0.14 * wide or abs(at_y - other_y) > 0.05 * high
            for other_x, other_y in written
        )
        kept.append(name if free else "")
        written += [(at_x, at_y)] if free else []
    return kept
