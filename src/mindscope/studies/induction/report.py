"""The pages: of models trained here, and of a model that was loaded."""

from collections.abc import Mapping, Sequence
from typing import Any

from mindscope.reports import Report
from mindscope.studies.common import Claim, SeedEstimate, add_claims, begin_page, end_page
from mindscope.studies.induction.claims import find_change, find_lags
from mindscope.studies.induction.figures import draw_heads, draw_training
from mindscope.studies.induction.results import HeadCost, HeadScan, InductionStudy

HEAD_COLUMNS = ("head", "prefix matching", "beside", "copying", "previous token", "cost of taking it out")
SHOWN = 20


def head_table(heads: Sequence[HeadCost]) -> list[list[Any]]:
    """A row for each head, under :data:`HEAD_COLUMNS`."""
    return [
        [f"{head.layer}.{head.head}", head.prefix, head.beside, head.copying, head.previous, head.cost]
        for head in heads
    ]


def build_training_page(
    study: InductionStudy, claims: Sequence[Claim], facts: Mapping[str, Any], seconds: Mapping[str, float]
) -> Report:
    """Claims, the phase change, and the heads at the end."""
    report = begin_page(
        "Induction heads",
        "Olsson et al. 2022, rerun: small transformers, trained from scratch",
        "Small models on the organism's corpus and on random tokens that repeat: a test bed. An interval is "
        "Student's, over seeds.",
    )
    add_claims(report, claims)
    report.section(
        "The phase change",
        "A line is a seed. The in-context score is the loss late in the context less that early in it, on "
        "held-out text and repeats.",
    )
    report.figure(draw_training(study), "All scores over training, by kind of model.")
    report.table(
        ["model", "changes at step", "the score's lag, steps", "score at the end", "on text alone"],
        [
            [
                kind.name,
                str(SeedEstimate.of([find_change(kind.steps, curve) for curve in kind.prefix])),
                str(SeedEstimate.of(find_lags(kind))),
                str(SeedEstimate.of([curve[-1] for curve in kind.context_score])),
                str(SeedEstimate.of([curve[-1] for curve in kind.text_score])),
            ]
            for kind in study.kinds
        ],
        "Of a model without induction heads the first two columns are of a curve that only wavers.",
    )
    report.section(
        "Heads",
        "Of the first seed, at the end. The cost is the rise of the loss on repeated tokens, nats a token, "
        "without the head's result: with patterns held, and with patterns free to change.",
    )
    for kind in study.kinds:
        rows = [
            [*row, head.full_cost] for row, head in zip(head_table(kind.heads[0]), kind.heads[0], strict=True)
        ]
        report.table([*HEAD_COLUMNS, "patterns free"], rows, kind.name)
    return end_page(report, facts, seconds)


def build_scan_page(
    scan: HeadScan, claims: Sequence[Claim], facts: Mapping[str, Any], seconds: Mapping[str, float]
) -> Report:
    """Claims, and the heads that match prefixes best."""
    report = begin_page("Induction heads", f"{scan.model}: {scan.n_layers} layers of {scan.n_heads} heads")
    add_claims(report, claims)
    groups = scan.groups
    report.section(
        "Heads",
        "Random tokens, four times over: prefix matching is the attention that goes to what followed a token "
        "before, “beside” the attention to the token after that, a control. The cost is the rise of the loss "
        "on repeated tokens, nats a token, without the head's result and with all patterns held.",
    )
    report.table(
        list(HEAD_COLUMNS), head_table(scan.heads[:SHOWN]), f"The best {SHOWN} at matching prefixes."
    )
    report.figure(draw_heads(scan), "All heads; those that were taken out together have names.")
    report.text(
        f"Random tokens cost {groups.loss_first:.3g} nats where they stand for the first time, and "
        f"{groups.loss:.3g} where they stand again."
    )
    return end_page(report, facts, seconds)
