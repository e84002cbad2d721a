"""A shift as a page: bars by layer, lines over the checkpoints, the numbers."""

from mindscope.personas.shift.results import ShiftResult
from mindscope.reports import CurveLine, Report, bars_by_layer, lines_with_bands

WORDS = {"last_prompt": "the last prompt token", "answer": "the answers' tokens"}


def shift_report(shift: ShiftResult, layer: int, *notes: str) -> Report:
    """The page, ``notes`` at its head; ``layer`` is the one whose numbers are shown for every checkpoint."""
    last = shift.tuned[-1].model
    report = Report("Shift along persona vectors", f"{last} away from {shift.base}")
    for note in notes:
        if note:
            report.note(note)
    report.text(
        f"The mean activation of {last} minus that of {shift.base} over {shift.prompts} prompts, projected "
        "on each unit vector (Chen et al. 2025, arXiv 2507.21509). Intervals are 95 %, over the prompts."
    )
    for position in shift.config.positions:
        report.section(f"At {WORDS[position]}")

        layers = {
            trait: [shift.of(trait, place, at=position) for place in shift.layers] for trait in shift.traits
        }
        bars = {trait: [m.shift for m in row] for trait, row in layers.items()}
        ends = {trait: ([m.low for m in row], [m.high for m in row]) for trait, row in layers.items()}
        report.figure(
            bars_by_layer(bars, "shift", errors=ends, highlight=layer), f"Shift of {last} by layer."
        )
        report.figure(
            bars_by_layer(
                {trait: [m.cosine for m in row] for trait, row in layers.items()}, "cosine", highlight=layer
            ),
            "Cosine of the whole movement of the mean activation with each vector: the share of the movement "
            "that goes along it.",
        )
        paths = {
            trait: [shift.of(trait, layer, at=position, checkpoint=step) for step in range(len(shift.tuned))]
            for trait in shift.traits
        }
        if len(shift.tuned) > 1:
            lines = [
                CurveLine(trait, [m.shift for m in path], [m.low for m in path], [m.high for m in path])
                for trait, path in paths.items()
            ]
            steps = list(range(1, len(shift.tuned) + 1))
            report.figure(
                lines_with_bands(lines, steps, "checkpoint", "shift"),
                f"Layer {layer}, over the checkpoints in the order given.",
            )
        rows = [
            [moved.model, trait, m.base, m.tuned, m.shift, f"{m.low:.3g} to {m.high:.3g}", m.cosine]
            for trait, path in paths.items()
            for moved, m in zip(shift.tuned, path, strict=True)
        ]
        columns = ["model", "trait", "base", "tuned", "shift", "95 % interval", "cosine"]
        report.table(
            columns, rows, f"Layer {layer}. Projections are in the activations' own units.", "llrrrrr"
        )
    report.section("Where this comes from")
    fingerprints = {moved.model: moved.fingerprint for moved in shift.tuned}
    return report.facts({shift.base: shift.fingerprint, **fingerprints, "prompts": shift.prompts})
