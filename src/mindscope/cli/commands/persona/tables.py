"""What `mindscope persona` prints of vectors, sweeps and steering."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mindscope.cli.terminal.output import print_table, print_text, say

if TYPE_CHECKING:
    from mindscope.finetuning import AnswerProjection, PreventionScan
    from mindscope.jobs.finetune import FinetuneReport
    from mindscope.jobs.persona import ExtractReport, SteeringSummary, SweepReport, VectorsListing
    from mindscope.jobs.persona.baking import BakeReport
    from mindscope.jobs.persona.persona_run import VectorsSummary
    from mindscope.jobs.persona.traits import TraitsReport, WrittenFile
    from mindscope.jobs.screen import ScreeningReport
    from mindscope.jobs.shift import ShiftReport
    from mindscope.studies.persona_vectors import ReproductionReport

SAMPLES_SHOWN = 5
TEXTS_SHOWN = 2
"""Answers of an arm to one question that are printed."""
SHIFT_COLUMNS = ("trait", "at", "base", "tuned", "shift", "low", "high", "cosine")
COLUMNS = ("layer", "norm", "d_prime", "auroc", "cosine")
EXAMPLE_COLUMNS = ("low", "high", "shuffled sides")


def print_vectors(result: ExtractReport) -> None:
    """The vectors layer by layer, and where their page is."""
    _print_layers(result)
    print_text(f"report: {result.report}")


def print_listing(listing: VectorsListing) -> None:
    """Vectors of several files, with what their runs hold beside them."""
    for vectors in listing.root:
        _print_layers(vectors)
        for title in ("sweep", "steering"):
            row = vectors.to_json()[title]
            if row is not None:
                print_table(list(row), [list(row.values())], title)


def print_sweep(result: SweepReport) -> None:
    """Every layer and coefficient that was tried."""
    sweep = result.sweep
    rows = [
        [
            point.layer,
            point.coefficient,
            point.scores.trait and point.scores.trait.mean,
            point.scores.coherence and point.scores.coherence.mean,
            point.random and point.random.trait and point.random.trait.mean,
            "chosen" if index == sweep.chosen else "",
        ]
        for index, point in enumerate(sweep.points)
    ]
    before = sweep.unsteered.trait
    title = f"{sweep.trait}: unsteered {before.mean:.1f}" if before else sweep.trait
    print_table(["layer", "coefficient", "trait", "coherence", "random", ""], rows, title)
    print_text(f"report: {result.report}")


def print_steering(result: SteeringSummary) -> None:
    """The four arms."""
    rows = [
        ["unsteered", result.unsteered, result.coherence_unsteered],
        ["steered", result.steered, result.coherence_steered],
        ["against", result.against, result.coherence_against],
        ["random", result.random, result.coherence_random],
    ]
    rows = [row for row in rows if row[1:] != [None, None]]
    if rows:
        print_table(["", "trait", "coherence"], rows, f"{result.trait}: {result.steered_by}")
    for compared in result.texts:
        shown = [
            ["by a random vector" if arm == "random" else arm, answer]
            for arm, answers in compared.answers.items()
            for answer in answers[:TEXTS_SHOWN]
        ]
        print_table(["", "answer"], shown, compared.question)
    print_text(f"report: {result.report}")


def print_baked(result: BakeReport) -> None:
    """Every point that was tried, and how the checkpoint compares with the steered model."""
    if result.search is not None:
        from mindscope.personas import BAKE_COLUMNS, bake_rows

        before = result.search.unsteered.trait
        title = result.search.trait + (f": unsteered {before.mean:.1f}" if before else "")
        print_table(BAKE_COLUMNS, bake_rows(result.search), title)
        for layer in result.search.refused:
            say(f"layer {layer.layer} was left out: {layer.reason}")
    if result.checkpoint is not None:
        compared = result.checkpoint.comparison
        for sentence in result.checkpoint.changes:
            print_text(sentence)
        print_text(
            f"log-probabilities differ from the steered model's by at most {compared.largest:.1e} nats at "
            f"{compared.tokens} tokens; steering changes them by {compared.steering_rms:.2f}"
        )
        print_text(f"checkpoint: {result.checkpoint.folder}")
    print_text(f"report: {result.report}")


def print_screening(result: ScreeningReport) -> None:
    """The data set by trait, the samples that score highest, and where everything is."""
    from mindscope.screening import COLUMNS as TRAIT_COLUMNS
    from mindscope.screening import trait_rows

    print_table(TRAIT_COLUMNS, trait_rows(result.traits), f"{result.data}: {result.samples} samples")
    say(f"form {result.config.form}: {result.form_reason}")
    for trait in result.traits:
        if trait.control is not None:
            print_text(f"{trait.trait}: {trait.control}")
    for trait in result.traits:
        rows = [
            [sample.line, sample.dp, sample.percentile, sample.excerpt]
            for sample in trait.ranked[:SAMPLES_SHOWN]
        ]
        if rows:
            print_table(["line", "dP", "percentile", "answer"], rows, f"highest on {trait.trait}")
    if result.reference is None:
        say("no --reference was given: the threshold is this data's own percentile")
    if result.left_out:
        say(f"left out {result.left_out} rows; the first: {result.left_out_first[0]}")
    if result.filtered is not None:
        print_text(f"{result.filtered.rows} of {result.filtered.of} samples: {result.filtered.file}")
    print_text(f"table: {result.table}\nreport: {result.report}")


def print_shift(result: ShiftReport) -> None:
    """Every model's movement along every vector at the layer that is shown."""
    columns = ["model", *SHIFT_COLUMNS]
    rows = [
        [tuned.model, *(getattr(movement, name) for name in SHIFT_COLUMNS)]
        for tuned in result.tuned
        for movement in tuned.movements
        if movement.layer == result.layer
    ]
    print_table(columns, rows, f"layer {result.layer}, {result.prompts} prompts")
    if result.unread:
        say(result.unread)
    print_text(f"report: {result.report}")


