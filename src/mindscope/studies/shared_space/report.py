"""The page of the study."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mindscope.jobs import TEST_BED
from mindscope.organism import LANGUAGES
from mindscope.organism.mechanisms.pictures import PATCH, SIDE
from mindscope.reports import CurveLine, Report, heatmap, lines_with_bands
from mindscope.reports.style import INK, MUTED, RC, SERIES
from mindscope.studies.common import Claim, SeedEstimate, add_claims, begin_page, end_page
from mindscope.studies.shared_space.config import SharedSpaceConfig
from mindscope.studies.shared_space.results import PictureHeat, SharedSpaceStudy
from mindscope.studies.shared_space.things import CHANNELS, DRAWN_HEATS, KINDS

# What the pictures' colours are drawn in.
PAINTS = {
    "red": "#c0392b",
    "green": "#2e8b57",
    "blue": "#2f6db5",
    "yellow": "#d9b400",
    "black": "#222222",
    "white": "#f4f4f4",
}
SHOWN_THINGS = 8


def build_page(
    study: SharedSpaceStudy,
    config: SharedSpaceConfig,
    claims: Sequence[Claim],
    facts: Mapping[str, Any],
    seconds: Mapping[str, float],
) -> Report:
    """Claims, overlap by block, the things found, pictures with heat on their patches."""
    report = begin_page(
        "One space for languages and pictures",
        f"Lindsey et al. 2025 and Templeton et al. 2024, asked of {study.model}",
        TEST_BED,
    )
    add_claims(report, claims, "Intervals are over sentences, and over things.")
    _add_overlap(report, study)
    _add_things(report, study, config)
    _add_pictures(report, study)
    return end_page(report, facts, seconds)


def _add_overlap(report: Report, study: SharedSpaceStudy) -> None:
    report.section(
        "One sentence in three languages",
        "Features active anywhere in the sentence, intersection over union, a mean over the three pairs of "
        "languages. The null is another sentence of the same form: another word, the same relation.",
    )
    blocks = list(range(study.n_layers))

    def line(name: str, rows: Sequence[Sequence[float]], *, baseline: bool = False) -> CurveLine:
        means = [SeedEstimate.of(row, "sentences") for row in rows]
        return CurveLine(
            name,
            [mean.mean for mean in means],
            [mean.low for mean in means],
            [mean.high for mean in means],
            baseline=baseline,
        )

    report.figure(
        lines_with_bands(
            [
                line("the same sentence", study.overlap.same),
                line("another sentence", study.overlap.other, baseline=True),
            ],
            blocks,
            "block",
            "overlap",
        ),
        "Overlap of active features between languages.",
    )
    report.table(
        ["block", "same", "another", "SAE's explained variance"],
        [
            [block, float(np.mean(same)), float(np.mean(other)), explained]
            for block, same, other, explained in zip(
                blocks, study.overlap.same, study.overlap.other, study.overlap.explained, strict=True
            )
        ],
    )


def _add_things(report: Report, study: SharedSpaceStudy, config: SharedSpaceConfig) -> None:
    things = study.things
    report.section(
        "Things in pictures and words",
        "Of each thing the latent whose lowest AUROC over the channels is highest on half of the texts, read "
        f"on the other half. It stands for the thing where the lowest is at least {config.apart}.",
    )
    lowest = np.array(things.aurocs).min(2)
    kinds = np.array(things.kinds)
    shares = [[100 * float((row[kinds == kind] >= config.apart).mean()) for kind in KINDS] for row in lowest]
    report.figure(
        heatmap(shares, [f"block {layer}" for layer in things.layers], KINDS, limit=100),
        "Things found, in per cent of each kind.",
    )
    best = lowest.argmax(0)
    report.table(
        ["thing", "kind", "block", "latent", *CHANNELS],
        [
            [
                thing,
                kind,
                things.layers[block],
                things.latents[block][number],
                *things.aurocs[block][number],
            ]
            for number, (thing, kind, block) in enumerate(zip(things.things, things.kinds, best, strict=True))
        ],
        f"At the block where it is told apart best; AUROC in pictures and in {', '.join(LANGUAGES)}.",
    )


def _add_pictures(report: Report, study: SharedSpaceStudy) -> None:
    heats = study.pictures.heats
    report.section(
        "Where in the picture",
        "A frame is the latent's activation on that patch, as thick as it is strong; the number is its "
        "highest activation in the question behind the picture.",
    )
    if not heats:
        report.text("No thing was found at any block.")
        return
    names = list(dict.fromkeys(heat.thing for heat in heats))[:SHOWN_THINGS]
    report.figure(
        draw_pictures([[heat for heat in heats if heat.thing == name] for name in names]),
        "Pictures of the first things that were found, with heat on their patches.",
    )


def draw_pictures(rows: Sequence[Sequence[PictureHeat]]) -> Figure:
    """Pictures side by side, a thing a row, with the activation of its latent on every patch."""
    with mpl.rc_context(RC):
        figure = Figure(figsize=(2.1 * DRAWN_HEATS, 2.3 * len(rows)))
        axes = figure.subplots(len(rows), DRAWN_HEATS, squeeze=False)
        for own, line in zip(rows, axes, strict=True):
            limit = max((max(*heat.patches, heat.question) for heat in own), default=0.0) or 1.0
            for place, ax in enumerate(line):
                ax.axis("off")
                if place < len(own):
                    _draw_picture(ax, own[place], limit)
    return figure


def _draw_picture(ax: Any, heat: PictureHeat, limit: float) -> None:
    ax.set_xlim(-0.2, SIDE + 0.2)
    ax.set_ylim(SIDE + 0.2, -0.2)
    ax.set_aspect("equal")
    ax.set_title(f"{heat.thing}, {heat.layer}/{heat.latent}: {abs(heat.question):.1f}", fontsize=8, color=INK)
    ax.add_patch(Rectangle((0, 0), SIDE, SIDE, fill=False, edgecolor=MUTED, linewidth=0.6))
    for y, line in enumerate(heat.pixels):
        for x, colour in enumerate(line):
            if colour is not None:
                ax.add_patch(Rectangle((x, y), 1, 1, facecolor=PAINTS[colour], linewidth=0))
    across = SIDE // PATCH
    for number, value in enumerate(heat.patches):
        if value > 0:
            y, x = (PATCH * n for n in divmod(number, across))
            share = min(value / limit, 1.0)
            ax.add_patch(
                Rectangle(
                    (x + 0.15, y + 0.15),
                    PATCH - 0.3,
                    PATCH - 0.3,
                    fill=False,
                    edgecolor=SERIES[1],
                    linewidth=0.5 + 2.5 * share,
                )
            )
