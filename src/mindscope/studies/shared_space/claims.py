"""What is claimed, what it takes here to count as shown, and whether it is.

Lindsey et al. 2025, "On the Biology of a Large Language Model",
transformer-circuits.pub/2025/attribution-graphs/biology.html: features active in one text in several
languages overlap most in middle layers, at the ends they are those of one language, a larger model shares
more. Templeton et al. 2024, "Scaling Monosemanticity",
transformer-circuits.pub/2024/scaling-monosemanticity: single features answer to a concept in many languages
and in images. Neither has a rate for the second.
"""

import numpy as np

from mindscope.stats import RateEstimate
from mindscope.studies.common import Claim, SeedEstimate
from mindscope.studies.shared_space.config import SharedSpaceConfig
from mindscope.studies.shared_space.results import SharedSpaceStudy

FOUND = 0.5
"""The share of things that a single latent must stand for, lower end of the interval."""


def list_claims(study: SharedSpaceStudy, config: SharedSpaceConfig) -> list[Claim]:
    """All claims."""
    return [*_claim_overlap(study), *_claim_things(study, config)]


def middle_of(study: SharedSpaceStudy) -> int:
    """The block that was named the middle one before looking."""
    return study.n_layers // 2


def gains(study: SharedSpaceStudy) -> np.ndarray:
    """Overlap of a sentence with itself less that with another one, `[blocks, sentences]`."""
    return np.array(study.overlap.same) - np.array(study.overlap.other)


def _claim_overlap(study: SharedSpaceStudy) -> list[Claim]:
    gain, middle = gains(study), middle_of(study)
    own, first, last = (
        _of(gain[middle]),
        _of(gain[middle] - gain[0]),
        _of(gain[middle] - gain[-1]),
    )
    beside = {
        f"block {block}": f"{same:.3f} beside {other:.3f}"
        for block, (same, other) in enumerate(
            zip(np.mean(study.overlap.same, 1), np.mean(study.overlap.other, 1), strict=True)
        )
    }
    subject = "one sentence in three languages"
    return [
        Claim(
            subject=subject,
            statement="features active in it are shared between languages in the middle of the model",
            published="more than unrelated texts share",
            needed=f"overlap beyond that with another sentence of its form, block {middle}: interval above 0",
            measured=str(own),
            beside=beside,
            holds=own.low > 0,
        ),
        Claim(
            subject=subject,
            statement="more in the middle than where the model begins",
            published="middle layers share most",
            needed=f"the same at block {middle} less block 0: interval above 0",
            measured=str(first),
            holds=first.low > 0,
        ),
        Claim(
            subject=subject,
            statement="more in the middle than where it ends",
            published="middle layers share most",
            needed=f"the same at block {middle} less block {study.n_layers - 1}: interval above 0",
            measured=str(last),
            holds=last.low > 0,
        ),
    ]


def _claim_things(study: SharedSpaceStudy, config: SharedSpaceConfig) -> list[Claim]:
    things = study.things
    lowest = np.array(things.aurocs).min(2)  # blocks x things
    block = things.layers.index(middle_of(study))
    found = [bool(score >= config.apart) for score in lowest[block]]
    share = RateEstimate.of(found)
    null = things.null[block]
    bar = f"lowest AUROC over pictures and three languages of at least {config.apart}"
    return [
        Claim(
            subject="things that can be drawn",
            statement="a single latent stands for the thing in pictures and in words of three languages",
            published="single features do; no rate",
            needed=f"share of things whose latent has a {bar}, block {middle_of(study)}: lower end at least "
            f"{FOUND:.0%}, and above every exchange of the pictures' names",
            measured=str(share),
            beside={
                "names exchanged": f"{np.mean(null):.0%}, highest {max(null):.0%} of {len(null)}",
                "best neurons": f"{np.mean(np.array(things.neurons[block]) >= config.apart):.0%}",
                "random dictionary": f"{np.mean(np.array(things.random[block]) >= config.apart):.0%}",
                "words alone": f"{np.mean(np.array(things.words_only[block]) >= config.apart):.0%}",
                "other blocks": ", ".join(
                    f"{layer}: {np.mean(row >= config.apart):.0%}"
                    for layer, row in zip(things.layers, lowest, strict=True)
                    if layer != middle_of(study)
                ),
            },
            holds=share.low >= FOUND and share.share > max(null),
        )
    ]


def _of(values: np.ndarray) -> SeedEstimate:
    return SeedEstimate.of(values.tolist(), "sentences")
