"""The page of the study."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from mindscope.jobs import TEST_BED
from mindscope.reports import (
    MUTED,
    CurveLine,
    Report,
    ScatterPoints,
    bars_by_group,
    lines_with_bands,
    scatter,
)
from mindscope.studies.common import Claim, SeedEstimate, add_claims, begin_page, end_page
from mindscope.studies.solu.claims import differences, scores_of
from mindscope.studies.solu.config import GELU, KINDS, ORGANISM, SOLU_NORM, TEXTS
from mindscope.studies.solu.paper import LEVELS
from mindscope.studies.solu.results import KindScores, LevelShares, SoluStudy

MILLINATS = 1000
PER_CENT = 100
NAMED = 6
"""Concepts with names in the figure."""
NEURON_COLUMNS = (
    ("interpretable", False),
    ("interpretable", True),
    ("rules", False),
    ("explained", False),
    ("explained", True),
    ("detected", False),
    ("detected", True),
)
"""Scores, of the neurons and of a rotation of them."""


def build_page(
    study: SoluStudy, claims: Sequence[Claim], facts: Mapping[str, Any], seconds: Mapping[str, float]
) -> Report:
    """Claims, losses, neurons and their rules, small activations, concepts."""
    report = begin_page(
        "Softmax Linear Units",
        "Elhage et al. 2022, rerun: small transformers that differ in their MLP's activation",
        f"{TEST_BED} The real text is {study.real_text}. Intervals are Student's, over seeds that share "
        "their first weights and their rows between kinds.",
    )
    add_claims(report, claims)
    _add_losses(report, study)
    _add_neurons(report, study)
    _add_small(report, study)
    _add_concepts(report, study)
    return end_page(report, facts, seconds)


def _add_losses(report: Report, study: SoluStudy) -> None:
    report.section("Loss", "On held-out text, less that of GeLU with the same seed.")
    others = [kind for kind in KINDS if kind != GELU]
    report.figure(
        _draw_kinds(
            others,
            lambda kind, text: [
                MILLINATS * value
                for value in differences(study.of(kind, text).loss, study.of(GELU, text).loss)
            ],
            "worse than GeLU, thousandths of a nat",
        ),
        "How much worse each kind predicts.",
    )
    report.table(
        ["model", *TEXTS],
        [[kind, *(str(SeedEstimate.of(study.of(kind, text).loss)) for text in TEXTS)] for kind in KINDS],
        "Nats a token.",
    )


def _add_neurons(report: Report, study: SoluStudy) -> None:
    report.section(
        "Neurons",
        "The rule of a neuron is the single token, here, up to three places back, or next, that explains "
        "most of its twenty strongest firings in one half of the held-out rows. Purity is the share that it "
        "explains of the twenty strongest in the other half; from 80 % on a neuron is interpretable. "
        "Detection is the rule's balanced accuracy at telling where the neuron is above half of its highest "
        "activation.",
    )
    kinds = list(KINDS)
    report.figure(
        _draw_kinds(
            kinds,
            lambda kind, text: [
                PER_CENT * value for value in scores_of(study.of(kind, text), "interpretable")
            ],
            "interpretable neurons, per cent",
        ),
        "Neurons whose strongest firings follow one rule.",
    )
    report.table(
        [
            "text",
            "model",
            "interpretable",
            "rotated",
            "different rules",
            "purity",
            "rotated",
            "detection",
            "rotated",
        ],
        [
            [
                scores.text,
                scores.kind,
                *(
                    str(SeedEstimate.of(scores_of(scores, field, rotated=rotated)))
                    for field, rotated in NEURON_COLUMNS
                ),
            ]
            for scores in study.kinds
        ],
    )
    for text in TEXTS:
        for kind in (GELU, SOLU_NORM):
            report.table(
                ["neuron", "fires", "purity", "detection"],
                [
                    [rule.neuron, rule.rule, rule.explained, rule.detected]
                    for rule in study.of(kind, text).examples
                ],
                f"{kind}, {text}: neurons at even steps from the purest to the least pure, first seed.",
            )


def _add_small(report: Report, study: SoluStudy) -> None:
    report.section(
        "Small activations",
        "An activation is small under a tenth of its neuron's highest. Their share of the MLP's output, "
        "before a LayerNorm and behind it, and what the loss rises by without them.",
    )
    report.table(
        ["text", "model", "of all activations", "before LayerNorm", "behind it", "loss without them, nats"],
        [
            [
                scores.text,
                scores.kind,
                *(
                    str(SeedEstimate.of(values))
                    for values in (
                        scores.small.count,
                        scores.small.before,
                        scores.small.behind,
                        scores.small.cost,
                    )
                ),
            ]
            for scores in study.kinds
        ],
    )
    for text in TEXTS:
        report.figure(
            draw_levels(study.of(SOLU_NORM, text).levels),
            f"{SOLU_NORM}, {text}: firings of interpretable neurons that follow their rule, by how strong "
            "they are; bands are over seeds.",
        )


def _add_concepts(report: Report, study: SoluStudy) -> None:
    report.section(
        "Concepts",
        f"{len(study.texts.concepts)} concepts of the organism's world, in {study.texts.rows[0]} texts to "
        f"choose neurons on and {study.texts.rows[1]} to test them on; {study.texts.too_long} texts do not "
        "fit into the context. F1 of the best single neuron, a mean over seeds.",
    )
    best = {kind: _means(study.of(kind, ORGANISM)) for kind in KINDS}
    report.figure(
        draw_concepts(study.texts.concepts, best[GELU], best[SOLU_NORM]),
        "Every concept's best neuron; above the line it is easier to find with SoLU.",
    )
    moved = sorted(
        zip(
            (own - its for own, its in zip(best[SOLU_NORM], best[GELU], strict=True)),
            study.texts.concepts,
            *(best[kind] for kind in KINDS),
            study.texts.tokens,
            strict=True,
        )
    )
    shown = [*moved[:8], *moved[-8:]] if len(moved) > 16 else moved
    report.table(
        ["concept", *KINDS, "best token"],
        [row[1:] for row in shown],
        "The concepts that lose most and gain most.",
    )


def draw_concepts(names: Sequence[str], gelu: Sequence[float], solu: Sequence[float]) -> Figure:
    """Every concept by its best neuron's F1 in both models; those that differ most have names."""
    far = sorted((abs(own - its) for own, its in zip(solu, gelu, strict=True)), reverse=True)[:NAMED]
    labels = [
        name if abs(own - its) >= far[-1] else "" for name, own, its in zip(names, solu, gelu, strict=True)
    ]
    points = ScatterPoints("concepts", gelu, solu, labels)
    figure = scatter([points], f"F1 with {GELU}", f"F1 with {SOLU_NORM}", fit=False)
    figure.axes[0].axline((0, 0), slope=1, color=MUTED, lw=1, ls="--")
    return figure


