"""What the paper claims, what it takes here to count as shown, and whether it is. The bars were set before
looking.

Elhage et al. 2022, "Toy Models of Superposition", transformer-circuits.pub/2022/toy_model.
"""

from collections.abc import Sequence

import numpy as np

from mindscope.studies.common import Claim, SeedEstimate
from mindscope.studies.superposition.results import (
    ComputedFeatures,
    CorrelatedFeatures,
    GeometryBand,
    PhaseDiagrams,
    PolytopeFits,
    PolytopeSavings,
    SuperpositionPanels,
    SuperpositionStudy,
    UniformGeometry,
)
from mindscope.studies.superposition.savings import best_densities, lead

EXACT = 0.005
"""How far a vertex's dimensionality may be from its polytope's."""
ENOUGH = 7 / 8
"""The share of seeds in which a polytope must come out."""
AGREEMENT = 0.9
"""The share of cells of a phase diagram that must be as predicted."""
PLATEAUS = {"antipodal pair": 1 / 2, "triangle": 2 / 3, "tetrahedron": 3 / 4}
"""At which dimensionalities features of the large models must gather."""
NEAR, AROUND = 0.01, 0.05
"""A plateau: features within the first of it, per width, beside those between the first and the second."""
PEAK = 2.0
"""How many times as dense they must be there."""
LEAST = 6
"""And at least so many: two tetrahedra are eight features."""
RISE = 3.0
"""By how many times vulnerability must rise; the paper: by more than three."""
FOLLOWS = 0.8
"""The rank correlation over densities, of vulnerability and features per dimension, in every seed."""


def list_claims(study: SuperpositionStudy) -> list[Claim]:
    """All claims, with their verdicts."""
    return [
        *_claim_panels(study.panels),
        *_claim_polytopes(study.polytopes),
        *_claim_phases(study.phases),
        *_claim_geometry(study.geometry, study.savings),
        *_claim_correlated(study.correlated),
        _claim_attacks(study.geometry),
        *_claim_computing(study.computing),
    ]


def _claim_panels(panels: SuperpositionPanels) -> list[Claim]:
    dense, sparse = (SeedEstimate.of(panels.represented[place]) for place in (0, -1))
    linear = SeedEstimate.of(panels.linear[-1])
    size = f"n {panels.features}, m {panels.hidden}"
    return [
        Claim(
            subject=f"panels, {size}",
            statement="with dense features a model represents as many as it has dimensions",
            published=f"{panels.hidden}",
            needed=f"{panels.hidden} in every seed",
            measured=str(dense),
            holds=all(count == panels.hidden for count in panels.represented[0]),
        ),
        Claim(
            subject=f"panels, {size}",
            statement=f"with features active in {panels.densities[-1]:.1%} of samples it represents more",
            published="more than m",
            needed=f"interval above {panels.hidden}, and above that of models without a ReLU",
            measured=str(sparse),
            beside={"without a ReLU": str(linear)},
            holds=sparse.low > panels.hidden and sparse.low > linear.high,
        ),
    ]


def _claim_polytopes(fits: PolytopeFits) -> list[Claim]:
    claims = []
    for fit in fits.fits:
        exact = sum(distance <= EXACT for distance in fit.farthest)
        by_chance = sum(distance <= EXACT for distance in fit.random)
        seeds = len(fit.farthest)
        known = fit.expected is not None
        claims.append(
            Claim(
                subject=f"{fit.name}, n {fit.features}, m {fit.hidden}",
                statement="every feature has the dimensionality of the polytope's vertices",
                published=f"{fit.expected:.3g}" if fit.expected is not None else "0.375 among many features",
                needed=f"within {EXACT} in 7 of 8 seeds" if known else None,
                measured=f"{SeedEstimate.of(fit.mean)}; "
                + (f"within {EXACT}: {exact} of {seeds} seeds" if known else "all features alike"),
                beside={"random directions": f"{by_chance} of {seeds}"} if known else {},
                holds=exact >= ENOUGH * seeds > by_chance if known else None,
            )
        )
    return claims


def _claim_phases(phases: PhaseDiagrams) -> list[Claim]:
    claims = []
    for panel in phases.panels:
        agreement = SeedEstimate.of(panel.agreement)
        claims.append(
            Claim(
                subject=f"phase diagram, n {panel.features}, m {panel.hidden}",
                statement="a feature is absent, shared or has its own dimension where closed forms say so",
                published="the same regions, by eye",
                needed=f"interval above {AGREEMENT:.0%} of {len(panel.densities) ** 2} cells",
                measured=str(agreement),
                beside={"always the commonest": f"{panel.constant:.3g}"},
                holds=agreement.low > max(AGREEMENT, panel.constant),
            )
        )
    return claims


def count_near(shares: Sequence[float], place: float) -> tuple[int, float]:
    """How many dimensionalities are near a plateau, and how much denser than around it; infinite over
    nothing.
    """
    distance = np.abs(np.asarray(shares) - place)
    near = int((distance <= NEAR).sum())
    around = int((distance <= AROUND).sum()) - near
    return near, (near / NEAR) / (around / (AROUND - NEAR)) if around else (np.inf if near else 0.0)


