"""What every job's specification must hold: it goes to JSON and back, and explains each of its fields."""

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

from mindscope.jobs import JobSpec


def spec_type(job: Callable[..., Any]) -> type[JobSpec]:
    return get_type_hints(job)["spec"]


def require_sentences(job: Callable[..., Any]) -> None:
    """The job and every field that a command line offers are explained in full sentences."""
    (headline, *_) = (inspect.getdoc(job) or "").split("\n\n")
    assert is_sentence(headline), f"{job.__name__}: {headline!r}"
    kind = spec_type(job)
    for name, field in kind.model_fields.items():
        assert is_sentence(field.description or ""), f"{kind.__name__}.{name}: {field.description!r}"


def is_sentence(text: str) -> bool:
    """It begins with a capital, ends with a full stop, and has at least three words."""
    words = text.split()
    return len(words) >= 3 and (words[0][0].isupper() or not words[0][0].isalpha()) and text.endswith(".")


def require_round_trip(spec: JobSpec) -> None:
    """Out of its own JSON it is the same specification."""
    assert type(spec).model_validate_json(spec.model_dump_json()) == spec


class RecordingReporter:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.labels: list[str] = []

    def progress(self, done: int, total: int, label: str) -> None:
        self.labels.append(label)

    def say(self, text: str) -> None:
        self.lines.append(text)
