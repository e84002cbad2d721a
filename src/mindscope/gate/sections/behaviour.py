"""How much more of each trait the tuned model's answers show, and whether they still hang together."""

from __future__ import annotations

from collections.abc import Sequence

from mindscope.gate.checking import check_mean, no_evidence
from mindscope.gate.preparing import GateBench, WatchedTrait
from mindscope.gate.results import AnswerPair, GateCheck, GateSection
from mindscope.models import Model, SamplingConfig
from mindscope.personas import ScoredAnswer, SteeredArm, measure_trait

SHOWN = 4
"""Questions of each trait that are shown."""


def check_behaviour(bench: GateBench) -> GateSection:
    """Scores of both models' answers to the held-out questions, from the same seeds, paired by question."""
    policy = bench.policy.behaviour
    checks: list[GateCheck] = []
    answers: list[AnswerPair] = []
    notes = [
        f"{count} of the questions on {trait} stand in the training data and are not asked"
        for trait, count in bench.overlap.items()
        if count
    ]
    for item in bench.traits:
        names = behaviour_names(bench, item)
        if item.judge is None or len(item.questions) < 2:
            reason = "nobody judges: give --judge" if item.judge is None else "no question is held out"
            checks += [no_evidence(*name, reason) for name in names]
            continue
        base, tuned = (
            ask_trait(bench, item, model, arm)
            for model, arm in ((bench.base, "base"), (bench.tuned, "tuned"))
        )
        checks += compare_arms(bench, item, base, tuned, names)
        answers += _largest(item, base, tuned)
    return GateSection(
        name="behaviour",
        decides=policy.effect == "decide",
        checks=tuple(checks),
        notes=tuple(notes),
        answers=tuple(answers),
    )


def ask_trait(bench: GateBench, item: WatchedTrait, model: Model, arm: str) -> SteeredArm:
    """What a model answers to a trait's held-out questions, scored; kept in the run's `behaviour/`."""
    assert item.judge is not None
    return measure_trait(
        model,
        item.trait,
        item.judge,
        bench.run,
        f"behaviour/{item.name}/{arm}".replace(" ", "-"),
        SamplingConfig(
            samples=bench.policy.behaviour.samples,
            temperature=1.0,
            max_new_tokens=bench.policy.max_new_tokens,
            seed=bench.spec.seed,
        ),
        item.questions,
        progress=bench.progress,
    )


def compare_arms(
    bench: GateBench,
    item: WatchedTrait,
    base: SteeredArm,
    tuned: SteeredArm,
    names: Sequence[tuple[str, str]],
) -> list[GateCheck]:
    """The rise of the trait and the loss of coherence, question by question."""
    policy = bench.policy.behaviour
    risen = [
        None if before is None or after is None else after - before
        for before, after in zip(base.scores.by_question, tuned.scores.by_question, strict=True)
    ]
    lost = [
        None if before is None or after is None else before - after
        for before, after in zip(_coherence(base, item), _coherence(tuned, item), strict=True)
    ]
    levels = [arm.scores.trait for arm in (base, tuned)]
    beside = " and ".join(f"{level.mean:.1f}" for level in levels if level is not None)
    return [
        check_mean(*names[0], risen, policy.max_rise, "questions", f"base and tuned score {beside}"),
        check_mean(*names[1], lost, policy.max_coherence_loss, "questions"),
    ]


def behaviour_names(bench: GateBench, item: WatchedTrait) -> list[tuple[str, str]]:
    """Names and statements of the two checks of a trait."""
    policy = bench.policy.behaviour
    return [
        (
            f"behaviour/{item.name}",
            f"held-out answers score at most {policy.max_rise:g} of 100 more on {item.name} than the base's",
        ),
        (
            f"behaviour/{item.name}/coherence",
            f"answers on {item.name} lose at most {policy.max_coherence_loss:g} of 100 in coherence",
        ),
    ]


def _coherence(arm: SteeredArm, item: WatchedTrait) -> list[float | None]:
    """The mean over each question's answers; they are ordered by question."""
    size = len(arm.samples) // len(item.questions)
    means: list[float | None] = []
    for start in range(0, len(arm.samples), size):
        scores = [s.coherence for s in arm.samples[start : start + size] if s.coherence is not None]
        means.append(sum(scores) / len(scores) if scores else None)
    return means


def _largest(item: WatchedTrait, base: SteeredArm, tuned: SteeredArm) -> list[AnswerPair]:
    """The pairs of answers whose scores lie furthest apart, of different questions."""

    def rise(pair: tuple[ScoredAnswer, ScoredAnswer]) -> float:
        before, after = pair[0].trait, pair[1].trait
        return float("-inf") if before is None or after is None else after - before

    pairs = sorted(zip(base.samples, tuned.samples, strict=True), key=rise, reverse=True)
    first = {before.question: (before, after) for before, after in reversed(pairs)}
    chosen = sorted(first.values(), key=rise, reverse=True)[:SHOWN]
    return [
        AnswerPair(
            trait=item.name,
            question=before.question,
            base=before.answer,
            tuned=after.answer,
            base_score=before.trait,
            tuned_score=after.trait,
        )
        for before, after in chosen
    ]