def _claim_geometry(geometry: UniformGeometry, savings: PolytopeSavings) -> list[Claim]:
    size = f"n {geometry.features}, m {geometry.hidden}"
    claims = []
    for name, place in PLATEAUS.items():
        # of every seed all densities together
        found = [
            count_near([share for band in geometry.bands for share in band.dimensionalities[seed]], place)
            for seed in range(len(geometry.bands[0].per_feature))
        ]
        best = max(
            geometry.bands,
            key=lambda band, place=place: sum(count_near(row, place)[0] for row in band.dimensionalities),
        )
        counts = [count_near(row, place)[0] for row in best.dimensionalities]
        dense = min(ratio for _, ratio in found)
        claims.append(
            Claim(
                subject=f"dimensionality, {size}",
                statement=f"features gather at {place:.3g} ({name})",
                published=f"a line at {place:.3g}",
                needed=f"{LEAST} features or more, {PEAK:g} times as dense as around, in every seed",
                measured=f"{', '.join(str(near) for near, _ in found)} features, "
                + ("with nothing around" if np.isinf(dense) else f"{dense:.2g} times as dense or more"),
                beside={
                    f"most at 1 - S {best.density:g}": ", ".join(map(str, counts)),
                    "saves most at 1 - S": ", ".join(f"{d:g}" for d in best_densities(savings, name))
                    or "none",
                    "than the next by (variances a dimension)": f"{lead(savings, name):.2g}",
                },
                holds=all(near >= LEAST and ratio >= PEAK for near, ratio in found),
            )
        )
    return claims


def _claim_correlated(features: CorrelatedFeatures) -> list[Claim]:
    by_kind = {(part.kind, part.features): part for part in features.sets}
    alone, together, never = (by_kind[kind, 4] for kind in ("independent", "correlated", "anticorrelated"))
    three, three_alone = by_kind["correlated", 6], by_kind["independent", 6]
    size, opposite, by_chance = (
        SeedEstimate.of(values) for values in (together.within_size, never.within, alone.within)
    )
    chance_size, side, side_alone = (
        SeedEstimate.of(values) for values in (alone.within_size, three.within, three_alone.within)
    )
    return [
        Claim(
            subject="2 correlated pairs, m 2",
            statement="features that are active together are orthogonal",
            published="orthogonal",
            needed="|cosine| under 0.1 over the interval, and under that of independent features",
            measured=str(size),
            beside={"independent": str(chance_size)},
            holds=size.high < 0.1 and size.high < chance_size.low,
        ),
        Claim(
            subject="2 anticorrelated pairs, m 2",
            statement="features that are never active together are antipodal",
            published="antipodal",
            needed="cosine under -0.9 over the interval, and under that of independent features",
            measured=str(opposite),
            beside={"independent": str(by_chance)},
            holds=opposite.high < -0.9 and opposite.high < by_chance.low,
        ),
        Claim(
            subject="3 correlated pairs, m 2",
            statement="where correlated features cannot be orthogonal they are side by side",
            published="side by side",
            needed="cosine above 0 over the interval, and above that of independent features",
            measured=str(side),
            beside={"independent": str(side_alone)},
            holds=side.low > 0 and side.low > side_alone.high,
        ),
    ]


def _claim_attacks(geometry: UniformGeometry) -> Claim:
    bands = sorted(geometry.bands, key=lambda band: -band.density)
    dense, sparse = bands[0], max(bands, key=lambda band: 1 / float(np.mean(band.per_feature)))
    rises = [after / before for before, after in zip(dense.attacked, sparse.attacked, strict=True)]
    r = [_rank_correlation(bands, seed) for seed in range(len(dense.attacked))]
    linear = SeedEstimate.of(sparse.attacked_linear)
    rise = SeedEstimate.of(rises)
    return Claim(
        subject=f"attacks, n {geometry.features}, m {geometry.hidden}",
        statement="vulnerability rises as superposition forms, along with features per dimension",
        published="rises more than 3 times",
        needed=f"interval above {RISE:g} times and above linear models; rank correlation above {FOLLOWS:g}",
        measured=f"{rise} times from 1 - S {dense.density:g} to {sparse.density:g}; rank correlation with "
        f"features per dimension {SeedEstimate.of(r)}",
        beside={
            "sparsest, relative to no superposition": str(SeedEstimate.of(sparse.attacked)),
            "linear models": str(linear),
        },
        holds=rise.low > RISE and SeedEstimate.of(sparse.attacked).low > linear.high and min(r) > FOLLOWS,
    )


def _rank_correlation(bands: Sequence[GeometryBand], seed: int) -> float:
    """Spearman's, over densities, of vulnerability and features per dimension."""
    from scipy.stats import rankdata

    attacked = rankdata([band.attacked[seed] for band in bands])
    return float(np.corrcoef(attacked, rankdata([1 / band.per_feature[seed] for band in bands]))[0, 1])


def _claim_computing(computing: ComputedFeatures) -> list[Claim]:
    pairs = computing.hidden / 2
    most = max(range(len(computing.densities)), key=lambda place: float(np.mean(computing.computed[place])))
    dense, best = SeedEstimate.of(computing.computed[0]), SeedEstimate.of(computing.computed[most])
    linear = SeedEstimate.of(computing.computed_linear[most])
    shares = [SeedEstimate.of(part) for part in computing.polysemantic]
    many = max(shares, key=lambda share: share.mean)
    size = f"absolute value, n {computing.features}, m {computing.hidden}"
    return [
        Claim(
            subject=size,
            statement="sparse features are computed in superposition, more than one for two neurons",
            published="more features than neurons allow one by one",
            needed=f"interval above {pairs:.0f}, and above that of neurons without a ReLU",
            measured=f"{best} at 1 - S {computing.densities[most]:g}",
            beside={"dense": str(dense), "without a ReLU": str(linear)},
            holds=best.low > pairs and best.low > linear.high,
        ),
        Claim(
            subject=size,
            statement="neurons turn from monosemantic to polysemantic as features become sparse",
            published="from none to nearly all, by eye",
            needed="an interval of a sparser model above that of dense features, and above 0.5",
            measured=f"{shares[0]} dense, {many} at most",
            holds=many.low > max(shares[0].high, 0.5),
        ),
    ]
