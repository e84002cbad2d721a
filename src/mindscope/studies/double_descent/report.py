"""The page of the study."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mindscope.reports import Report, heatmap
from mindscope.studies.common import Claim, SeedEstimate, add_claims, begin_page, end_page
from mindscope.studies.double_descent.figures import draw_descent, draw_places
from mindscope.studies.double_descent.results import DoubleDescentStudy


def build_page(
    study: DoubleDescentStudy, claims: Sequence[Claim], facts: Mapping[str, Any], seconds: Mapping[str, float]
) -> Report:
    """Claims, then all in one figure, the vectors, the plane, and what stands several times."""
    report = begin_page(
        "Superposition, memorisation and double descent",
        "Henighan et al. 2023, rerun: toy models on a fixed set of samples",
        "Toy models on data that a program draws. An interval is Student's, over training sets.",
    )
    add_claims(report, claims)
    report.section(
        "Samples or features",
        f"{study.features} features, each active in {study.density:.2%} of samples, "
        f"{study.sizes[0].hidden} hidden "
        "dimensions. Above a line is a training set, below a dot is a sample or a feature.",
    )
    report.figure(draw_descent(study), "The test loss peaks where neither samples nor features are stored.")
    if study.sizes[0].sample_places:
        report.figure(draw_places(study.sizes), "What is stored, the first training set; scales differ.")
    report.table(
        ["T", "training loss", "test loss", "samples", "features", "|W|"],
        [
            [
                size.samples,
                *(
                    str(SeedEstimate.of(part))
                    for part in (
                        size.train_loss,
                        size.test_loss,
                        size.samples_share,
                        size.features_share,
                        size.weight_norm,
                    )
                ),
            ]
            for size in study.sizes
        ],
    )
    hidden, samples = (
        sorted({getattr(size, name) for size in study.plane}) for name in ("hidden", "samples")
    )
    table = {(size.hidden, size.samples): float(np.mean(size.test_loss)) for size in study.plane}
    report.section("Over model size and data", "The mean test loss.")
    report.figure(
        heatmap([[table[m, t] for t in samples] for m in hidden], hidden, samples, xlabel="T", ylabel="m"),
        "Test loss by hidden dimensions and samples.",
    )
    report.section(
        "Samples that stand several times",
        "A few samples stand k times among others that stand once. AUROC says how well dimensionality, "
        "or the loss, "
        "tells them apart.",
    )
    report.table(
        ["k", "their dimensionality", "of the others", "AUROC", "AUROC by loss"],
        [
            [
                part.repeats,
                *(
                    str(SeedEstimate.of(values))
                    for values in (part.share_repeated, part.share_once, part.auroc, part.auroc_loss)
                ),
            ]
            for part in study.repeated
        ],
    )
    planted = study.planted
    report.section(
        "In a small language model",
        f"{planted.planted} of {planted.rows} rows of the organism's corpus stand {planted.times} times "
        "as often as "
        "the others in the training of a small transformer.",
    )
    report.table(
        ["what tells them apart", "AUROC"],
        [
            ["dimensionality of the hidden vector", str(SeedEstimate.of(planted.auroc))],
            ["the same before training", str(SeedEstimate.of(planted.auroc_before))],
            ["the loss of the row", str(SeedEstimate.of(planted.auroc_loss))],
        ],
        f"Loss of planted rows {SeedEstimate.of(planted.loss_planted)}, of the others "
        f"{SeedEstimate.of(planted.loss_once)} nats a token.",
    )
    return end_page(report, facts, seconds)
