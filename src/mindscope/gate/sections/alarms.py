"""How often a monitor that lets the base's answers through raises an alarm at the tuned model's."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mindscope.data import Conversation
from mindscope.errors import DataError
from mindscope.features import FeatureSet
from mindscope.gate.checking import check_rate, no_evidence
from mindscope.gate.preparing import GateBench, question_of, say_too_few
from mindscope.gate.results import GateCheck, GateSection
from mindscope.models import Model, SamplingConfig
from mindscope.monitoring import Calibration, Signal, project_turns, signal_score
from mindscope.personas import AnswerRequest, generate_answers
from mindscope.stats import RateEstimate
from mindscope.store import claim, derived_seed, digest


def check_alarms(bench: GateBench) -> GateSection:
    """Thresholds from the base's own answers to ordinary prompts; alarms at the tuned model's to others.

    The thresholds hold their rate of false alarms for the base (split conformal prediction, see
    `monitoring.Calibration`). Each model reads its own answers along the base's vectors, as a monitor does
    that is in service. How often the base itself raises an alarm on the watched prompts stands beside.
    """
    policy = bench.policy.alarms
    decides = policy.effect == "decide"
    rows = bench.ordinary_rows
    needed = policy.calibrating + policy.watched
    if len(rows) < needed:
        reason = say_too_few(bench.ordinary, needed)
        checks = [no_evidence(*_named(bench, item.name), reason) for item in bench.traits]
        return GateSection(name="alarms", decides=decides, checks=tuple(checks))
    first, watched = rows[: policy.calibrating], rows[policy.calibrating : needed]
    own = FeatureSet([item.direction for item in bench.traits])
    borrowed = FeatureSet([item.directions_of(bench.tuned) for item in bench.traits])
    scores = _scores(bench, bench.base, own, first, "calibrating")
    try:
        calibration = Calibration(
            own.keys,
            own.digest(),
            own.fingerprint,
            Signal(),
            policy.false_alarms,
            "each",
            scores,
            bench.base.identity,
        )
    except DataError as error:  # too many of the base's answers are empty
        checks = [no_evidence(*_named(bench, item.name), str(error)) for item in bench.traits]
        return GateSection(name="alarms", decides=decides, checks=tuple(checks))
    false, raised = (
        _scores(bench, model, features, watched, "watched") > calibration.thresholds
        for model, features in ((bench.base, own), (bench.tuned, borrowed))
    )
    checks = [
        _check(bench, item.name, raised[:, column].tolist(), false[:, column].tolist())
        for column, item in enumerate(bench.traits)
    ]
    return GateSection(name="alarms", decides=decides, checks=tuple(checks))


def _scores(
    bench: GateBench, model: Model, features: FeatureSet, rows: Sequence[Conversation], part: str
) -> torch.Tensor:
    """`[answers, features]` float64: the highest signal of every answer of a model to ordinary prompts."""
    model = model.with_template(clock=bench.run.started)
    name = f"alarms/{part}/{model.fingerprint[:16]}"
    piece = f"{name}/scores-{features.digest()[:16]}.safetensors"
    config = SamplingConfig(
        samples=1, temperature=1.0, max_new_tokens=bench.policy.max_new_tokens, seed=bench.spec.seed
    )
    questions = [question_of(row) for row in rows]
    claim(bench.run, name, {"questions": digest({"asked": questions}), "config": config.deciding()})
    if not bench.run.has(piece):
        requests = [
            AnswerRequest(question, derived_seed(bench.spec.seed, "alarms", place), _system_of(row))
            for place, (question, row) in enumerate(zip(questions, rows, strict=True))
        ]
        answers = generate_answers(model, requests, bench.run, name, config=config, progress=bench.progress)
        talks = []
        for request, answer in zip(requests, answers, strict=True):
            prompt = [{"role": "user", "content": request.question}]
            if request.system is not None:
                prompt.insert(0, {"role": "system", "content": request.system})
            if not answer.empty:
                talks.append([*prompt, {"role": "assistant", "content": answer.text}])
        traces = project_turns(model, features, talks)
        scores = [score for trace in traces if (score := signal_score(Signal(), trace)) is not None]
        stacked = torch.stack(scores) if scores else torch.zeros(0, len(features), dtype=torch.float64)
        bench.run.save_tensors(piece, {"scores": stacked})
    return bench.run.load_tensors(piece)["scores"]


def _system_of(row: Conversation) -> str | None:
    return next((turn["content"] for turn in row.messages if turn["role"] == "system"), None)


def _check(bench: GateBench, trait: str, raised: Sequence[bool], false: Sequence[bool]) -> GateCheck:
    return check_rate(
        *_named(bench, trait),
        RateEstimate.of(raised),
        bench.policy.alarms.max_alarms,
        "answers",
        f"the base's own answers: {RateEstimate.of(false)}",
    )


def _named(bench: GateBench, trait: str) -> tuple[str, str]:
    policy = bench.policy.alarms
    return f"alarms/{trait}", (
        f"at most {policy.max_alarms:.0%} of answers to ordinary prompts raise an alarm of {trait}, with "
        f"thresholds that {policy.false_alarms:.0%} of the base's answers cross"
    )
