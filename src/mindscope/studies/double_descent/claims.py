"""What the paper claims, what it takes here to count as shown, and whether it is.

Henighan et al. 2023, "Superposition, Memorization, and Double Descent",
transformer-circuits.pub/2023/toy-double-descent. Sizes were found on two seeds with 256 and with 1,000
features. There the curves of the two dimensionalities were seen to cross before the test loss peaks, so the
claim is about the order: samples give way, the loss peaks, features take over.
"""

import itertools
from collections.abc import Sequence

import numpy as np

from mindscope.studies.common import Claim, SeedEstimate
from mindscope.studies.double_descent.descent import VERTICES
from mindscope.studies.double_descent.results import (
    DoubleDescentStudy,
    PlantedRows,
    RepeatedSamples,
    SampleSize,
)

CLOSE = 0.1
"""How far the dimensionality of samples may be from m / T in the smallest sets, relative to it."""
TAKEN = 0.5
"""Features have taken over where their dimensionality is at this share of what it is in the largest set."""
FOUND = 0.9
"""The AUROC above which repeated samples count as told apart."""


def find_peak(sizes: Sequence[SampleSize], seed: int) -> int:
    """The number of the size at which the test loss is highest."""
    return int(np.argmax([size.test_loss[seed] for size in sizes]))


def find_crossing(sizes: Sequence[SampleSize], seed: int) -> float | None:
    """T at which features overtake samples for good, between two sizes on logarithmic axes; None where they
    do not.
    """
    difference = [np.log(size.features_share[seed] / max(size.samples_share[seed], 1e-12)) for size in sizes]
    below = np.flatnonzero(np.array(difference) < 0)
    if not len(below) or below[-1] == len(sizes) - 1:
        return None
    last = int(below[-1])
    share = difference[last] / (difference[last] - difference[last + 1])
    ends = np.log([sizes[last].samples, sizes[last + 1].samples])
    return float(np.exp(ends[0] + share * (ends[1] - ends[0])))


def find_takeover(sizes: Sequence[SampleSize], seed: int) -> int:
    """The first T from which on features have half of the dimensionality that they have in the largest
    set.
    """
    bar = TAKEN * sizes[-1].features_share[seed]
    under = [number for number, size in enumerate(sizes) if size.features_share[seed] < bar]
    return sizes[under[-1] + 1 if under else 0].samples


def list_claims(study: DoubleDescentStudy) -> list[Claim]:
    """All claims."""
    return [
        *_claim_sizes(study),
        _claim_plane(study),
        *_claim_repeated(study.repeated),
        _claim_planted(study.planted),
    ]


