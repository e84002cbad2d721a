"""What is claimed of features as classifiers, what it takes here to count as shown, and whether it is.

Bricken et al. 2024, "Using Dictionary Learning Features as Classifiers",
transformer-circuits.pub/2024/features-as-classifiers, on requests about biological weapons and another model:
features are competitive with raw activations, generalise better in some settings, and show a spurious cue,
which can be ablated; raw activations stay a strong baseline. That a maximum over tokens does not survive
longer texts and rolling means do is of "Building Production-Ready Probes for Gemini" (arXiv 2601.11516).
"""

from collections.abc import Sequence

import numpy as np

from mindscope.studies.classifiers.results import ClassifiersStudy
from mindscope.studies.classifiers.texts import AS_TRAINED
from mindscope.studies.common import Claim, SeedEstimate

NEAR = 0.02
"""By so much AUROC features may be below raw activations and count as competitive."""


def auroc_table(study: ClassifiersStudy) -> np.ndarray:
    """`[draws, inputs, sets]`."""
    return np.array([draw.auroc for draw in study.shifts])


def list_claims(study: ClassifiersStudy) -> list[Claim]:
    """All claims."""
    return [*_claim_shifts(study), *_claim_planted(study), *_claim_lengths(study)]


def _claim_shifts(study: ClassifiersStudy) -> list[Claim]:
    table, first = auroc_table(study), study.shifts[0]
    near = first.sets.index(AS_TRAINED)
    moved = np.delete(table, near, 2).mean(2)  # draws x inputs
    place = {name: number for number, name in enumerate(first.inputs)}

    def far(name: str) -> np.ndarray:
        return moved[:, place[name]]

    raw = max((name for name in first.inputs if name.startswith("raw")), key=lambda name: far(name).mean())
    within = _of(table[:, place["features, max"], near] - table[:, place[raw], near])
    gaps = {
        name: _of(far("features, max") - far(name))
        for name in (raw, "features, windowed", "features, mean", "tokens")
    }
    subject = "harmful requests"

    def beyond(statement: str, name: str) -> Claim:
        return Claim(
            subject=f"{subject}, out of distribution",
            statement=statement,
            needed="AUROC, mean over the shifts, of max-pooled features less that: interval above 0",
            measured=str(gaps[name]),
            beside={"features, max": str(_of(far("features, max"))), name: str(_of(far(name)))},
            holds=gaps[name].low > 0,
        )

    return [
        Claim(
            subject=f"{subject}, as in training",
            statement="max-pooled features classify as well as raw activations",
            published="competitive",
            needed=f"difference of AUROC: interval above -{NEAR}",
            measured=f"{within} beside {raw}",
            beside={name: str(_of(table[:, place[name], near])) for name in ("features, max", raw, "tokens")},
            holds=within.low > -NEAR,
        ),
        beyond("features generalise better than the best raw activations", raw),
        beyond("the maximum over tokens generalises better than the mean", "features, mean"),
        beyond("features tell more than which tokens are there", "tokens"),
    ]


def _claim_planted(study: ClassifiersStudy) -> list[Claim]:
    draws = study.planted
    ranks = [draw.cue_rank for draw in draws]

    def gain(name: str, beside: str) -> SeedEstimate:
        return _of([getattr(draw, name) - getattr(draw, beside) for draw in draws])

    def mean(name: str) -> str:
        return str(_of([getattr(draw, name) for draw in draws]))

    pairs = zip(_rises(study, "features"), _rises(study, "raw"), strict=True)
    beyond_raw = _of([features - directions for features, directions in pairs])
    rise, others = gain("features_without", "features"), gain("features_without_others", "features")
    raw, random = gain("raw_without", "raw"), gain("raw_without_random", "raw")
    return [
        Claim(
            subject="planted cue",
            statement="a spurious cue is found among the largest weights of the features' classifier",
            published="a spurious feature was found",
            needed=f"one of the first {study.read_back} features is about it, in every draw",
            measured=f"place {', '.join(str(rank or 'none') for rank in ranks)}",
            beside={"features about it": ", ".join(str(len(draw.cue_features)) for draw in draws)},
            holds=all(rank is not None for rank in ranks),
        ),
        Claim(
            subject="planted cue",
            statement="ablating these features mends the classifier where the cue stands on the other side",
            needed="rise of AUROC: interval above 0, and above that of as many others",
            measured=f"{rise}, to {mean('features_without')}",
            beside={
                "others": str(others),
                "before": mean("features"),
                "never planted": mean("clean"),
                "cue as in training": mean("in_place"),
            },
            holds=rise.low > max(0.0, others.high),
        ),
        Claim(
            subject="planted cue",
            statement="it mends more than taking the cue's direction out of raw activations",
            needed="rise beyond that of raw activations: interval above 0",
            measured=str(beyond_raw),
            beside={"raw": f"{raw}, to {mean('raw_without')}", "random direction": str(random)},
            holds=beyond_raw.low > 0,
        ),
    ]


def _rises(study: ClassifiersStudy, kind: str) -> list[float]:
    return [getattr(draw, f"{kind}_without") - getattr(draw, kind) for draw in study.planted]


def _claim_lengths(study: ClassifiersStudy) -> list[Claim]:
    draws, place = study.lengths, {name: n for n, name in enumerate(study.lengths[0].readings)}

    def of(part: str, reading: str) -> list[float]:
        return [getattr(draw, part)[place[reading]] for draw in draws]

    def rise(reading: str) -> SeedEstimate:
        return _of(np.subtract(of("alarms_long", reading), of("alarms_short", reading)))

    lost = {
        reading: np.subtract(of("auroc_short", reading), of("auroc_long", reading))
        for reading in ("mean", "windowed")
    }
    lost_by_mean = _of(lost["mean"] - lost["windowed"])
    saved = _of(np.subtract(of("alarms_long", "max"), of("alarms_long", "windowed")))
    rate = f"threshold at {study.false_alarms:.0%} of short texts"
    return [
        Claim(
            subject="length",
            statement="read by its highest token, a probe raises more false alarms in long conversations",
            needed=f"share of harmless texts, long less short, {rate}: interval above 0",
            measured=str(rise("max")),
            beside={reading: str(rise(reading)) for reading in place if reading != "max"},
            holds=rise("max").low > 0,
        ),
        Claim(
            subject="length",
            statement="the highest of rolling means holds better",
            needed="false alarms in long conversations, maximum less rolling means: interval above 0",
            measured=str(saved),
            beside={
                "recall, max": str(_of(of("recall_long", "max"))),
                "recall, windowed": str(_of(of("recall_long", "windowed"))),
            },
            holds=saved.low > 0,
        ),
        Claim(
            subject="length",
            statement="long conversations cost a mean over all tokens what it could tell",
            needed="AUROC lost from short to long, mean less rolling means: interval above 0",
            measured=str(lost_by_mean),
            beside={f"{reading}, long": str(_of(of("auroc_long", reading))) for reading in place},
            holds=lost_by_mean.low > 0,
        ),
    ]


def _of(values: Sequence[float] | np.ndarray) -> SeedEstimate:
    return SeedEstimate.of([float(value) for value in values], "draws")
