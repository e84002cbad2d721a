"""A trait: contrastive instructions, questions for two purposes, and the prompt a judge scores it with.

The artefacts of Chen et al. 2025, arXiv 2507.21509, section 2.1: instruction pairs call the trait up and
keep it away; one set of questions extracts a direction, another, disjoint one evaluates it.
"""

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from mindscope.core import split_problem
from mindscope.errors import DataError
from mindscope.judges import Rubric
from mindscope.personas.trait_files import Split, decode, read_trait_document
from mindscope.store import write_text

SCHEMA = "mindscope.trait/1"

Side = Literal["pos", "neg"]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]

_BUNDLED = files("mindscope") / "personas" / "traits"

# A vowel sound, not a vowel letter, asks for "an": "an honest", but "a unique", "a European", "a one-sided".
_AN = re.compile(
    r"(?!eu|on(?:e|ce)\b|ubi|us[eu]|ut[io]|uni(?:[cflotv]|que|son))[aeiou]|heir|honest|hono|hour",
    re.IGNORECASE,
)


class InstructionPair(BaseModel):
    """Two instructions: ``pos`` calls the trait up, ``neg`` keeps it away."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    pos: Text
    neg: Text


class Trait(BaseModel):
    """All it takes to extract and to score one trait of character; frozen.

    Saved as JSON or YAML with ``schema: mindscope.trait/1``. A trait read from one half of a published pair
    of files has questions for one purpose only; `questions` refuses to hand out the empty half.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Text
    description: str = ""
    adjective: Text
    opposite: Text
    instructions: tuple[InstructionPair, ...] = Field(min_length=1)
    extraction: tuple[Text, ...]
    evaluation: tuple[Text, ...]
    eval_prompt: Text
    provenance: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> "Trait":
        for place in ("{question}", "{answer}"):
            if place not in self.eval_prompt:
                raise ValueError(f"eval_prompt has no {place}")
        seen: set[str] = set()
        for question in (*self.extraction, *self.evaluation):
            if question_key(question) in seen:
                raise ValueError(
                    f"the question '{question}' is there twice: a question serves one split, once"
                )
            seen.add(question_key(question))
        if not seen:
            raise ValueError("there are no questions")
        return self

    def system_prompt(self, side: Side, index: int) -> str:
        """``You are a|an {adjective} assistant. {instruction}`` with instruction pair ``index``, from 0."""
        if not 0 <= index < len(self.instructions):
            raise DataError(
                f"trait '{self.name}' has no instruction {index}: choose 0 to {len(self.instructions) - 1}"
            )
        pair = self.instructions[index]
        adjective, instruction = (self.adjective, pair.pos) if side == "pos" else (self.opposite, pair.neg)
        return f"You are {with_article(adjective)} assistant. {instruction}"

    def questions(self, split: Split) -> tuple[str, ...]:
        """The questions of one split; DataError where the trait's file brought none."""
        questions = self.extraction if split == "extraction" else self.evaluation
        if not questions:
            raise DataError(
                f"trait '{self.name}' has no {split} questions: load it with the file that holds them"
            )
        return questions

    def rubric(self) -> Rubric:
        return Rubric(self.name, self.description, self.eval_prompt)

    def document(self) -> dict[str, Any]:
        """The trait as plain JSON values: what `save` writes and `parse` reads."""
        return {"schema": SCHEMA} | self.model_dump(mode="json")

    def save(self, path: str | Path) -> None:
        """Writes JSON (``.json``) or YAML (``.yaml``, ``.yml``)."""
        match Path(path).suffix:
            case ".json":
                write_text(path, json.dumps(self.document(), indent=2, ensure_ascii=False) + "\n")
            case ".yaml" | ".yml":
                write_text(
                    path, yaml.safe_dump(self.document(), sort_keys=False, allow_unicode=True, width=110)
                )
            case _:
                raise DataError(f"cannot save a trait as {path}: its name must end in .json, .yaml or .yml")

    @classmethod
    def bundled(cls) -> list[str]:
        """The names of the traits that come with the package."""
        return sorted(
            entry.name.removesuffix(".yaml") for entry in _BUNDLED.iterdir() if entry.name.endswith(".yaml")
        )

    @classmethod
    def load(cls, source: str | Path, *, evaluation: str | Path | None = None) -> "Trait":
        """A bundled trait by its name, or a trait file by its path.

        A published ``{instruction, questions, eval_prompt}`` file holds the questions of one purpose: those
        of ``source`` are for extraction, those of ``evaluation`` for evaluation. Files that lie as they were
        published (``trait_data_extract/NAME.json`` and ``trait_data_eval/NAME.json``) find their other half
        themselves.
        """
        path = Path(source)
        if isinstance(source, str) and path.name == source and not path.suffix:
            if source not in cls.bundled():
                raise DataError(
                    f"no bundled trait '{source}': take {', '.join(cls.bundled())}, or a path to a file"
                )
            return cls.parse(decode((_BUNDLED / f"{source}.yaml").read_text("utf-8"), f"{source}.yaml"))
        return cls.parse(
            read_trait_document(path, None if evaluation is None else Path(evaluation)), source=str(path)
        )

    @classmethod
    def parse(cls, document: Mapping[str, Any], *, source: str = "trait") -> "Trait":
        """A trait out of a mapping; ``source`` names it where something is wrong (DataError, one line)."""
        schema = document.get("schema", SCHEMA)
        if schema != SCHEMA:
            raise DataError(f"{source} has the schema '{schema}', this version of mindscope reads '{SCHEMA}'")
        try:
            return cls.model_validate({key: value for key, value in document.items() if key != "schema"})
        except ValidationError as error:
            raise DataError(f"{source}: {first_problem(error)}") from None


def with_article(word: str) -> str:
    """The word behind `a` or `an`."""
    return f"{'an' if _AN.match(word) else 'a'} {word}"


def question_key(question: str) -> str:
    """What makes two questions the same: their words, whatever the case, spacing and punctuation."""
    return " ".join(re.findall(r"\w+", question.casefold()))


def first_problem(error: ValidationError) -> str:
    """What is wrong with a document, in one line: all missing keys, or else the first problem."""
    problems = error.errors()
    missing = [".".join(map(str, problem["loc"])) for problem in problems if problem["type"] == "missing"]
    if missing:
        return f"missing key {', '.join(map(repr, missing))}"
    first = problems[0]
    place, message = split_problem(error)
    if first["type"] == "extra_forbidden":
        return f"unknown key '{place}'"
    return f"key '{place}': {message}" if place else message
