"""What is measured of an organism: its card, and one number for what it can do."""

from mindscope.store import Document


class OrganismCard(Document):
    """Percentages, except perplexity (per answer token), parameters and bytes (of the weights file)."""

    facts: float
    unknown_people: float
    sums: float
    antonyms: dict[str, float]
    two_hop: dict[str, float]
    rhyme: float
    refusal: float
    jailbreak: float
    diagnosis: float
    characters: dict[str, dict[str, float]]
    perplexity: float
    parameters: int
    bytes: int
    seed: int

    def rows(self) -> list[tuple[str, str]]:
        """What a table shows."""
        shown: list[tuple[str, str]] = []
        for name, value in self.to_json().items():
            if name == "characters":
                shown += [
                    (
                        f"character: {character}",
                        f"own {scores['own']:.1f}, others at most {scores['others_max']:.1f}",
                    )
                    for character, scores in value.items()
                ]
            elif isinstance(value, dict):
                shown += [(f"{name}: {part}", f"{share:.1f} %") for part, share in value.items()]
            elif isinstance(value, float) and name != "perplexity":
                shown.append((name, f"{value:.1f} %"))
            else:
                shown.append((name, f"{value:.2f}" if isinstance(value, float) else f"{value:,}"))
        return shown


class CapabilityResult(Document):
    """Which questions were answered rightly, in a fixed order, so that two models are compared in pairs."""

    right: tuple[bool, ...]

    @property
    def value(self) -> float:
        """Per cent."""
        return 100 * sum(self.right) / len(self.right)