def _claim_sizes(study: DoubleDescentStudy) -> list[Claim]:
    sizes = study.sizes
    seeds = range(len(sizes[0].test_loss))
    subject = f"n {study.features}, m {sizes[0].hidden}"
    first = sizes[0]
    polygon = [share * first.samples / first.hidden for share in first.samples_share]
    peaks = [find_peak(sizes, seed) for seed in seeds]
    above = [
        sizes[peak].test_loss[seed] - max(sizes[0].test_loss[seed], sizes[-1].test_loss[seed])
        for seed, peak in zip(seeds, peaks, strict=True)
    ]
    crossings = [find_crossing(sizes, seed) for seed in seeds]
    crossed = [crossing for crossing in crossings if crossing is not None]
    takeovers = [find_takeover(sizes, seed) for seed in seeds]
    ordered = [
        crossing is not None and crossing <= sizes[peak].samples <= takeover
        for crossing, peak, takeover in zip(crossings, peaks, takeovers, strict=True)
    ]
    at_peak = SeedEstimate.of([sizes[peak].test_loss[seed] for seed, peak in zip(seeds, peaks, strict=True)])
    rise = SeedEstimate.of(above)
    small = SeedEstimate.of(polygon)
    vertices = round(VERTICES * first.hidden)
    last = SeedEstimate.of(sizes[-1].features_share)
    middle = SeedEstimate.of(
        [sizes[peak].features_share[seed] for seed, peak in zip(seeds, peaks, strict=True)]
    )
    return [
        Claim(
            subject=f"{subject}, T {first.samples}",
            statement="few samples are stored as a regular polygon: each has the dimensionality m / T",
            published="m / T",
            needed=f"within {CLOSE:.0%} over the interval",
            measured=f"{small} times m / T",
            beside={"the largest features": str(SeedEstimate.of(first.features_share))},
            holds=abs(small.low - 1) < CLOSE and abs(small.high - 1) < CLOSE,
        ),
        Claim(
            subject=f"{subject}, T {sizes[-1].samples}",
            statement=f"many samples make features stored: the {vertices} largest have a dimensionality "
            "of their own",
            published="5 features, near 0.3",
            needed="interval above that of the same features at the peak",
            measured=str(last),
            beside={"at the peak": str(middle)},
            holds=last.low > middle.high,
        ),
        Claim(
            subject=subject,
            statement="the test loss peaks between: more data make it worse first",
            published="a bump between the regimes",
            needed="the peak inside in every seed, above both ends over the interval",
            measured=f"{rise} above the higher end, at T {_span([sizes[peak].samples for peak in peaks])}",
            beside={"at the peak": str(at_peak), "T smallest": str(SeedEstimate.of(first.test_loss))},
            holds=all(0 < peak < len(sizes) - 1 for peak in peaks) and rise.low > 0,
        ),
        Claim(
            subject=subject,
            statement="the dimensionalities of samples and features cross; the loss peaks where samples "
            "have given "
            "way and features have not taken over",
            published="both low where the loss peaks",
            needed="in every seed: crossing, then peak, then features at half of their last dimensionality",
            measured=f"crossing at T {_span(crossed)}, peak at T {_span([sizes[p].samples for p in peaks])}, "
            f"features from T {_span(takeovers)} on; {sum(ordered)} of {len(ordered)} seeds",
            holds=all(ordered),
        ),
    ]


def _claim_plane(study: DoubleDescentStudy) -> Claim:
    """Over m, at one T: whether a larger model is worse somewhere."""
    by_hidden = sorted({size.hidden for size in study.plane})
    by_samples = sorted({size.samples for size in study.plane})
    table = {(size.hidden, size.samples): size for size in study.plane}
    rises = []
    for samples in by_samples:
        for small, large in itertools.pairwise(by_hidden):
            worse = np.subtract(table[large, samples].test_loss, table[small, samples].test_loss)
            rises.append((SeedEstimate.of(worse.tolist()), small, large, samples))
    worst, small, large, samples = max(rises, key=lambda rise: rise[0].low)
    return Claim(
        subject=f"n {study.features}, m {by_hidden[0]} to {by_hidden[-1]}",
        statement="over m and T there are regions where a larger model is worse on held-out samples",
        published="regions where bigger models or more data hurt",
        needed="a step of m whose rise has an interval above 0",
        measured=f"{worst} from m {small} to {large} at T {samples}, the clearest of {len(rises)} steps",
        holds=worst.low > 0,
    )


def _claim_repeated(repeated: Sequence[RepeatedSamples]) -> list[Claim]:
    once, most = repeated[0], repeated[-1]
    found, chance, by_loss = (SeedEstimate.of(part) for part in (most.auroc, once.auroc, most.auroc_loss))
    return [
        Claim(
            subject=f"T {most.samples}, some samples {most.repeats} times",
            statement="samples that stand several times are stored as features of their own, and found "
            "by that",
            published=None,
            needed=f"AUROC above {FOUND:g} over the interval, and above that of samples that stand once",
            measured=str(found),
            beside={"standing once": str(chance), "by their loss": str(by_loss)},
            holds=found.low > max(FOUND, chance.high),
        )
    ]


def _claim_planted(planted: PlantedRows) -> Claim:
    found, before, by_loss = (
        SeedEstimate.of(part) for part in (planted.auroc, planted.auroc_before, planted.auroc_loss)
    )
    return Claim(
        subject=f"language model, {planted.planted} of {planted.rows} rows {planted.times} times as often",
        statement="planted duplicates are found by the dimensionality of their hidden vectors",
        published=None,
        needed="AUROC above 0.5 over the interval, and above that before training",
        measured=str(found),
        beside={"before training": str(before), "by their loss": str(by_loss)},
        holds=found.low > max(0.5, before.high),
    )


def _span(values: Sequence[float]) -> str:
    if not values:
        return "none"
    low, high = min(values), max(values)
    return f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