def draw_levels(levels: Sequence[LevelShares]) -> Figure:
    """The share of firings that follow the rule, from slight to strong, before LayerNorm and behind it."""

    def line(name: str, rows: Sequence[Sequence[float | None]]) -> CurveLine:
        columns = [[value for value in column if value is not None] for column in zip(*rows, strict=True)]
        estimates = [SeedEstimate.of(column) if column else None for column in columns]
        return CurveLine(
            name,
            [own and PER_CENT * own.mean for own in estimates],
            [own and PER_CENT * own.low for own in estimates],
            [own and PER_CENT * own.high for own in estimates],
        )

    middles = [PER_CENT * (low + high) / 2 for low, high in itertools.pairwise(LEVELS)]
    return lines_with_bands(
        [
            line("before LayerNorm", [level.before for level in levels]),
            line("behind it", [level.behind for level in levels]),
        ],
        middles,
        "activation, per cent of the neuron's highest",
        "follow the rule, per cent",
    )


def _draw_kinds(kinds: Sequence[str], values: Any, label: str) -> Figure:
    """A bar for each kind on each text, with its interval; `values(kind, text)` by seed."""
    estimates = {kind: [SeedEstimate.of(values(kind, text)) for text in TEXTS] for kind in kinds}
    return bars_by_group(
        list(TEXTS),
        {kind: [own.mean for own in row] for kind, row in estimates.items()},
        label,
        errors={
            kind: ([own.low for own in row], [own.high for own in row]) for kind, row in estimates.items()
        },
    )


def _means(scores: KindScores) -> list[float]:
    """Of every concept's best neuron, over seeds."""
    return [sum(row) / len(row) for row in scores.concepts.best] if scores.concepts else []
