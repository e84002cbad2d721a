"""The page of the study."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from mindscope.jobs import TEST_BED
from mindscope.reports import CurveLine, Report, bars_by_layer, heatmap, lines_with_bands
from mindscope.studies.common import Claim, SeedEstimate, add_claims, begin_page, end_page
from mindscope.studies.crosscoders.claims import depth_of, numbers_of, scores_of
from mindscope.studies.crosscoders.config import (
    ACAUSAL,
    CAUSAL,
    CODERS,
    L1,
    L1_SHARED,
    L1_TWICE,
    PAIRS,
    SHUFFLED,
    TOP,
    TOP_ACAUSAL,
    TOP_SINGLE,
)
from mindscope.studies.crosscoders.exclusive import STEPS
from mindscope.studies.crosscoders.results import CrosscodersStudy, LayerSeed, PairScores, PairSeed

PER_CENT = 100


def build_page(
    study: CrosscodersStudy, claims: Sequence[Claim], facts: Mapping[str, Any], seconds: Mapping[str, float]
) -> Report:
    """Claims, coders of layers, lives through depth, concepts, pairs of models."""
    report = begin_page(
        "Crosscoders",
        "Lindsey et al. 2024 and 2025, Minder et al. 2025, rerun: what layers share, two models do not",
        f"{TEST_BED} Intervals are Student's, over seeds, each with its own tokens, weights and tuning.",
    )
    add_claims(report, claims)
    _add_layers(report, study.layers)
    _add_depth(report, study.layers)
    _add_concepts(report, study.layers)
    _add_pairs(report, study.pairs)
    return end_page(report, facts, seconds)


def _add_layers(report: Report, seeds: Sequence[LayerSeed]) -> None:
    report.section(
        "Coders of all layers",
        "On held-out tokens; activations of every layer are scaled to a mean norm of the square root of "
        "their width. Errors, penalties and active latents of SAEs are summed over layers.",
    )
    report.figure(
        draw_explained(seeds, (TOP_ACAUSAL, TOP_SINGLE)),
        "Explained variance by block, with as many latents and as many of them active in every block.",
    )

    def cell(name: str, field: str) -> str:
        return str(SeedEstimate.of(numbers_of(seeds, name, lambda coder: getattr(scores_of(coder), field))))

    report.table(
        ["coder", "latents", "loss", "squared error", "active latents", "alive"],
        [
            [
                name,
                scores_of(seeds[0].of(name)).latents,
                *(cell(name, field) for field in ("loss", "error", "active", "alive")),
            ]
            for name in CODERS
        ],
        "The loss has the same penalty for all; with BatchTopK there is none of it in training.",
    )


def _add_depth(report: Report, seeds: Sequence[LayerSeed]) -> None:
    report.section(
        "Through depth",
        "Norms of a latent's decoder rows, layer by layer, as shares of its largest. Latents are grouped by "
        "the layer where they are strongest.",
    )
    for name in (ACAUSAL, SHUFFLED):
        report.figure(
            draw_lives(seeds, name), f"{name}, L1: the mean life of latents that peak in each layer."
        )
    followed = [
        coder.name for coder in seeds[0].coders if coder.depth is not None and coder.scores is not None
    ]
    report.table(
        ["coder", "of one layer", "large in most layers", "cosine with the peak", "peaks, by layer"],
        [[name, *_depth_cells(seeds, name)] for name in followed],
        f"{CAUSAL}: latents that read the last layer write no other.",
    )


def _depth_cells(seeds: Sequence[LayerSeed], name: str) -> list[str]:
    depths = [depth_of(seed.of(name)) for seed in seeds]
    cosines = [depth.cosine for depth in depths if depth.cosine is not None]
    peaks = [sum(column) / len(depths) for column in zip(*(depth.peaks for depth in depths), strict=True)]
    return [
        str(SeedEstimate.of([depth.single for depth in depths])),
        str(SeedEstimate.of([depth.spanning for depth in depths])),
        str(SeedEstimate.of(cosines)) if cosines else "none is large in two",
        ", ".join(f"{peak:.0%}" for peak in peaks),
    ]


def _add_concepts(report: Report, seeds: Sequence[LayerSeed]) -> None:
    report.section(
        "Known concepts",
        f"{', '.join(str(seed.concepts) for seed in seeds)} concepts of the organism's world. F1 of the best "
        "single latent of each, chosen on one half of the texts and tested on the other; the best token's is "
        f"{SeedEstimate.of([seed.tokens for seed in seeds])}.",
    )
    report.table(
        ["coder", "F1", "beyond the best token", "found (F1 of 0.9, above the token's)"],
        [
            [
                coder.name,
                *(
                    str(
                        SeedEstimate.of(
                            numbers_of(seeds, coder.name, lambda own, f=field: getattr(own.concepts, f))
                        )
                    )
                    for field in ("f1", "beyond", "found")
                ),
            ]
            for coder in seeds[0].coders
        ],
    )
    lives = seeds[0].lives
    if lives:
        report.figure(
            heatmap(
                [life.norms for life in lives],
                [life.concept for life in lives],
                [f"block {layer}" for layer in range(len(lives[0].norms))],
            ),
            f"{TOP_ACAUSAL}, first seed: norms of the latents that stand for concepts best.",
        )
        report.table(
            ["concept", "latent", "F1", "best token"],
            [[life.concept, life.latent, life.f1, life.token] for life in lives],
        )


def _add_pairs(report: Report, seeds: Sequence[PairSeed]) -> None:
    moved = SeedEstimate.of([seed.moved for seed in seeds])
    report.section(
        "Two models",
        "A crosscoder reads one block of the base and of the tuned model. A latent's share of norm in the "
        "tuned model is 0 where only the base has it and 1 where only the tuned model has. Tuning moved "
        f"activations by {moved} of their variance.",
    )
    report.figure(
        draw_norms(seeds, (L1, L1_SHARED, TOP, L1_TWICE)),
        "Active latents by their share of norm in the tuned model, a mean over seeds.",
    )
    report.table(
        [
            "crosscoder",
            "seed",
            "explained",
            "active",
            "alive",
            "base's",
            "tuned model's",
            "shared",
            "density, exclusive",
            "density, shared",
            "claimed",
            "shrunk",
            "decoupled",
            "real",
        ],
        [[name, number, *_pair_cells(seed.of(name))] for name in PAIRS for number, seed in enumerate(seeds)],
        "Exclusive from 95 % of the norm on; claimed for the tuned model from 90 % on.",
    )


def _pair_cells(pair: PairScores) -> list[Any]:
    return [
        pair.explained,
        pair.active,
        pair.alive,
        *pair.exclusive,
        pair.shared,
        *pair.density,
        pair.claimed,
        pair.shrunk,
        pair.decoupled,
        pair.real,
    ]


def draw_explained(seeds: Sequence[LayerSeed], names: Sequence[str]) -> Figure:
    """Explained variance by layer, with intervals over seeds."""
    estimates = {
        name: [
            SeedEstimate.of([PER_CENT * share for share in layer])
            for layer in zip(*(scores_of(seed.of(name)).explained for seed in seeds), strict=True)
        ]
        for name in names
    }
    return bars_by_layer(
        {name: [own.mean for own in row] for name, row in estimates.items()},
        "explained variance, per cent",
        errors={
            name: ([own.low for own in row], [own.high for own in row]) for name, row in estimates.items()
        },
    )


def draw_lives(seeds: Sequence[LayerSeed], name: str) -> Figure:
    """The mean norms of latents by the layer where they peak; layers where none peaks are left out."""
    lives = [depth_of(seed.of(name)).lives for seed in seeds]
    layers = range(len(lives[0]))
    lines = []
    for peak in layers:
        own = [life[peak] for life in lives if any(life[peak])]
        if own:
            means = [SeedEstimate.of(column) for column in zip(*own, strict=True)]
            lines.append(
                CurveLine(
                    f"peak at block {peak}",
                    [mean.mean for mean in means],
                    [mean.low for mean in means],
                    [mean.high for mean in means],
                )
            )
    return lines_with_bands(lines, list(layers), "block", "norm, share of the largest")


def draw_norms(seeds: Sequence[PairSeed], names: Sequence[str]) -> Figure:
    """How many latents have which share of norm in the tuned model."""
    middles = [(place + 0.5) / STEPS for place in range(STEPS)]
    lines = []
    for name in names:
        rows = [seed.of(name).norms for seed in seeds]
        lines.append(CurveLine(name, [sum(column) / len(rows) for column in zip(*rows, strict=True)]))
    return lines_with_bands(lines, middles, "share of norm in the tuned model", "latents")
