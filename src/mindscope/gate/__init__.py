"""The gate: whether a tuned model may ship, by its data, activations, answers and knowledge, and a policy."""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.gate.character import ModelCharacter
    from mindscope.gate.job import (
        GateReport,
        VerificationReport,
        run_gate,
        verify_character,
        write_default_policy,
    )
    from mindscope.gate.policy import GatePolicy, read_policy, write_policy
    from mindscope.gate.report import check_rows, reason_line, remedy_columns, remedy_rows, verdict_line
    from mindscope.gate.results import (
        EXIT_CODES,
        GateCheck,
        GateResult,
        GateSection,
        RemedyComparison,
        Verdict,
    )
    from mindscope.gate.spec import GateSpec, PolicySpec, VerifySpec


__all__ = [
    "EXIT_CODES",
    "GateCheck",
    "GatePolicy",
    "GateReport",
    "GateResult",
    "GateSection",
    "GateSpec",
    "ModelCharacter",
    "PolicySpec",
    "RemedyComparison",
    "VerificationReport",
    "Verdict",
    "VerifySpec",
    "check_rows",
    "read_policy",
    "reason_line",
    "remedy_columns",
    "remedy_rows",
    "run_gate",
    "verdict_line",
    "verify_character",
    "write_default_policy",
    "write_policy",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
