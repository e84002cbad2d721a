"""The page of the study."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mindscope.jobs import TEST_BED
from mindscope.reports import CurveLine, Report, ScatterPoints, heatmap, lines_with_bands, scatter
from mindscope.studies.common import Claim, SeedEstimate, add_claims, begin_page, end_page
from mindscope.studies.persona_space.claims import LEAST_JUDGED
from mindscope.studies.persona_space.draw_means import (
    blended_together,
    co_expression,
    grips,
    judged_poles,
    shares_of_effect,
    shown_together,
)
from mindscope.studies.persona_space.results import PersonaGeometry, PersonaSpaceStudy, RealTraitsStudy


def build_page(
    study: PersonaSpaceStudy, claims: Sequence[Claim], facts: Mapping[str, Any], seconds: Mapping[str, float]
) -> Report:
    """Claims, the carriers, the space, traits together, readers."""
    report = begin_page(
        "Persona space",
        f"{study.model}, layer {study.layer}: {len(study.voices) - 1} voices as vectors, and their carriers",
        TEST_BED,
    )
    add_claims(report, claims, "Intervals are Student's, or said to be others.")
    _add_carriers(report, study)
    _add_space(report, study.geometry, study.voices[1:])
    _add_together(report, study)
    _add_readers(report, study)
    return end_page(report, facts, seconds)


def build_real_page(
    study: RealTraitsStudy, claims: Sequence[Claim], facts: Mapping[str, Any], seconds: Mapping[str, float]
) -> Report:
    """Claims, the space, traits together."""
    report = begin_page(
        "Persona space", f"{study.model}, layer {study.layer}: {len(study.voices) - 1} traits as vectors"
    )
    add_claims(report, claims, "Intervals are Student's, or said to be others.")
    _add_space(report, study.geometry, study.voices[1:], numbers=False)
    judged = judged_poles(study)
    report.section(
        "Traits together",
        "A trait's score where another one was told, over answers without a system prompt, both ways. Scores "
        "are of contrast judges: a classifier of each trait's answers against its opposite's, fitted on "
        "other draws.",
    )
    if len(judged) >= LEAST_JUDGED:
        cosines = np.array(study.geometry.cosines)[np.ix_(judged, judged)]
        pairs = np.triu_indices(len(judged), 1)
        report.figure(
            scatter(
                [ScatterPoints("pairs", cosines[pairs], co_expression(study)[pairs])],
                "cosine of the vectors",
                "the other trait's score, beyond no prompt",
            ),
            "Pairs of traits; those of a trait and its opposite lie to the left below.",
        )
    names = study.voices[1 : 1 + len(study.voices) // 2]
    report.table(
        ["trait", "held-out AUROC of its judge, by draw"],
        [
            [
                name,
                ", ".join(
                    "not told apart" if draw.aurocs[place] is None else f"{draw.aurocs[place]:.2f}"
                    for draw in study.judged
                ),
            ]
            for place, name in enumerate(names)
        ],
    )
    return end_page(report, facts, seconds)


def _add_carriers(report: Report, study: PersonaSpaceStudy) -> None:
    report.section(
        "What carries a persona",
        "Dictionary features are chosen by orthogonal matching pursuit on a character's vector. Below is the "
        "effect of the vector rebuilt from them, as a share of the whole vector's effect on the character's "
        "score; bands are intervals over characters.",
    )
    lines = []
    for part, name in (
        ("rebuilt", "rebuilt from the features"),
        ("rest", "what is left"),
        ("random", "rebuilt from random directions"),
    ):
        rows = [SeedEstimate.of(column.tolist(), "characters") for column in shares_of_effect(study, part).T]
        lines.append(
            CurveLine(
                name,
                [row.mean for row in rows],
                [row.low for row in rows],
                [row.high for row in rows],
                baseline=part == "random",
            )
        )
    report.figure(
        lines_with_bands(
            lines, np.log2(study.feature_counts).tolist(), "features, log2", "share of the effect"
        ),
        "How far a few features go.",
    )
    first = study.persona_carriers[0]
    column = study.feature_counts.index(study.carriers)

    def mean(name: str, place: int) -> float:
        return float(np.mean([getattr(draw, name)[place] for draw in study.persona_carriers]))

    report.table(
        [
            "character",
            "features, the first draw's",
            "share of the norm²",
            "unsteered",
            "whole",
            "rebuilt",
            "rest",
            "told",
            "taken out",
            "another's taken out",
        ],
        [
            [
                study.voices[place + 1],
                ", ".join(map(str, first.features[place])),
                float(np.mean([draw.held[place][column] for draw in study.persona_carriers])),
                mean("unsteered", place),
                mean("whole", place),
                float(np.mean([draw.rebuilt[place][column] for draw in study.persona_carriers])),
                float(np.mean([draw.rest[place][column] for draw in study.persona_carriers])),
                mean("told", place),
                mean("told_without", place),
                mean("told_without_others", place),
            ]
            for place in range(study.n_characters)
        ],
        f"Scores of the character, 0 to 100, with {study.carriers} features.",
    )


def _add_space(
    report: Report, geometry: PersonaGeometry, names: Sequence[str], *, numbers: bool = True
) -> None:
    report.section(
        "The space",
        "Every voice's vector is its mean activation over answers less the helpful voice's. Variance is of "
        "another draw of answers.",
    )
    if numbers:
        report.figure(
            heatmap(geometry.cosines, names, [name[:4] for name in names], limit=1.0),
            "Cosines of the vectors.",
        )
    ours, random = np.array(geometry.spectra), np.array(geometry.random_spectra)
    report.figure(
        lines_with_bands(
            [
                CurveLine("voices", ours.mean(0), ours.min(0), ours.max(0)),
                CurveLine("random vectors", random.mean(0), random.min(0), random.max(0), baseline=True),
            ],
            list(range(1, ours.shape[1] + 1)),
            "components",
            "variance held",
            ylim=(0, 1),
        ),
        "The variance of another draw's voices that the first components hold; bands are all draws.",
    )
    report.table(
        ["component", "its cosine with the assistant axis"],
        [
            [number + 1, str(SeedEstimate.of(list(column), "draws"))]
            for number, column in enumerate(zip(*geometry.axis_cosines, strict=True))
        ][:6],
        "The axis is the mean of answers without a system prompt, less the mean of all roles.",
    )


def _add_together(report: Report, study: PersonaSpaceStudy) -> None:
    names, n = study.voices[1:], study.n_characters
    report.section(
        "Traits together",
        "A voice's score under another voice's vector, over what is shown unsteered, both ways; and the "
        "lesser of two characters' scores where both are asked for.",
    )
    steered = np.mean([draw.steered for draw in study.steered], 0)[:, 1:]
    report.figure(
        heatmap(steered, names, [name[:4] for name in names], xlabel="what is shown", ylabel="vector"),
        "What answers show under each vector, 0 to 100.",
    )
    cosines = np.array(study.geometry.cosines)
    pairs = np.triu_indices(len(names), 1)
    inner = np.triu_indices(n, 1)
    report.figure(
        scatter(
            [ScatterPoints("under one vector", cosines[pairs], shown_together(study)[pairs])],
            "cosine of the vectors",
            "the other voice's score",
        ),
        "Pairs of voices: cosine, and what one vector brings out of the other voice.",
    )
    report.figure(
        scatter(
            [ScatterPoints("both asked for", cosines[:n, :n][inner], blended_together(study)[inner])],
            "cosine of the vectors",
            "the lesser score",
        ),
        "Pairs of characters: cosine, and how much of both is shown where both are asked for.",
    )


def _add_readers(report: Report, study: PersonaSpaceStudy) -> None:
    grip, n = grips(study), study.n_characters
    linear = np.mean([draw.linear[1:] for draw in study.readers], 0)
    wide = np.mean([draw.wide[1:] for draw in study.readers], 0)
    report.section(
        "Does a grip need linearity?",
        "Grip: what a vector brings out of its voice, as a share of what system prompts do. R²: how well "
        "the voice's score is read from the prompt's last token, by ridge regression and by a perceptron.",
    )
    report.figure(
        scatter(
            [
                ScatterPoints("characters", linear[:n], grip[:n], study.voices[1 : n + 1]),
                ScatterPoints("opposites", linear[n:], grip[n:], study.voices[n + 1 :]),
            ],
            "R² of the linear reader",
            "grip",
            fit=False,
        ),
        "How linearly a voice can be read, and how strong a grip its vector has.",
    )
    report.table(
        ["voice", "grip", "R², linear", "R², non-linear"],
        [list(row) for row in zip(study.voices[1:], grip, linear, wide, strict=True)],
    )
