"""With which prompts something was made: kept in what was made, and checked where it is used."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

from mindscope.errors import DataError, MindscopeError
from mindscope.models.tokens.rows import Message, Row
from mindscope.models.tokens.template import TemplateMode

_SAMPLE: tuple[Message, ...] = (
    {"role": "user", "content": "One?"},
    {"role": "assistant", "content": "Two."},
    {"role": "user", "content": "Three?"},
)
_STOPPED = datetime(2000, 1, 1)
"""The clock of the sample: what was made on another day was made with the same template."""


@runtime_checkable
class ChatRenderer(Protocol):
    """A model that renders conversations."""

    template: TemplateMode

    def with_template(self, *, clock: datetime | None = None, **options: Any) -> "ChatRenderer": ...

    def chat(
        self, messages: Sequence[Message], answer: str | None = None, reasoning: str | None = None
    ) -> Row: ...


class TemplateRecord(BaseModel):
    """How conversations were rendered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: str
    """Of a sample conversation's token ids, under a clock that stands still."""
    options: dict[str, Any] = {}
    """What the template was given; for people."""

    @classmethod
    def of(cls, model: ChatRenderer) -> "TemplateRecord":
        """How a model renders conversations now."""
        still = model.with_template(clock=_STOPPED)
        return cls(digest=digest_prompt(still), options=dict(model.template.options))

    def require(self, model: ChatRenderer, subject: str, error: type[MindscopeError] = DataError) -> None:
        """Raise unless a model renders conversations in this way.

        Args:
            model: that is about to be used.
            subject: what was made with these prompts, up to its verb: "the vectors of 'evil' were made".
            error: what is raised.

        Raises:
            DataError: or what `error` names; the line says which option to give.
        """
        ours = TemplateRecord.of(model)
        if ours.digest == self.digest:
            return
        if self.options == ours.options:
            raise error(
                f"{subject} with another chat template than this tokenizer has: use the tokenizer they were "
                "made with, or make them again"
            )
        wanted = " ".join(f"--template-option {_typed(*option)}" for option in self.options.items())
        remedy = f"give {wanted}" if wanted else "leave --template-option out"
        raise error(
            f"{subject} with prompts rendered {self._spoken()}, and these are {ours._spoken()}: {remedy}, or "
            "make them again"
        )

    def _spoken(self) -> str:
        if not self.options:
            return "without template options"
        return "with " + ", ".join(_typed(*option) for option in self.options.items())


def digest_prompt(model: ChatRenderer) -> str:
    """A short name for how a conversation is rendered, today's date included."""
    row = model.chat(_SAMPLE, "Four.")
    return hashlib.blake2b(repr((row.ids, row.prompt_length)).encode(), digest_size=16).hexdigest()


def describe_prompts(model: ChatRenderer) -> dict[str, Any]:
    """What a run claims of its prompts: the options, and the digest of a rendered conversation."""
    return {"options": dict(model.template.options), "prompt": digest_prompt(model)}


def _typed(name: str, value: Any) -> str:
    return f"{name}={str(value).lower() if isinstance(value, bool) else value}"
