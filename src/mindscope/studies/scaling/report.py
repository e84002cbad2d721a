"""The page of the study."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from mindscope.jobs import TEST_BED
from mindscope.reports import CurveLine, Report, ScatterPoints, lines_with_bands, scatter
from mindscope.studies.common import Claim, SeedEstimate, add_claims, begin_page, end_page
from mindscope.studies.scaling.claims import clamp_estimate, mean_or_zero
from mindscope.studies.scaling.laws import SeedLaws, find_optima
from mindscope.studies.scaling.paper import HAS
from mindscope.studies.scaling.results import (
    ClampSeed,
    LawSeed,
    ModelScalingStudy,
    NameSeed,
    NearSeed,
    ScalingStudy,
)

BINS = 8
"""Groups of names, by frequency, that shares are drawn of."""
TITLE = "Scaling dictionaries"
SUBTITLE = "Templeton et al. 2024, rerun: what more compute buys, and which names larger dictionaries find"
OVER = "Intervals are Student's, over seeds, each with its own texts and first weights."


def build_page(
    study: ScalingStudy, claims: Sequence[Claim], facts: Mapping[str, Any], seconds: Mapping[str, float]
) -> Report:
    """Claims, laws, names, neighbourhoods, clamped latents."""
    report = begin_page(TITLE, SUBTITLE, f"{TEST_BED} {OVER}")
    add_claims(report, claims)
    _add_laws(report, study.laws)
    _add_names(report, study.names)
    _add_near(report, study.near)
    _add_clamped(report, study.clamped)
    return end_page(report, facts, seconds)


def build_model_page(
    study: ModelScalingStudy, claims: Sequence[Claim], facts: Mapping[str, Any], seconds: Mapping[str, float]
) -> Report:
    """Claims, laws, neighbourhoods."""
    report = begin_page(
        TITLE,
        SUBTITLE,
        f"Names and clamped latents are left out: they need a world whose truth is known. {OVER}",
    )
    add_claims(report, claims)
    _add_laws(report, study.laws)
    _add_near(report, study.near)
    return end_page(report, facts, seconds)


def _add_laws(report: Report, seeds: Sequence[LawSeed]) -> None:
    report.section(
        "Laws",
        "The loss on held-out tokens: squared error and L1 penalty. Compute is latents times steps; along a "
        "line it is the same, and at the bottom of the valley is the best size for it.",
    )
    report.figure(draw_valleys(seeds), "The loss by size at equal compute, a mean over seeds.")
    report.figure(
        draw_laws(seeds), "The best loss against compute, each seed's law extended to the larger runs."
    )
    laws = [SeedLaws.fit(seed) for seed in seeds]
    computes = [optimum.compute for optimum in laws[0].optima]
    report.table(
        ["compute", "loss", "latents", "steps"],
        [
            [
                f"{compute:g}",
                *(
                    str(SeedEstimate.of([getattr(law.optima[n], field) for law in laws]))
                    for field in ("loss", "latents", "steps")
                ),
            ]
            for n, compute in enumerate(computes)
        ],
        "Optima",
    )
    report.table(
        ["latents", "steps", "loss", "squared error", "active", "alive"],
        [
            [
                run.latents,
                run.steps,
                *(
                    str(SeedEstimate.of([getattr(seed.larger[n], field) for seed in seeds]))
                    for field in ("loss", "error", "active", "alive")
                ),
            ]
            for n, run in enumerate(seeds[0].larger)
        ],
        "Larger runs",
    )


def draw_valleys(seeds: Sequence[LawSeed]) -> Figure:
    """The loss against latents, a line for each compute."""
    sizes = sorted({run.latents for run in seeds[0].runs})
    computes = [optimum.compute for optimum in find_optima(seeds[0].runs)]
    lines = []
    for place, compute in enumerate(computes):
        rows = [[_runs_of(seed, size)[place].loss for size in sizes] for seed in seeds]
        means = [SeedEstimate.of(column) for column in zip(*rows, strict=True)]
        lines.append(
            CurveLine(
                f"{compute:g}",
                [mean.mean for mean in means],
                [mean.low for mean in means],
                [mean.high for mean in means],
            )
        )
    return lines_with_bands(
        lines, [math.log2(size) for size in sizes], "latents, powers of two", "loss on held-out tokens"
    )


def _runs_of(seed: LawSeed, size: int) -> list:
    return sorted((run for run in seed.runs if run.latents == size), key=lambda run: run.steps)


def draw_laws(seeds: Sequence[LawSeed]) -> Figure:
    """The best loss against compute, with the law and the larger runs."""
    laws = [SeedLaws.fit(seed) for seed in seeds]
    points = [(o.compute, o.loss) for law in laws for o in law.optima]
    larger = [(run.compute, run.loss) for seed in seeds for run in seed.larger]
    computes = sorted({compute for compute, _ in (*points, *larger)})
    extended = [(compute, mean_or_zero([law.loss.at(compute) for law in laws])) for compute in computes]
    series = [("best of equal compute", points), ("larger runs", larger), ("the law", extended)]
    return scatter(
        [
            ScatterPoints(name, [math.log2(x) for x, _ in own], [math.log10(y) for _, y in own])
            for name, own in series
        ],
        "compute, powers of two",
        "loss, log10",
        fit=False,
    )


def _add_names(report: Report, seeds: Sequence[NameSeed]) -> None:
    report.section(
        "Names",
        f"{len(seeds[0].names)} countries and states, whose frequencies are dealt at random. A latent is a "
        f"name's if it tells texts that show it with an F1 of {HAS:g} or more, on texts that it was not "
        "chosen on.",
    )
    report.figure(draw_presence(seeds), "Names that have a latent, by how often they are met in training.")
    report.figure(
        draw_rescaled(seeds), "The same against frequency times alive latents: the paper's curves overlap."
    )
    largest = seeds[0].sizes[-1]
    ranked = sorted(range(len(seeds[0].names)), key=lambda n: -seeds[0].frequencies[n])
    report.table(
        ["name", "frequency", *(f"F1, {size.latents} latents" for size in seeds[0].sizes), "random", "token"],
        [
            [
                seeds[0].names[n],
                f"{seeds[0].frequencies[n]:.1e}",
                *(size.f1[n] for size in seeds[0].sizes),
                largest.random[n],
                seeds[0].tokens[n],
            ]
            for n in ranked
        ],
        "First seed",
    )


def _groups(seed: NameSeed) -> list[list[int]]:
    """Names in groups of about as many, the rarest first."""
    ranked = sorted(range(len(seed.names)), key=lambda n: seed.frequencies[n])
    count = min(BINS, len(ranked))
    return [ranked[len(ranked) * n // count : len(ranked) * (n + 1) // count] for n in range(count)]


def _rates(seed: NameSeed, f1s: Sequence[float]) -> list[float]:
    return [mean_or_zero([f1s[n] >= HAS for n in group]) for group in _groups(seed)]


def _middles(seed: NameSeed) -> list[float]:
    least = min(share for share in seed.frequencies if share > 0) / 2
    return [
        mean_or_zero([math.log10(seed.frequencies[n] or least) for n in group]) for group in _groups(seed)
    ]


def draw_presence(seeds: Sequence[NameSeed]) -> Figure:
    """The share of names with a latent against frequency, a line for each size."""
    x = [mean_or_zero(column) for column in zip(*map(_middles, seeds), strict=True)]
    lines = []
    for n, size in enumerate(seeds[0].sizes):
        rows = [_rates(seed, seed.sizes[n].f1) for seed in seeds]
        means = [SeedEstimate.of(column) for column in zip(*rows, strict=True)]
        lines.append(
            CurveLine(
                f"{size.latents} latents",
                [mean.mean for mean in means],
                [max(0.0, mean.low) for mean in means],
                [min(1.0, mean.high) for mean in means],
            )
        )
    random = zip(*(_rates(seed, seed.sizes[-1].random) for seed in seeds), strict=True)
    lines.append(CurveLine("random directions", [mean_or_zero(column) for column in random], baseline=True))
    return lines_with_bands(
        lines, x, "share of training tokens, log10", "names with a latent", ylim=(-0.02, 1.02)
    )


def draw_rescaled(seeds: Sequence[NameSeed]) -> Figure:
    """The same against frequency times alive latents."""
    series = []
    for n, size in enumerate(seeds[0].sizes):
        alive = mean_or_zero([math.log10(max(1, seed.sizes[n].alive)) for seed in seeds])
        x = [mean_or_zero(column) + alive for column in zip(*map(_middles, seeds), strict=True)]
        rates = zip(*(_rates(seed, seed.sizes[n].f1) for seed in seeds), strict=True)
        series.append(ScatterPoints(f"{size.latents} latents", x, [mean_or_zero(column) for column in rates]))
    return scatter(
        series, "frequency times alive latents, log10", "names with a latent", fit=False, joined=True
    )


def _add_near(report: Report, seeds: Sequence[NearSeed]) -> None:
    report.section(
        "Neighbourhoods",
        "Nearest by decoder rows, in the largest dictionary. Children are latents of a larger one whose "
        "nearest row in the smallest is the parent's, and which fire mostly where it fires.",
    )
    families = seeds[0].families
    report.table(
        ["latent of the smallest", "children", "in the largest"],
        [[own.parent, len(own.children), "; ".join(own.children)] for own in families],
        "The largest families, first seed" if families else "No latent has two children in the first seed.",
    )


def _add_clamped(report: Report, seeds: Sequence[ClampSeed]) -> None:
    report.section(
        "Clamped",
        "The latent of a name at multiples of its highest activation, on every token. Questions are about "
        "other things.",
    )
    if all(seed.names for seed in seeds):
        report.figure(draw_clamped(seeds), "Answers that name it, by the multiple; coherence as a share.")
    report.table(
        ["seed", "name", "latent", "F1", "answers that name it", "coherence", "an answer"],
        [
            [
                number,
                own.name,
                own.latent,
                own.f1,
                ", ".join(f"{scores.names:.0%} at {scores.strength:g}" for scores in own.clamped),
                ", ".join(f"{scores.coherence:.0f}" for scores in own.clamped),
                own.example,
            ]
            for number, seed in enumerate(seeds)
            for own in seed.names
        ],
    )


def draw_clamped(seeds: Sequence[ClampSeed]) -> Figure:
    """Shares of answers that name it, with each arm, and their coherence."""
    strengths = [scores.strength for scores in seeds[0].names[0].clamped]
    arms = {
        "its latent": (lambda own: own.clamped, "names", 1.0, False),
        "another latent": (lambda own: own.stranger, "names", 1.0, False),
        "random direction": (lambda own: own.random, "names", 1.0, False),
        "coherence, its latent": (lambda own: own.clamped, "coherence", 0.01, True),
    }
    lines = []
    for name, (arm, field, scale, baseline) in arms.items():
        means = [clamp_estimate(seeds, arm, strength, field) for strength in strengths]
        lines.append(
            CurveLine(
                name,
                [scale * mean.mean for mean in means],
                [max(0.0, scale * mean.low) for mean in means],
                [min(1.0, scale * mean.high) for mean in means],
                baseline=baseline,
            )
        )
    return lines_with_bands(
        lines, strengths, "times its highest activation", "share of answers", ylim=(-0.02, 1.02)
    )
