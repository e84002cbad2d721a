"""What two vectors at once do: whether both voices are shown, and what that costs in coherence and facts."""

import numpy as np

from mindscope.studies.common import Claim, SeedEstimate
from mindscope.studies.persona_space.results import PersonaSpaceStudy


def claim_pairs(study: PersonaSpaceStudy) -> list[Claim]:
    """The claims about two vectors, each beside a random second one."""

    def mean(name: str, scale: float = 1.0) -> SeedEstimate:
        return SeedEstimate.of([scale * float(np.mean(getattr(draw, name))) for draw in study.pairs], "draws")

    def lost(name: str, beside: str) -> SeedEstimate:
        return SeedEstimate.of(
            [float(np.mean(getattr(draw, beside)) - np.mean(getattr(draw, name))) for draw in study.pairs],
            "draws",
        )

    coherence, coherence_random = (
        lost("coherence", "coherence_alone"),
        lost("coherence_random", "coherence_alone"),
    )
    facts, facts_random = lost("facts", "facts_alone"), lost("facts_random", "facts_alone")
    return [
        Claim(
            subject="two vectors",
            statement="two vectors at once bring out both voices",
            needed="each voice's score under both: interval above that under half of both vectors",
            measured=str(mean("shown")),
            beside={
                "alone": str(mean("shown_alone")),
                "half of both": str(mean("shown_half")),
                "a random one for the other": str(mean("shown_random")),
                "other voices": f"{mean('others')}, alone {mean('others_alone')}",
            },
            holds=mean("shown").low > mean("shown_half").high,
        ),
        Claim(
            subject="two vectors",
            statement="the second vector costs coherence that a random push does not",
            needed="points lost beyond one vector alone: interval above that with a random second vector",
            measured=str(coherence),
            beside={"random second vector": str(coherence_random), "alone": str(mean("coherence_alone"))},
            holds=coherence.low > max(0.0, coherence_random.high),
        ),
        Claim(
            subject="two vectors",
            statement="and knowledge of facts",
            needed="share of facts lost beyond one vector alone: interval above that with a random one",
            measured=str(facts),
            beside={
                "random second vector": str(facts_random),
                "alone": str(mean("facts_alone")),
                "unsteered": str(mean("facts_unsteered")),
            },
            holds=facts.low > max(0.0, facts_random.high),
        ),
    ]
