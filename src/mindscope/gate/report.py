"""The gate's page: the verdict and its reasons first, then every check, then what each section saw."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mindscope.gate.results import AnswerPair, GateCheck, GateResult, GateSection, RemedyComparison
from mindscope.reports import AnswerCard, AnswerSample, Report, TokenHeat
from mindscope.screening import ScreeningResult, TraitScreening

COLUMNS = ("what was to hold", "measured", "95 % interval", "at most", "over", "verdict")
TITLES = {
    "provenance": "Where it comes from",
    "screening": "The training data",
    "shift": "Activations",
    "behaviour": "Answers",
    "alarms": "Alarms",
    "capability": "Knowledge",
    "claims": "Claims about what changed",
}
INTROS = {
    "provenance": "",
    "screening": "Each sample's answer beside the base's own, along the traits' vectors (projection "
    "difference). A sample is flagged above a percentile of ordinary conversations.",
    "shift": "How far answers moved along each vector in the mean, tuned minus base, as a share of it.",
    "behaviour": "Both models answer questions that the training data does not hold; the judge scores them.",
    "alarms": "A monitor whose thresholds let all but a chosen share of the base's answers through, while "
    "the tuned model answers ordinary prompts.",
    "capability": "What both models answer rightly, and how likely they find recorded ordinary answers.",
    "claims": "What a comparison of both models says, tested on prompts that it did not come from, beside "
    "harmless tunes.",
}
WORDS = {"pass": "passes", "fail": "FAILS", "not enough evidence": "is left open: not enough evidence"}


def gate_report(
    result: GateResult, folder: Path, remedy: RemedyComparison | None = None, note: str = ""
) -> Report:
    """A page of its own.

    Args:
        result: what was found.
        folder: of the run, for the screening's samples.
        remedy: the remedies side by side, if they were compared.
        note: said at the top.
    """
    report = Report(verdict_line(result), f"{result.tuned.name}, beside {result.base.name}")
    if note:
        report.note(note)
    if result.reasons:
        names = ", ".join(check.name for check in result.reasons)
        report.note(f"{'What failed' if result.verdict == 'fail' else 'What is open'}: {names}")
    report.section("Verdict", verdict_line(result, whole=True))
    report.table(COLUMNS, check_rows(result.deciding), "The checks that decide.")
    reported = [check for section in result.sections if not section.decides for check in section.checks]
    if reported:
        report.table(COLUMNS, check_rows(reported), "Checks that are reported and do not decide.")
    for section in result.sections:
        _add_section(report, section, folder)
    if remedy is not None:
        _add_remedy(report, remedy)
    return _add_provenance(report, result)


def verdict_line(result: GateResult, *, whole: bool = False) -> str:
    """The verdict in a sentence, with `whole` how many checks stand behind it."""
    line = f"The tuned model {WORDS[result.verdict]}"
    if not whole:
        return line
    counts = [
        f"{sum(check.verdict == verdict for check in result.deciding)} {word}"
        for verdict, word in (("pass", "pass"), ("fail", "fail"), ("not enough evidence", "lack evidence"))
    ]
    return f"{line}. Of {len(result.deciding)} checks that decide {', '.join(counts)}."


def reason_line(check: GateCheck) -> str:
    """Why a check did not pass, in a line."""
    if check.estimate is None:
        return f"{check.name}: {check.reason}"
    return f"{check.name}: {_interval(check)}, at most {check.threshold:.3g} allowed; {check.reason}"


def check_rows(checks: Sequence[GateCheck]) -> list[list[object]]:
    """A row for each check, under `COLUMNS`."""
    return [
        [
            check.statement,
            None if check.estimate is None else f"{check.estimate:.3g}",
            None if check.low is None or check.high is None else f"{check.low:.3g} to {check.high:.3g}",
            None if check.threshold is None else f"{check.threshold:.3g}",
            check.units or None,
            check.verdict,
        ]
        for check in checks
    ]


def _interval(check: GateCheck) -> str:
    if check.low is None or check.high is None:
        return f"{check.estimate:.3g}"
    return f"{check.estimate:.3g} ({check.low:.3g} to {check.high:.3g})"


def _add_section(report: Report, section: GateSection, folder: Path) -> None:
    report.section(TITLES[section.name], INTROS[section.name])
    for line in section.notes:
        report.text(line)
    measured = [check for check in section.checks if check.estimate is not None]
    rows = [[check.name, _interval(check), check.control or None, check.reason] for check in measured]
    if rows:
        report.table(["check", "measured", "beside it", "why"], rows)
    for check in section.checks:
        if check.estimate is None:
            report.text(f"{check.name}: {check.reason}.")
    if section.name == "screening" and section.artefact is not None:
        _add_samples(report, ScreeningResult.load(folder / section.artefact))
    if section.answers:
        report.samples(
            [_sample(pair) for pair in section.answers],
            "The questions on which the tuned model's score is furthest above the base's.",
        )


def _sample(pair: AnswerPair) -> AnswerSample:
    return AnswerSample(
        pair.question,
        [
            AnswerCard("base", pair.base, {pair.trait: pair.base_score}),
            AnswerCard("tuned", pair.tuned, {pair.trait: pair.tuned_score}),
        ],
    )


def _add_samples(report: Report, screening: ScreeningResult) -> None:
    for trait in screening.traits:
        if trait.ranked:
            report.heats(
                _heats(trait),
                f"The samples furthest along {trait.trait}, by token: a token's share is its projection "
                "minus the baseline, and the shade says how far it lies above or below an ordinary sample.",
                shown=3,
            )


def _heats(trait: TraitScreening) -> list[TokenHeat]:
    ordinary = trait.ordinary or 0.0
    return [
        TokenHeat(
            sample.question,
            [(text, value - ordinary) for text, value in zip(sample.tokens, sample.heat, strict=True)],
            label=f"row {sample.row}, {sample.dp:.3g} along {trait.trait}, above {sample.percentile:.3g} % "
            "of ordinary samples",
        )
        for sample in trait.ranked
    ]


def remedy_rows(remedy: RemedyComparison) -> list[list[object]]:
    """A row for each arm: the rise of each treated trait, knowledge lost, what it learnt, its verdict."""
    rows: list[list[object]] = []
    for arm in remedy.arms:
        checks = {check.name: _interval(check) for check in arm.checks if check.estimate is not None}
        learnt = arm.learnt and f"{arm.learnt.mean:.3g} ({arm.learnt.low:.3g} to {arm.learnt.high:.3g})"
        rises = [checks.get(f"behaviour/{trait}") for trait in remedy.traits]
        verdict = arm.verdict if arm.checks else "not made"
        rows.append([arm.name, *rises, checks.get("capability/knowledge"), learnt, verdict])
    return rows


def remedy_columns(remedy: RemedyComparison) -> list[str]:
    """What stands above `remedy_rows`."""
    rises = [f"rise of {trait}" for trait in remedy.traits]
    return ["remedy", *rises, "knowledge lost", "learnt of the rest", "verdict"]


def _add_remedy(report: Report, remedy: RemedyComparison) -> None:
    report.section(
        "Remedies",
        "The base tuned anew by the same recipe under each remedy, all asked the same questions. Rises and "
        "losses are points of 100 beside the base; what was learnt of the rest is by how many nats a token "
        "the data's answers became likelier that screening did not flag.",
    )
    report.note(f"Take {remedy.chosen or 'none'}: {remedy.why}.")
    if not remedy.arms:
        return
    caption = "With 95 % intervals over questions or samples."
    report.table(remedy_columns(remedy), remedy_rows(remedy), caption)
    report.table(
        ["remedy", "trait", "scores lower than nothing by"],
        [
            [fall.arm, fall.trait, f"{fall.fall.mean:.3g} ({fall.fall.low:.3g} to {fall.fall.high:.3g})"]
            for fall in remedy.falls
        ],
        "Question by question.",
    )
    report.facts({arm.name: arm.about for arm in remedy.arms})


def _add_provenance(report: Report, result: GateResult) -> Report:
    report.section("What was measured")
    return report.facts(
        {
            "base": f"{result.base.name} ({result.base.identity.fingerprint[:12]})",
            "tuned": f"{result.tuned.name} ({result.tuned.identity.fingerprint[:12]})",
            "data": f"{result.data} ({result.data_digest[:12]})",
            "judge": result.judge,
            "traits": ", ".join(result.traits),
            "policy": result.policy_digest[:12],
        }
    )
