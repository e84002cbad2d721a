"""What is claimed of the metrics of dictionaries, what it takes here to count as shown, and whether it is.

Chanin 2026, "Are Sparse Autoencoder Benchmarks Reliable?" (arXiv 2605.18229): TPP and SCR fail in agreement
with the truth of synthetic dictionaries among other ways; the probes of sae-probes are the most reliable
metric, and still hardly tell variants of one architecture apart.
"""

import numpy as np

from mindscope.studies.common import Claim, SeedEstimate
from mindscope.studies.dictionary_metrics.agreement import MetricWorth, correlate_ranks, rank_metrics
from mindscope.studies.dictionary_metrics.results import DictionaryMetricsStudy

PROBES = "probe AUC k=1"
"""The probe whose penalty is chosen by cross-validation, as sae-probes does, on one latent."""
FAILED = ("TPP n=10", "SCR n=10")
USUAL = "explained variance"
TOLD = 0.5
"""The share of pairs of kinds that a metric is to get right, beyond its own noise."""


def list_claims(study: DictionaryMetricsStudy) -> list[Claim]:
    """All claims."""
    worths = {worth.metric: worth for worth in rank_metrics(study.worlds)}
    best = next(iter(worths.values()))
    truths = SeedEstimate.of(
        [
            correlate_ranks(
                np.array([each.recovery for each in world.dictionaries]),
                np.array([each.matched for each in world.dictionaries]),
            )
            for world in study.worlds
        ],
        "worlds",
    )
    return [
        Claim(
            subject="truth",
            statement="two ways to say what a dictionary recovered agree",
            needed="rank correlation of F1 and matched cosines: interval above 0",
            measured=str(truths),
            holds=truths.low > 0,
        ),
        _claim_best(worths, best),
        *(_claim_agreement(worths[name]) for name in (PROBES, USUAL)),
        *(_claim_failure(worths[name]) for name in FAILED),
        _claim_within(worths[PROBES]),
        _claim_differences(worths, best),
    ]


def _claim_best(worths: dict[str, MetricWorth], best: MetricWorth) -> Claim:
    return Claim(
        subject="all metrics",
        statement=f"none agrees better with recovery than {PROBES}",
        published="the most reliable of those tested",
        needed="the highest mean rank correlation",
        measured=f"{best.metric}: {best.agreement}",
        beside={PROBES: str(worths[PROBES].agreement)},
        holds=best.metric == PROBES,
    )


def _claim_agreement(worth: MetricWorth) -> Claim:
    return Claim(
        subject=worth.metric,
        statement="ranks dictionaries as recovery does",
        needed="rank correlation: interval above 0",
        measured=str(worth.agreement),
        beside={"at one size": str(worth.within_methods)},
        holds=worth.agreement.low > 0,
    )


def _claim_failure(worth: MetricWorth) -> Claim:
    return Claim(
        subject=worth.metric,
        statement="does not rank dictionaries as recovery does",
        published="fails in agreement with the truth",
        needed="rank correlation: interval that reaches 0 or below",
        measured=str(worth.agreement),
        beside={"at one size": str(worth.within_methods)},
        holds=worth.agreement.low <= 0,
    )


def _claim_within(worth: MetricWorth) -> Claim:
    return Claim(
        subject=worth.metric,
        statement="tells methods apart at one size",
        published="hardly tells variants of one architecture apart",
        needed="rank correlation at one size: interval above 0",
        measured=str(worth.within_methods),
        holds=worth.within_methods.low > 0,
    )


def _claim_differences(worths: dict[str, MetricWorth], best: MetricWorth) -> Claim:
    wrong = max(worths.values(), key=lambda worth: worth.wrong.mean)
    return Claim(
        subject=best.metric,
        statement=f"beyond its own noise it tells more than {TOLD:.0%} of pairs of kinds apart, rightly",
        needed=f"share of pairs: interval above {TOLD:.0%}, and above that which it tells wrongly",
        measured=f"{best.right} right, {best.wrong} wrong",
        beside={
            "smallest difference": f"{best.smallest_difference:.3g}",
            "most often wrong": f"{wrong.metric}, {wrong.wrong}",
        },
        holds=best.right.low > max(TOLD, best.wrong.high),
    )
