"""What every job's specification must hold: it goes to JSON and back, and explains each of its fields."""

import inspect
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from mindscope.jobs import JobSpec

NEEDED: dict[str, dict[str, Any]] = {
    "circuit intervene": {"set": ("0_1_1=0",)},
    "feature search": {"words": "capital"},
    "feature alarm": {"calibrate": Path("ordinary.jsonl")},
    "gate run": {"traits": ("evil",)},
    "plan": {"job": "persona extract"},
}
"""What a specification needs besides its required fields, by the name of its job."""


def spec_type(job: Callable[..., Any]) -> type[JobSpec]:
    return get_type_hints(job)["spec"]


def kinds_of(annotation: Any) -> Iterator[Any]:
    """The types that a field may have, without None and with what a tuple holds."""
    if get_origin(annotation) is Literal:
        return
    if arguments := get_args(annotation):
        for inner in arguments:
            if inner not in (types.NoneType, Ellipsis):
                yield from kinds_of(inner)
    else:
        yield annotation


def smallest_values(kind: type[JobSpec]) -> dict[str, Any]:
    """A value for every field that has no default."""
    values: dict[str, Any] = {}
    for field, info in kind.model_fields.items():
        if info.is_required():
            sample = 1 if int in {*kinds_of(info.annotation)} else "x"
            values[field] = (sample,) if "tuple" in str(info.annotation) else sample
    return values


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
