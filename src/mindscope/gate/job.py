"""The gate's job: every section is measured once, and the policy turns them into a verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mindscope.gate.character import (
    ModelCharacter,
    VerifiedPart,
    compare_part,
    compare_policy,
    read_character,
)
from mindscope.gate.policy import GatePolicy, read_policy, write_policy
from mindscope.gate.results import (
    EXIT_CODES,
    GatedModel,
    GateResult,
    GateSection,
    RemedyComparison,
    SectionName,
    join_verdicts,
)
from mindscope.gate.spec import GateSpec, PolicySpec, VerifySpec
from mindscope.jobs import Reporter, RunFolder
from mindscope.store import Document, claim, measure_once

if TYPE_CHECKING:
    from mindscope.gate.preparing import GateBench

RESULT, CHARACTER, PAGE = "gate.json", "character.json", "report.html"


class GateReport(GateResult):
    """The verdict, and where everything is."""

    run: str
    report: str
    remedy: RemedyComparison | None
    """The remedies side by side, where they were asked for."""
    character: str
    """The file for the model card."""

    @property
    def exit_code(self) -> int:
        """0 passes, 1 fails, 3 is not enough evidence."""
        return EXIT_CODES[self.verdict]


class PolicyFile(Document):
    """The policy that was written."""

    file: str
    digest: str


class VerificationReport(Document):
    """What a character.json names, held against what was given."""

    file: str
    verdict: str
    """Of the gate that wrote it."""
    parts: tuple[VerifiedPart, ...]

    @property
    def exit_code(self) -> int:
        """0 where all parts are right, else 1."""
        return int(not all(part.right for part in self.parts))


def run_gate(spec: GateSpec, *, run: RunFolder, reporter: Reporter) -> GateReport:
    """Judge whether a tuned model may ship: its data, activations, answers, alarms and knowledge by a policy.

    The exit code is 0 where it passes, 1 where it fails, and 3 where there is not enough evidence.
    """
    spec.require_inputs()
    policy = read_policy(spec.policy)

    from mindscope.gate import preparing
    from mindscope.gate.estimating import announce_work
    from mindscope.gate.remedy import compare_remedies, require_recipe

    preparing.require_judge_named(spec)
    if spec.remedy:
        require_recipe(spec)
    data = preparing.open_data(spec, reporter)
    ordinary = preparing.open_ordinary(spec, policy, data, reporter)
    base, tuned = preparing.load_pair(spec)
    preparing.require_nulls(spec, policy, base, tuned)
    opened = run.open(
        kind="gate",
        config={
            "dtype": str(base.dtype).removeprefix("torch."),
            "tuned": tuned.fingerprint,
            "data": data.digest,
            "ordinary": ordinary and ordinary.digest,
            "traits": list(spec.traits),
            "judge": spec.judge,
            "null": list(spec.null),
            "policy": policy.model_dump(mode="json"),
        },
        model=base,
        seed=spec.seed,
        reporter=reporter,
    )
    with opened:
        base, tuned = (model.with_template(clock=opened.started) for model in (base, tuned))
        tuned.vectors_of_base = True
        traits, overlap = preparing.watch_traits(spec, base, data, opened, reporter)
        claim(opened, "gate", preparing.describe_traits(base, traits))
        if policy.alarms.effect != "skip":
            for item in traits:  # so that the result says what is borrowed, also of a section that is there
                item.directions_of(tuned)
        bench = preparing.GateBench(
            spec, policy, base, tuned, data, ordinary, traits, opened, reporter, overlap
        )
        announce_work(bench)
        sections = measure_sections(bench)
        result = GateResult(
            base=GatedModel(name=base.name, identity=base.identity),
            tuned=GatedModel(name=tuned.name, identity=tuned.identity),
            data=data.name,
            data_digest=data.digest,
            judge=preparing.judge_name(traits),
            traits={item.name: item.vectors.digest() for item in traits},
            policy=policy,
            policy_digest=policy.digest(),
            sections=sections,
            verdict=join_verdicts(
                [check.verdict for section in sections if section.decides for check in section.checks]
            ),
            borrowed=tuned.borrowed,
        )
        remedy = compare_remedies(bench, sections) if spec.remedy else None
        return _write(result, remedy, bench, opened.path)


def measure_sections(bench: GateBench) -> tuple[GateSection, ...]:
    """All that the policy asks for, each a piece of the run."""
    from mindscope.gate.sections.alarms import check_alarms
    from mindscope.gate.sections.behaviour import check_behaviour
    from mindscope.gate.sections.capability import check_capability
    from mindscope.gate.sections.claims import check_claims
    from mindscope.gate.sections.provenance import check_provenance
    from mindscope.gate.sections.screening import check_screening
    from mindscope.gate.sections.shift import check_shift

    measures: Mapping[SectionName, Callable[[GateBench], GateSection]] = {
        "provenance": check_provenance,
        "screening": check_screening,
        "shift": check_shift,
        "behaviour": check_behaviour,
        "alarms": check_alarms,
        "capability": check_capability,
        "claims": check_claims,
    }
    asked: list[SectionName] = [
        name for name in measures if name == "provenance" or getattr(bench.policy, name).effect != "skip"
    ]
    sections: list[GateSection] = []
    for number, name in enumerate(asked, 1):
        bench.reporter.say(f"section {number} of {len(asked)}: {name}")
        measure = measures[name]
        section = measure_once(bench.run, f"sections/{name}.json", GateSection, lambda m=measure: m(bench))
        sections.append(section)
    return tuple(sections)


def _write(result: GateResult, remedy: RemedyComparison | None, bench: GateBench, folder: Path) -> GateReport:
    from mindscope.gate.report import gate_report
    from mindscope.jobs import test_bed_note

    result.save(folder / RESULT)
    ModelCharacter.of(result).save(folder / CHARACTER)
    page = gate_report(result, folder, remedy, test_bed_note(bench.base)).write(folder / PAGE)
    return GateReport(
        **dict(result), run=str(folder), report=str(page), remedy=remedy, character=str(folder / CHARACTER)
    )


def write_default_policy(spec: PolicySpec, *, reporter: Reporter) -> PolicyFile:
    """Write the policy that a gate has by default, with every field explained, to be changed and kept."""
    write_policy(spec.file)
    return PolicyFile(file=str(spec.file), digest=GatePolicy().digest())


def verify_character(spec: VerifySpec, *, reporter: Reporter) -> VerificationReport:
    """Check that a character.json is as a gate wrote it, and that what is given is what it names."""
    from mindscope.jobs import load_model

    spec.require_inputs()
    character, whole = read_character(spec.file)
    parts = [whole, compare_part("policy in the file", character.policy_digest, character.policy.digest())]
    if spec.policy is not None:
        parts.append(compare_policy(character, spec.policy))
    if spec.data is not None:
        found = spec.open_data(spec.data, reporter, refuse=False).digest
        parts.append(compare_part("data", character.data_digest, found))
    for part, name, identity in (
        ("base", spec.base, character.base),
        ("tuned", spec.tuned, character.tuned),
    ):
        if name is not None:
            found = load_model(name, dtype=identity.dtype).fingerprint
            parts.append(compare_part(part, identity.fingerprint, found))
    return VerificationReport(file=str(spec.file), verdict=character.verdict, parts=tuple(parts))
