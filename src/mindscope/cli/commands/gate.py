"""`mindscope gate`: judge a tuned model, write a policy, verify a character.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from mindscope.cli.from_spec import add_command
from mindscope.cli.terminal.output import print_table, print_text, say
from mindscope.gate.job import run_gate, verify_character, write_default_policy

if TYPE_CHECKING:
    from mindscope.gate.job import GateReport, PolicyFile, VerificationReport


class DefaultVerb(TyperGroup):
    """`mindscope gate BASE TUNED` is `mindscope gate run BASE TUNED`."""

    default_verb = "run"

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        known = bool(args) and args[0] in self.commands
        return super().resolve_command(ctx, args if known else [self.default_verb, *args])


app = typer.Typer(
    cls=DefaultVerb,
    help="Judge whether a tuned model may ship, by a policy; the exit code is the verdict.\n\n"
    "`mindscope gate BASE TUNED --data FILE --traits NAME`.",
    no_args_is_help=True,
    context_settings={"ignore_unknown_options": True},
)


def print_gate(result: GateReport) -> None:
    """The checks, the verdict with its reasons, and where everything is."""
    from mindscope.gate import reason_line, remedy_columns, remedy_rows, verdict_line

    for section in result.sections:
        for note in section.notes:
            say(note)
    columns = ["check", "measured", "95 % interval", "at most", "over", "verdict"]
    rows = [
        [
            check.name,
            check.estimate,
            None if check.low is None else f"{check.low:.3g} to {check.high:.3g}",
            check.threshold,
            check.units or None,
            check.verdict if section.decides else f"{check.verdict} (reported)",
        ]
        for section in result.sections
        for check in section.checks
    ]
    print_table(columns, rows, "checks")
    for check in result.reasons:
        print_text(reason_line(check))
    if result.remedy is not None:
        if result.remedy.arms:
            print_table(remedy_columns(result.remedy), remedy_rows(result.remedy), "remedies")
        print_text(f"take {result.remedy.chosen or 'none'}: {result.remedy.why}")
    print_text(
        f"{verdict_line(result, whole=True)}\nreport: {result.report}\nfor the model card: {result.character}"
    )


def print_policy(result: PolicyFile) -> None:
    """Where the policy is."""
    print_text(f"policy: {result.file}")


def print_verification(result: VerificationReport) -> None:
    """What was checked, and what the gate had found."""
    rows = [[part.part, part.says, part.found, "right" if part.right else "WRONG"] for part in result.parts]
    print_table(["part", "the file says", "found", ""], rows, result.file)
    print_text(f"the gate's verdict: {result.verdict}")


def _exit(result: GateReport | VerificationReport) -> None:
    """The verdict as the exit code of the process."""
    if result.exit_code:
        raise typer.Exit(result.exit_code)


add_command(app, "run", run_gate, show=print_gate, require=_exit)
add_command(app, "policy", write_default_policy, show=print_policy)
add_command(app, "verify", verify_character, show=print_verification, require=_exit)
