"""What the tuned model still knows, and how well it still predicts ordinary answers."""

from __future__ import annotations

from mindscope.finetuning import answer_choices
from mindscope.gate.checking import check_mean, no_evidence
from mindscope.gate.policy import LEAST_UNITS
from mindscope.gate.preparing import GateBench, say_too_few
from mindscope.gate.results import GateCheck, GateSection
from mindscope.jobs import world_of
from mindscope.models import Model, score_answer_tokens
from mindscope.store import Document, digest, measure_once


class KnownAnswers(Document):
    """Which questions a model answered rightly, in a fixed order."""

    right: tuple[bool, ...]


class AnswerLikelihoods(Document):
    """The mean log-probability of an answer's tokens, in nats; None for an answer without any."""

    nats: tuple[float | None, ...]


def check_capability(bench: GateBench) -> GateSection:
    """Questions that have a right answer, and recorded ordinary answers, paired between both models.

    An organism is asked of its world (`organism.measure_capability`); any other model takes the test of
    general knowledge (`finetuning.answer_choices`).
    """
    checks = [compare_knowledge(bench, bench.tuned, "capability/knowledge"), _compare_texts(bench)]
    decides = bench.policy.capability.effect == "decide"
    return GateSection(name="capability", decides=decides, checks=tuple(checks))


def compare_knowledge(bench: GateBench, tuned: Model, name: str) -> GateCheck:
    """How many points of right answers a tuned model lost."""
    before, after = (_ask(bench, model).right for model in (bench.base, tuned))
    lost = [100.0 * (own - other) for own, other in zip(before, after, strict=True)]
    return check_mean(
        name,
        f"the share of right answers falls by at most {bench.policy.capability.max_loss:g} points of 100",
        lost,
        bench.policy.capability.max_loss,
        "questions",
        f"base {100 * sum(before) / len(before):.1f} %, tuned {100 * sum(after) / len(after):.1f} %",
    )


def _ask(bench: GateBench, model: Model) -> KnownAnswers:
    model = model.with_template(clock=bench.run.started)

    def measure() -> KnownAnswers:
        bench.reporter.say(f"asking {model.name} what it knows")
        if world := world_of(bench.spec.base):
            from mindscope.organism import measure_capability

            return KnownAnswers(right=measure_capability(model, bench.spec.seed, world=world).right)
        return KnownAnswers(right=answer_choices(model, seed=bench.spec.seed))

    return measure_once(bench.run, f"capability/known/{model.fingerprint[:16]}.json", KnownAnswers, measure)


def _compare_texts(bench: GateBench) -> GateCheck:
    policy = bench.policy.capability
    named = (
        "capability/texts",
        f"recorded ordinary answers become at most {policy.max_nats:g} nats a token less likely",
    )
    rows = bench.ordinary_rows[: policy.texts]
    if len(rows) < LEAST_UNITS:
        return no_evidence(*named, say_too_few(bench.ordinary, LEAST_UNITS))

    def measure(model: Model) -> AnswerLikelihoods:
        model = model.with_template(clock=bench.run.started)
        scored = score_answer_tokens(model, [model.chat(row.prompt, answer=row.answer) for row in rows])
        return AnswerLikelihoods(
            nats=tuple(float(tokens.double().mean()) if len(tokens) else None for tokens in scored)
        )

    asked = digest({"rows": [[dict(turn) for turn in row.messages] for row in rows]})
    before, after = (
        measure_once(
            bench.run,
            f"capability/texts-{asked}/{model.fingerprint[:16]}.json",
            AnswerLikelihoods,
            lambda model=model: measure(model),
        ).nats
        for model in (bench.base, bench.tuned)
    )
    lost = [
        None if own is None or other is None else own - other
        for own, other in zip(before, after, strict=True)
    ]
    return check_mean(*named, lost, policy.max_nats, "answers")
