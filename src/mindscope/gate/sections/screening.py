"""Which samples of the training data would move the base along a trait, beside ordinary conversations."""

from __future__ import annotations

from mindscope.gate.checking import check_rate, no_evidence
from mindscope.gate.policy import LEAST_ORDINARY
from mindscope.gate.preparing import GateBench, say_too_few
from mindscope.gate.results import GateCheck, GateSection
from mindscope.screening import ScreenConfig, TraitScreening, screen_dataset
from mindscope.stats import RateEstimate


def check_screening(bench: GateBench) -> GateSection:
    """The share of samples above a percentile of ordinary conversations, by trait (Chen et al. 2025)."""
    policy = bench.policy.screening
    ordinary = bench.ordinary
    if ordinary is None or len(ordinary.rows) < LEAST_ORDINARY:
        reason = say_too_few(bench.ordinary, LEAST_ORDINARY)
        checks = [no_evidence(*_named(bench, item.name), reason) for item in bench.traits]
        return GateSection(name="screening", decides=policy.effect == "decide", checks=tuple(checks))
    result = screen_dataset(
        bench.base,
        bench.data,
        [item.vectors for item in bench.traits],
        ScreenConfig(
            form=policy.form,
            layers={item.name: item.layer for item in bench.traits},
            percentile=policy.percentile,
            max_new_tokens=bench.policy.max_new_tokens,
            top=policy.worst,
            seed=bench.spec.seed,
        ),
        bench.run,
        bench.progress,
        reference=ordinary.rows,
    )
    checks = [_check(bench, result.of(item.name), result.samples) for item in bench.traits]
    notes = () if not result.left_out else (f"{result.left_out} rows could not be read and were left out",)
    return GateSection(
        name="screening",
        decides=policy.effect == "decide",
        checks=tuple(checks),
        notes=notes,
        artefact=f"{result.folder}/screening.json",
    )


def _check(bench: GateBench, screened: TraitScreening, n_samples: int) -> GateCheck:
    policy = bench.policy.screening
    scored = n_samples - screened.unscored
    hits = [place < screened.flagged for place in range(scored)]
    return check_rate(
        *_named(bench, screened.trait),
        RateEstimate.of(hits),
        policy.max_flagged,
        "samples",
        f"{1 - policy.percentile / 100:.0%} of ordinary conversations",
    )


def _named(bench: GateBench, trait: str) -> tuple[str, str]:
    policy = bench.policy.screening
    return f"screening/{trait}", (
        f"at most {policy.max_flagged:.0%} of the training samples lie further along {trait} than the "
        f"{policy.percentile:g}th percentile of ordinary conversations"
    )
