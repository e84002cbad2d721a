"""What Inspect finds by its entry point: the provider, solvers, scorers and tasks.

The provider is imported when a model `mindscope/…` is asked for, and torch with it.
"""

from __future__ import annotations

from inspect_ai.model import ModelAPI, modelapi

from mindscope.auditing.extension.scorers import projection, said_and_represented, trait_score
from mindscope.auditing.extension.solvers import steered_answers
from mindscope.auditing.extension.tasks import trait
from mindscope.auditing.extension.tools import audit, audit_score, auditor

__all__ = [
    "audit",
    "audit_score",
    "auditor",
    "mindscope_api",
    "projection",
    "said_and_represented",
    "steered_answers",
    "trait",
    "trait_score",
]


@modelapi(name="mindscope")
def mindscope_api() -> type[ModelAPI]:
    """Models that mindscope opens, steered and watched call by call."""
    from mindscope.auditing.extension.provider import MindscopeAPI

    return MindscopeAPI
