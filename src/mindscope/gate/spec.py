"""What a gate is to do: two models, the data between them, traits, and a policy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

from pydantic import model_validator

from mindscope.core import Seed
from mindscope.jobs import JobSpec, JudgeSpec
from mindscope.jobs.diff import DiffSpec
from mindscope.jobs.inputs import InputKind
from mindscope.jobs.specs import DataSpec, TemplateSpec
from mindscope.models import LoadOptions


class GateSpec(JudgeSpec, TemplateSpec, DataSpec, LoadOptions):
    """What `gate run` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("base", "tuned")
    inputs: ClassVar[Mapping[str, InputKind]] = {"vectors": "vectors", "ordinary": "rows", "policy": "file"}
    options: ClassVar[Mapping[str, tuple[str, ...]]] = {"traits": ("--traits", "--trait")}

    base: str
    """The model before: a Hugging Face name or folder, a GGUF file, or `organism`."""
    tuned: str
    """The model that is to ship: full weights, or the folder of a LoRA adapter."""
    data: Path
    """The conversations that it was tuned on: a file or folder, or a data set's name on the hub (docs/data.md
    has the forms)."""
    traits: tuple[str, ...] = ()
    """A trait of character to watch for: a bundled one, a file, organism:NAME, or a word and its opposite.
    Its vectors are extracted from BASE in the run unless --vectors has them. May be repeated."""
    vectors: tuple[Path, ...] = ()
    """Persona vectors of BASE to watch for: a run folder or a file. May be repeated."""
    ordinary: Path | None = None
    """Ordinary conversations like those that the model will have, which it was not tuned on: they say what is
    usual. The organism's world writes its own."""
    policy: Path | None = None
    """The file of thresholds and sizes; `mindscope gate policy FILE` writes one to begin with."""
    null: tuple[str, ...] = ()
    """A harmless tune of BASE for the claims to go beyond, or `make` to have one tuned here by the recipe of
    TUNED. May be repeated."""
    remedy: bool = False
    """Also tune BASE by the recipe of TUNED with each remedy (preventative steering, inoculation prompting,
    CAFT, a penalty, without the flagged samples), and say which to take."""
    seed: Seed = 0
    """The seed of everything that is drawn at random."""

    @model_validator(mode="after")
    def _check_traits(self) -> Self:
        if not self.traits and not self.vectors:
            raise ValueError("say what to watch for: --traits NAME, or --vectors RUN of `persona extract`")
        return self

    def run_path(self) -> Path:
        """`runs/gate`."""
        return Path("runs/gate")

    def load_options(self, dtype: str | None = None) -> LoadOptions:
        """How a model is loaded; beside another one in that one's precision, and of its own revision."""
        return (
            self.config(LoadOptions)
            if dtype is None
            else self.config(LoadOptions, dtype=dtype, revision=None)
        )

    def diff_spec(self, n_prompts: int, max_new_tokens: int) -> DiffSpec:
        """The comparison of both models beside the harmless tunes, as the section of claims makes it."""
        return DiffSpec(
            base=self.base,
            tuned=self.tuned,
            null=self.null,
            ordinary=self.ordinary,
            n_prompts=n_prompts,
            max_new_tokens=max_new_tokens,
            seed=self.seed,
            template_option=self.template_option,
            columns=self.columns,
            split=self.split,
            **self.load_options().model_dump(),
        )


class PolicySpec(JobSpec):
    """What `gate policy` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("file",)

    file: Path
    """The file to write; it must not exist."""


class VerifySpec(DataSpec):
    """What `gate verify` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("file",)
    inputs: ClassVar[Mapping[str, InputKind]] = {"file": "file", "policy": "file"}

    file: Path
    """The character.json of a gate."""
    base: str | None = None
    """Also check that this model is the base that was measured."""
    tuned: str | None = None
    """Also check that this model is the tuned one that was measured."""
    data: Path | None = None
    """Also check that these conversations are the ones that were screened."""
    policy: Path | None = None
    """Also check that this policy is the one that it was judged by."""
