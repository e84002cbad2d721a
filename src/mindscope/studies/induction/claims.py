"""What the paper claims, what it takes here to count as shown, and whether it is.

Olsson et al. 2022, "In-context Learning and Induction Heads", arXiv 2209.11895. The bars were set before the
final runs; sizes and rates were found on two-layer models of seed 0.
"""

from collections.abc import Sequence

import numpy as np

from mindscope.studies.common import Claim, SeedEstimate
from mindscope.studies.induction.results import HeadCost, HeadScan, InductionStudy, TrainingCurves

MATCHES = 0.5
"""Prefix matching above it makes an induction head of a small model: most of the attention goes there."""
NEVER = 0.15
"""A model whose best head stays under it has none; attending evenly gives a few percent."""
LAG = 0.1
"""How far apart the two may change, as a share of training."""
TIMES = 10.0
"""How many times what random heads of the same layers cost the induction heads must cost."""


def find_change(steps: Sequence[int], values: Sequence[float]) -> float:
    """The step at which a curve has gone half of the way from its lowest to its highest value for good.

    For scores that fall, hand over their negative.
    """
    curve = np.asarray(values)
    half = (curve.min() + curve.max()) / 2
    below = np.flatnonzero(curve < half)
    if not len(below) or below[-1] == len(curve) - 1:
        return float(steps[0] if not len(below) else steps[-1])
    last = int(below[-1])
    share = (half - curve[last]) / (curve[last + 1] - curve[last])
    return float(steps[last] + share * (steps[last + 1] - steps[last]))


def find_lags(kind: TrainingCurves) -> list[float]:
    """By how many steps the in-context score changes behind prefix matching, by seed."""
    return [
        find_change(kind.steps, [-value for value in score]) - find_change(kind.steps, prefix)
        for score, prefix in zip(kind.context_score, kind.prefix, strict=True)
    ]


def list_claims(study: InductionStudy) -> list[Claim]:
    """All claims about models trained here."""
    kinds = {(kind.layers, kind.mlp, kind.smeared): kind for kind in study.kinds}
    one, two = kinds[1, False, False], kinds[2, False, False]
    claims = []
    for kind in study.kinds:
        if kind is one:
            claims.append(_claim_never(one, two))
        else:
            claims += _claim_change(kind, one)
        if kind.layers > 1:
            claims += [_claim_ablation(kind), _claim_previous(kind)]
    return claims


def _claim_change(kind: TrainingCurves, one: TrainingCurves) -> list[Claim]:
    best = SeedEstimate.of([curve[-1] for curve in kind.prefix])
    score, plain = (SeedEstimate.of([curve[-1] for curve in part.context_score]) for part in (kind, one))
    lags = find_lags(kind)
    bound = LAG * kind.steps[-1]
    together = [
        float(np.corrcoef(prefix, [-value for value in score])[0, 1])
        for prefix, score in zip(kind.prefix, kind.context_score, strict=True)
    ]
    changed = [find_change(kind.steps, curve) for curve in kind.prefix]
    return [
        Claim(
            subject=kind.name,
            statement="induction heads form in a phase change, and in-context learning with them",
            published="a phase change" + (", in one layer too" if kind.smeared else ""),
            needed=f"prefix matching above {MATCHES:g} and a score under that of one layer, intervals apart",
            measured=f"prefix matching {best}, score {score}",
            beside={"score of one layer": str(plain)},
            holds=best.low > MATCHES and score.high < plain.low,
        ),
        Claim(
            subject=kind.name,
            statement="both change at the same time",
            published="in the same window",
            needed=f"a lag under {LAG:.0%} of training ({bound:g} steps) in every seed",
            measured=f"lag {SeedEstimate.of(lags)} steps, at step {SeedEstimate.of(changed)}",
            beside={"r of the two curves": str(SeedEstimate.of(together))},
            holds=all(abs(lag) <= bound for lag in lags) and best.low > MATCHES,
        ),
    ]


def _claim_never(one: TrainingCurves, two: TrainingCurves) -> Claim:
    best = SeedEstimate.of([max(curve) for curve in one.prefix])
    return Claim(
        subject=one.name,
        statement="one layer has no induction heads, and no phase change",
        published="none",
        needed=f"prefix matching under {NEVER:g} over all of training, interval included",
        measured=str(best),
        beside={two.name: str(SeedEstimate.of([max(curve) for curve in two.prefix]))},
        holds=best.high < NEVER,
    )


def _claim_ablation(kind: TrainingCurves) -> Claim:
    """The best head, beside all that match no prefixes; in the last layer often every head does."""
    costs, others = [], []
    for heads in kind.heads:
        best = max(heads, key=lambda head: head.prefix)
        rest = [head for head in heads if head.prefix < NEVER]
        costs.append(best.cost or 0.0)
        others.append(float(np.mean([head.cost or 0.0 for head in rest])) if rest else 0.0)
    cost, other = SeedEstimate.of(costs), SeedEstimate.of(others)
    return Claim(
        subject=kind.name,
        statement="taking the best induction head out, patterns held, costs repeated tokens most",
        published="nearly all in-context learning goes",
        needed="interval above that of heads that do not match prefixes",
        measured=f"{cost} nats a token",
        beside={"heads that match no prefixes": str(other)},
        holds=cost.low > max(other.high, 0.0),
    )


def _claim_previous(kind: TrainingCurves) -> Claim:
    """A previous-token head in a layer before, which patterns that are free need and held ones do not."""
    drops, own = [], []
    for heads in kind.heads:
        best = max(heads, key=lambda head: head.prefix)
        before = [head for head in heads if head.layer < best.layer]
        if not before:
            drops.append(0.0)
            own.append(0.0)
            continue
        previous = max(before, key=lambda head: head.previous)
        drops.append(previous.full_cost or 0.0)
        own.append(previous.cost or 0.0)
    free, held = SeedEstimate.of(drops), SeedEstimate.of(own)
    return Claim(
        subject=kind.name,
        statement="the previous-token head before it serves its pattern",
        published="K-composition with a previous-token head",
        needed="taking it out costs more with patterns free than held, intervals apart",
        measured=f"{free} nats a token with patterns free",
        beside={"patterns held": str(held)},
        holds=free.low > held.high,
    )


def list_scan_claims(scan: HeadScan) -> list[Claim]:
    """The one claim about a model that was loaded."""
    groups = scan.groups
    cost, random = (SeedEstimate.of(part, "sequences") for part in (groups.induction, groups.random))
    text, random_text = (
        SeedEstimate.of(part, "texts") for part in (groups.induction_text, groups.random_text)
    )
    return [
        Claim(
            subject=scan.model.rpartition("/")[2],
            statement=f"taking out its {len(groups.heads)} strongest induction heads, patterns held, costs "
            f"{where} at least {TIMES:g} times what random heads of the same layers cost",
            published="induction heads carry in-context learning, in small models",
            needed=f"lower end above {TIMES:g} times the upper end of random heads' and above 0",
            measured=f"{ours} nats a token",
            beside={f"random heads, {groups.draws} draws": str(others)},
            holds=ours.low > TIMES * max(others.high, 0.0),
        )
        for where, ours, others in (
            ("repeated random tokens", cost, random),
            ("repeated text", text, random_text),
        )
    ]


def strongest(heads: Sequence[HeadCost], count: int) -> list[HeadCost]:
    """Those that match prefixes best, of those with a copying score above 0; of all where none has one."""
    copying = [head for head in heads if head.copying > 0] or list(heads)
    return sorted(copying, key=lambda head: -head.prefix)[:count]
