"""Rendering a chat template: with options of one's own, and under a clock that stands still."""

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from jinja2 import TemplateError

from mindscope.core import parse_json
from mindscope.errors import ModelError
from mindscope.models.tokens.reasoning import ReasoningMarkers
from mindscope.models.tokens.rows import Message

NAMED = "chat_template"
"""The option that says which of a tokenizer's named templates is meant."""
MARKERS = "reasoning_markers"
"""The option that says what stands around a reasoning."""

_OURS = ("messages", "conversation", "tokenize", "add_generation_prompt", "continue_final_message")

_CLOCK = """\
{%- macro strftime_now(format) -%}
{%- set clock = namespace(text=format) -%}
{%- for code, text in clock_codes %}{% set clock.text = clock.text | replace(code, text) %}{% endfor -%}
{{- clock.text -}}
{%- endmacro -%}{{- '' }}"""
"""Stands before a template that asks for the time, in place of the function that looks at the real clock. A
template takes values and no functions, so the time comes as a table: what each code of strftime means."""

_CODES = "YmdBbAaHIMSpyjefZzUWwcxXFTD"


@dataclass(frozen=True)
class TemplateMode:
    """How conversations are rendered.

    Attributes:
        options: what the template takes by name, such as `{"enable_thinking": False}`. `chat_template` names
            one of several templates; `reasoning_markers` are two texts, what a reasoning begins and ends
            with, for a model whose markers are not known.
        clock: the time that a template sees which writes the date; None for when the model was loaded.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    clock: datetime | None = None

    def with_options(self, options: Mapping[str, Any]) -> "TemplateMode":
        """These options besides those that are set."""
        return replace(self, options={**self.options, **options})

    @classmethod
    def parse(cls, texts: Sequence[str]) -> "TemplateMode":
        """Options as they are typed, `NAME=VALUE`; a value is read as JSON where it is JSON.

        Raises:
            ModelError: a text without a name or a value.
        """
        options: dict[str, Any] = {}
        for text in texts:
            name, equals, value = text.partition("=")
            if not equals or not name.isidentifier():
                raise ModelError(f"{text!r} is not NAME=VALUE: write for example enable_thinking=false")
            try:
                options[name] = parse_json(value)
            except ValueError:
                options[name] = {"True": True, "False": False}.get(value, value)
        return cls(options)


class TemplateRenderer:
    """One tokenizer's chat template in one mode.

    Raises:
        ModelError: an option that the template does not take, or several templates of which none is chosen.
    """

    def __init__(self, tokenizer: Any, mode: TemplateMode) -> None:
        self._tokenizer = tokenizer
        self._clock = mode.clock or datetime.now()
        self._options = dict(mode.options)
        self._told = False
        if self._options:
            self._check_options()

    def __bool__(self) -> bool:
        """Whether there is a template."""
        return bool(self._tokenizer.chat_template)

    @cached_property
    def source(self) -> str:
        """The template itself; nothing where there is none.

        Raises:
            ModelError: there are several, none of them the default, and no option chooses.
        """
        templates = self._tokenizer.chat_template or ""
        if isinstance(templates, str):
            return templates
        name = self._options.get(NAMED, "default")
        if name not in templates:
            names = ", ".join(templates)
            raise ModelError(
                f"the tokenizer has the chat templates {names} and none is called {name!r}: choose with the "
                f"template option {NAMED}=NAME"
            )
        return templates[name]

    @cached_property
    def markers(self) -> ReasoningMarkers | None:
        """What stands around a reasoning, as the option says; None where the template is to tell."""
        match self._options.get(MARKERS):
            case None:
                return None
            case [str(opens), str(closes)] if opens.strip() and closes.strip() and opens != closes:
                return ReasoningMarkers(opens, closes)
        raise ModelError(
            f"{MARKERS} are two texts, what a reasoning begins and ends with: write "
            f'{MARKERS}=["<think>", "</think>"]'
        )

    def render(self, messages: Sequence[Message], *, answered: bool = False) -> str:
        """The prompt of the next answer, or with `answered` the conversation as it stands.

        Raises:
            ModelError: the template refuses the conversation.
        """
        template, options = self.source, {**self._options}
        for ours in (NAMED, MARKERS):
            options.pop(ours, None)
        if "strftime_now" in template:
            template, options["clock_codes"] = _CLOCK + template, self._clock_codes
        try:
            return self._tokenizer.apply_chat_template(
                [_as_template_takes(message) for message in messages],
                tokenize=False,
                add_generation_prompt=not answered,
                chat_template=template,
                **options,
            )
        except (TemplateError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise ModelError(f"the chat template refuses the conversation: {reason}") from error

    def require_tools(self, messages: Sequence[Message]) -> None:
        """Refuse turns about tools that the template would leave out or write as somebody's words.

        Raises:
            ModelError: it has no place for them.
        """
        source = self.source if self else ""
        for message in messages:
            if message["role"] == "tool" and not re.search(r"""(['"])tool\1""", source):
                raise ModelError("the chat template has no turn of the role tool")
            if message.get("tool_calls") and "tool_calls" not in source:
                raise ModelError("the chat template has no calls of tools")

    def say_none(self, name: str) -> None:
        """Warn, once, that conversations become plain lines."""
        if not self._told:
            self._told = True
            warnings.warn(
                f"the tokenizer of {name} has no chat template: messages become plain lines, which suits a "
                "base model; for a chat model, set its chat template",
                stacklevel=4,
            )

    @cached_property
    def _clock_codes(self) -> list[list[str]]:
        codes = [f"%{dash}{letter}" for letter in _CODES for dash in ("-", "")]
        return [[code, self._clock.strftime(code)] for code in codes]

    def _check_options(self) -> None:
        if not self:
            raise ModelError(f"there is no chat template that could take {', '.join(self._options)}")
        for name in self._options:
            if name in _OURS:
                raise ModelError(f"the template option {name} is not free: it follows from what is rendered")
            if name not in (NAMED, MARKERS) and not re.search(rf"\b{name}\b", self.source):
                raise ModelError(
                    f"the chat template takes no option {name!r}: look for its names in the template"
                )
        _ = self.markers  # refuses what are no markers


def _as_template_takes(message: Message) -> dict[str, Any]:
    """A message with its reasoning under a name that templates know; transformers adds the other ones."""
    plain: dict[str, Any] = {"role": message["role"], "content": message["content"]}
    plain |= {name: value for name, value in message.items() if name in ("tool_calls", "tool_call_id")}
    return {**plain, "reasoning_content": message["reasoning"]} if "reasoning" in message else plain
