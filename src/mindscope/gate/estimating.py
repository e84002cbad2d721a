"""What a gate will ask of a machine, said before it begins."""

from __future__ import annotations

from mindscope.gate.policy import LEAST_ORDINARY, LEAST_UNITS
from mindscope.gate.preparing import GateBench, say_too_few
from mindscope.jobs.estimates import announce, estimate_answers
from mindscope.jobs.planning import count_gate_answers
from mindscope.models import SamplingConfig
from mindscope.personas import AnswerRequest, plan_answers
from mindscope.store import derived_seed

LOOK = 32
"""Questions of the look by which the time is told."""
LESS = "a policy with smaller sizes, or screening form prompt, which generates nothing, takes less"


def find_gaps(bench: GateBench) -> list[str]:
    """The sections that decide and will have no evidence, each with what it lacks."""
    policy, n_rows = bench.policy, len(bench.ordinary_rows)
    needed = {
        "screening": LEAST_ORDINARY,
        "alarms": policy.alarms.calibrating + policy.alarms.watched,
        "capability": LEAST_UNITS,
    }
    gaps = [
        f"{name} ({say_too_few(bench.ordinary, least)})"
        for name, least in needed.items()
        if n_rows < least and getattr(policy, name).effect == "decide"
    ]
    if policy.behaviour.effect == "decide" and any(item.judge is None for item in bench.traits):
        gaps.append("behaviour (nobody judges: give --judge)")
    return gaps


def announce_work(bench: GateBench) -> None:
    """Say how many answers both models write and how long that takes; training of nulls comes on top."""
    policy, spec = bench.policy, bench.spec
    if gaps := find_gaps(bench):
        bench.reporter.say(f"this gate can fail, and cannot pass without evidence of {'; of '.join(gaps)}")
    questions = [question for item in bench.traits for question in item.questions]
    ordinary, alarms = bench.ordinary, policy.alarms
    counts = count_gate_answers(
        questions=len(set(questions)),
        judged=sum(len(item.questions) for item in bench.traits if item.judge is not None),
        samples=policy.behaviour.samples,
        calibrating=0 if ordinary is None else alarms.calibrating,
        watched=0 if ordinary is None else alarms.watched,
        screened=0
        if ordinary is None or policy.screening.form != "exact"
        else bench.data.size + len(ordinary.rows),
    )
    counts = {
        name: 0 if getattr(policy, name).effect == "skip" or bench.run.has(f"sections/{name}.json") else count
        for name, count in counts.items()
    }
    if not sum(counts.values()) or not questions:
        return
    requests = [
        AnswerRequest(question, derived_seed(spec.seed, "look", place))
        for place, question in enumerate(questions[:LOOK])
    ]
    sampling = SamplingConfig(samples=1, temperature=1.0, max_new_tokens=policy.max_new_tokens)
    estimate = estimate_answers(
        bench.base,
        plan_answers(bench.base, requests, sampling),
        answers=sum(counts.values()),
        judge_calls=2 * counts["behaviour"],
        more="the comparison with its nulls comes on top" if spec.null else "",
    )
    announce(bench.reporter, estimate, LESS)
