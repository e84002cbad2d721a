"""Correlations of claims: as they are measured here, and as Chen et al. 2025 (arXiv 2507.21509) have them."""

from collections.abc import Hashable, Sequence

from mindscope.stats import Numbers, PearsonEstimate, pearson

MONITORING = {"evil": (0.747, 0.511), "sycophantic": (0.798, 0.669), "hallucinating": (0.830, 0.245)}
"""Published for Qwen2.5-7B, trait to r over graded system prompts, and within one prompt."""
SHOTS = {"evil": (0.755, 0.735), "sycophantic": (0.817, 0.813), "hallucinating": (0.634, 0.400)}
"""Trait to r over 0 to 20 shots, and within one number of shots."""
SHIFT = {"evil": 0.826, "sycophantic": 0.758, "hallucinating": 0.916}
"""Trait to r of the shift with the trait score after tuning."""
DIFFERENCE = {"evil": (0.839, 0.931), "sycophantic": (0.745, 0.581), "hallucinating": (0.408, 0.689)}
"""Trait to r of the projection difference with the shift: against own answers, and the last prompt token."""
ALIASES = {"sycophancy": "sycophantic", "hallucination": "hallucinating"}
"""Other names under which the traits go."""


class ClaimCorrelation(PearsonEstimate):
    """The correlation of a claim, and how many points it rests on."""

    points: int


def correlate(
    x: Numbers, y: Numbers, units: Sequence[Hashable] | None = None, seed: int = 0
) -> ClaimCorrelation:
    """Of the points ``x, y``; those of a unit are drawn together. Every point is a unit by default."""
    return ClaimCorrelation(**pearson(x, y, units, seed).to_json(), points=len(x))


def published_monitoring(way: str, trait: str) -> tuple[float | None, float | None]:
    """R over all prompts or shots, and within one of them; gaps where the paper has none."""
    table = MONITORING if way == "system prompts" else SHOTS
    return table.get(ALIASES.get(trait, trait), (None, None))


def published_shift(trait: str) -> float | None:
    """R of the shift with the trait score after tuning."""
    return SHIFT.get(ALIASES.get(trait, trait))


def published_difference(trait: str) -> tuple[float | None, float | None]:
    """R of the projection difference with the shift: against own answers, against the last prompt token."""
    return DIFFERENCE.get(ALIASES.get(trait, trait), (None, None))
