"""What an auditor can do to a model: tools with a schema, ranked findings, evidence by id, and a price."""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.auditing.tools.registry import TOOLS
    from mindscope.auditing.tools.results import (
        LEVELS,
        AccessLevel,
        ToolEvidence,
        ToolFinding,
        ToolPrice,
        ToolReport,
    )
    from mindscope.auditing.tools.session import (
        AuditSession,
        AuditTarget,
        AuditTool,
        BudgetError,
        TokenBudget,
        ToolSpec,
    )


__all__ = [
    "TOOLS",
    "LEVELS",
    "AccessLevel",
    "AuditSession",
    "AuditTarget",
    "AuditTool",
    "TokenBudget",
    "BudgetError",
    "ToolSpec",
    "ToolReport",
    "ToolFinding",
    "ToolEvidence",
    "ToolPrice",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
