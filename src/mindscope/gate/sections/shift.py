"""How far the tuned model's answers moved along each trait's vector, as a share of the vector."""

from __future__ import annotations

from mindscope.gate.checking import against_threshold, no_evidence
from mindscope.gate.policy import LEAST_UNITS
from mindscope.gate.preparing import GateBench, WatchedTrait
from mindscope.gate.results import GateCheck, GateSection
from mindscope.personas import ShiftConfig, ShiftResult, measure_shift

SHIFT = "shift.json"


def check_shift(bench: GateBench) -> GateSection:
    """The fine-tuning shift (Chen et al. 2025) over answers to all traits' held-out questions.

    The last prompt token's shift stands beside it and does not decide: what a model says may change though
    that token hardly moves, and the other way round.
    """
    policy = bench.policy.shift
    questions = list(dict.fromkeys(question for item in bench.traits for question in item.questions))
    if len(questions) < LEAST_UNITS:
        checks = [
            no_evidence(*_named(bench, item), f"{len(questions)} held-out questions are too few")
            for item in bench.traits
        ]
        return GateSection(name="shift", decides=policy.effect == "decide", checks=tuple(checks))
    result = measure_shift(
        bench.base,
        bench.tuned,
        [item.vectors for item in bench.traits],
        questions,
        ShiftConfig(
            layers=tuple(sorted({item.layer for item in bench.traits})),
            answers=True,
            max_new_tokens=bench.policy.max_new_tokens,
            seed=bench.spec.seed,
        ),
        run=bench.run,
        part="shift",
        progress=bench.progress,
    )
    result.save(bench.run.path / SHIFT)
    return GateSection(
        name="shift",
        decides=policy.effect == "decide",
        checks=tuple(_check(bench, item, result) for item in bench.traits),
        artefact=SHIFT,
    )


def _check(bench: GateBench, item: WatchedTrait, result: ShiftResult) -> GateCheck:
    norm = float(item.direction.vector.double().norm())
    moved, before = (result.of(item.name, item.layer, at=at) for at in ("answer", "last_prompt"))
    return against_threshold(
        *_named(bench, item),
        (moved.shift / norm, moved.low / norm, moved.high / norm),
        bench.policy.shift.max_share,
        f"{moved.prompts} questions",
        f"before it {before.shift / norm:+.2f} ({before.low / norm:+.2f} to {before.high / norm:+.2f})",
    )


def _named(bench: GateBench, item: WatchedTrait) -> tuple[str, str]:
    return f"shift/{item.name}", (
        f"answers moved along {item.name} at layer {item.layer} by at most {bench.policy.shift.max_share:g} "
        "of its vector"
    )
