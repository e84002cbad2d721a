"""What was published, to be shown beside what is measured: Chen et al. 2025, arXiv 2507.21509, Qwen2.5-7B."""

# Trait -> r over graded system prompts, and within one prompt.
MONITORING = {"evil": (0.747, 0.511), "sycophantic": (0.798, 0.669), "hallucinating": (0.830, 0.245)}
# Trait -> r over 0 to 20 shots, and within one number of shots.
SHOTS = {"evil": (0.755, 0.735), "sycophantic": (0.817, 0.813), "hallucinating": (0.634, 0.400)}
# Trait -> r of the shift with the trait score after tuning.
SHIFT = {"evil": 0.826, "sycophantic": 0.758, "hallucinating": 0.916}
# Trait -> r of the projection difference with the shift: against own answers, against the last prompt token.
DIFFERENCE = {"evil": (0.839, 0.931), "sycophantic": (0.745, 0.581), "hallucinating": (0.408, 0.689)}
# What was said of the two other ways of preventing.
CAFT = "removes evil and sycophancy and leaves much of hallucination"
PENALTY = "prevents little"
# Other names under which the traits go.
ALIASES = {"sycophancy": "sycophantic", "hallucination": "hallucinating"}


def published(table: dict[str, tuple[float, float]], trait: str) -> tuple[float | None, float | None]:
    """The published pair of a trait, or two gaps."""
    return table.get(ALIASES.get(trait, trait), (None, None))