def print_tuned(tuned: FinetuneReport) -> None:
    """How the coefficient was chosen, how the training went, what is said now, and where the model is."""
    if tuned.scan is not None:
        columns = ["coefficient", "answers - base", "95 % interval", "answers are", "shift", "last loss"]
        rows = [
            [
                trial.coefficient,
                trial.answers.difference,
                f"{trial.answers.low:.3g} to {trial.answers.high:.3g}",
                trial.answers.verdict,
                trial.shift,
                trial.loss,
            ]
            for trial in tuned.scan.trials
        ]
        steps = f"{tuned.scan.steps} steps with each coefficient, layer {tuned.scan.layer}"
        print_table(columns, rows, f"{tuned.scan.trait}: {steps}; 0 is untreated")
        print_text(f"chosen: {tuned.scan.chosen:g}, {tuned.scan.why}")
    columns = ["rows", "left out", "steps", "first loss", "last loss", "checkpoints"]
    row = [tuned.data.rows, tuned.data.left_out, tuned.steps, tuned.losses[0], tuned.losses[-1]]
    print_table(columns, [[*row, len(tuned.checkpoints)]])
    for answers in tuned.answers:
        print_text(_describe_answers(answers, tuned.scan))
    print_text(f"model: {tuned.path}")


def _describe_answers(answers: AnswerProjection, scan: PreventionScan | None) -> str:
    untreated = None if scan is None or scan.trait != answers.trait else scan.trial(0.0)
    if untreated is None or scan is None:
        return str(answers)
    return f"{answers}; untreated after {scan.steps} steps {untreated.answers.difference:+.3g}"


def print_reproduction(result: ReproductionReport) -> None:
    """Every claim, and whether it holds."""
    rows = [
        [claim.statement, claim.subject, claim.needed, claim.measured, claim.verdict]
        for claim in result.verdicts
    ]
    print_table(["claim", "trait", "needed", "measured", "holds"], rows)
    if result.note:
        print_text(result.note)
    print_text(f"report: {result.report}")


def print_traits(result: TraitsReport) -> None:
    """All traits as a table, or a trait as YAML."""
    import yaml

    if isinstance(result.root, tuple):
        print_table(["trait", "description"], [[trait.name, trait.description] for trait in result.root])
    else:
        print_text(yaml.safe_dump(result.root.document(), sort_keys=False, allow_unicode=True, width=100))


def print_file(result: WrittenFile) -> None:
    """The file that was written, and what it leaves unsaid."""
    print_text(result.file)
    for note in result.notes:
        say(note)


def _print_layers(vectors: VectorsSummary) -> None:
    examples, kept = vectors.examples, vectors.filter
    units = "pairs" if examples is None or examples.paired else "examples"
    pairs = f", {kept.kept} of {kept.pairs} {units}" if kept else ""
    columns: list[str] = list(COLUMNS)
    rows = [[getattr(layer, name) for name in COLUMNS] for layer in vectors.layers]
    if examples is not None:
        columns += EXAMPLE_COLUMNS
        for layer, row in zip(vectors.layers, rows, strict=True):
            row += [
                getattr(examples, field)[layer.layer] for field in ("auroc_low", "auroc_high", "shuffled")
            ]
    print_table(columns, rows, f"{vectors.trait}: {vectors.model or 'imported'}{pairs}")
    if kept and kept.kept < kept.pairs:
        print_text(f"{units} left out, some for several reasons: {kept.left_out}")
    if examples is not None:
        for line in examples.describe():
            print_text(line)
