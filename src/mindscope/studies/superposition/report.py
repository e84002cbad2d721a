"""The page of the study."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mindscope.reports import CurveLine, Report, lines_with_bands
from mindscope.studies.common import Claim, SeedEstimate, add_claims, begin_page, end_page
from mindscope.studies.superposition import figures
from mindscope.studies.superposition.results import SuperpositionStudy


def build_page(
    study: SuperpositionStudy, claims: Sequence[Claim], facts: Mapping[str, Any], seconds: Mapping[str, float]
) -> Report:
    """The page: claims first, then a section for each part."""
    report = begin_page(
        "Toy models of superposition",
        "Elhage et al. 2022, rerun: models that keep n features in m dimensions",
        "Toy models on data that a program draws. An interval is Student's, over seeds.",
    )
    add_claims(report, claims, note="Bars were set before measuring; what does not hold is printed.")
    panels = study.panels
    report.section(
        "More features than dimensions",
        f"W\N{MODIFIER LETTER CAPITAL T}W of models with n {panels.features} and m {panels.hidden}; the "
        "importance of feature i is 0.7 to the power i.",
    )
    report.figure(figures.draw_panels(panels), "From dense features, on the left, to sparse ones.")
    report.table(
        ["1 \N{MINUS SIGN} S", "represented", "without a ReLU"],
        [
            [f"{density:g}", str(SeedEstimate.of(ours)), str(SeedEstimate.of(plain))]
            for density, ours, plain in zip(panels.densities, panels.represented, panels.linear, strict=True)
        ],
    )
    report.section("Polytopes", f"Equal features with 1 \N{MINUS SIGN} S = {study.polytopes.density:g}.")
    report.table(
        ["polytope", "n", "m", "expected", "dimensionality", "farthest feature, worst seed"],
        [
            [
                fit.name,
                fit.features,
                fit.hidden,
                fit.expected,
                str(SeedEstimate.of(fit.mean)),
                max(fit.farthest),
            ]
            for fit in study.polytopes.fits
        ],
    )
    report.section("Phase diagrams", "What becomes of one feature among others of importance 1.")
    for panel in study.phases.panels:
        report.figure(figures.draw_phase(panel), f"n {panel.features}, m {panel.hidden}.")
    geometry = study.geometry
    report.section(
        "Geometry",
        f"{geometry.features} equal features in {geometry.hidden} dimensions: a dot is a feature, the line "
        "the mean over the model.",
    )
    report.figure(figures.draw_geometry(geometry), "Features gather at the dimensionalities of polytopes.")
    report.figure(
        figures.draw_savings(study.savings),
        "What features in the corners of a polytope save with the best scale and bias, in variances of a "
        "feature and beyond the 1 that a dimension of its own saves: which is worth most at a density.",
    )
    report.section(
        "Features that go together", "Sets of two in two dimensions, the features of a set in one colour."
    )
    report.figure(figures.draw_sets(study.correlated), "The first seed's weights.")
    _add_attacks(report, study)
    computing = study.computing
    report.section(
        "Computing in superposition",
        f"The absolute value of {computing.features} features, with {computing.hidden} neurons.",
    )
    report.figure(figures.draw_neurons(computing), "What neurons carry of each feature, the first seed.")
    report.table(
        ["1 \N{MINUS SIGN} S", "computed", "without a ReLU", "polysemantic neurons"],
        [
            [f"{density:g}", *(str(SeedEstimate.of(part)) for part in parts)]
            for density, *parts in zip(
                computing.densities,
                computing.computed,
                computing.computed_linear,
                computing.polysemantic,
                strict=True,
            )
        ],
    )
    return end_page(report, facts, seconds)


def _add_attacks(report: Report, study: SuperpositionStudy) -> None:
    bands = study.geometry.bands
    report.section(
        "Attacks", "The rise of the loss under the worst attack, over that of a model without superposition."
    )
    x = [1 / band.density for band in bands]
    report.figure(
        lines_with_bands(
            [
                CurveLine("attacked", [float(np.mean(band.attacked)) for band in bands]),
                CurveLine("features per dimension", [1 / float(np.mean(band.per_feature)) for band in bands]),
                CurveLine(
                    "without a ReLU", [float(np.mean(band.attacked_linear)) for band in bands], baseline=True
                ),
            ],
            x,
            "1 / (1 \N{MINUS SIGN} S)",
            "times",
        ),
        "Vulnerability and features per dimension.",
    )
