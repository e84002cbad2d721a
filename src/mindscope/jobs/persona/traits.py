"""Traits: list the bundled ones, show or save one, and have a language model write another."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import RootModel

from mindscope.errors import DataError
from mindscope.jobs.job import JobSpec, Reporter
from mindscope.jobs.resolve import ORGANISM, find_trait, find_writer
from mindscope.jobs.specs import EndpointSpec
from mindscope.personas import Trait
from mindscope.store import Document

SUFFIXES = (".yaml", ".yml", ".json")


class TraitsSpec(JobSpec):
    """What `persona traits` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("trait",)

    trait: str | None = None
    """The trait to show in full; without one all are listed."""
    save: Path | None = None
    """Save the trait as this .json or .yaml file, to edit it."""


class WriteTraitSpec(EndpointSpec):
    """What `persona artifacts` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("name", "to")

    name: str
    """The name of the trait."""
    to: Path
    """The .yaml or .json file to write."""
    description: str
    """What the trait means, in a sentence or two."""
    writer: str
    """Who writes: model:NAME, or endpoint:NAME."""


class TraitSummary(Document):
    """A trait in one line."""

    name: str
    description: str


class TraitsReport(RootModel[tuple[TraitSummary, ...] | Trait]):
    """All traits in one line each, or a trait in full."""


class WrittenFile(Document):
    """A file that was written."""

    file: str
    notes: tuple[str, ...] = ()
    """What the file does not carry, or what is not known of what it was made from."""


def show_traits(spec: TraitsSpec, *, reporter: Reporter) -> TraitsReport:
    """List the bundled traits, or show a trait in full."""
    from mindscope import organism

    if spec.trait is not None:
        trait = find_trait(spec.trait, "")
        if spec.save is not None:
            trait.save(spec.save)
            reporter.say(f"saved as {spec.save}")
        return TraitsReport(trait)
    if spec.save is not None:
        raise DataError("name the trait to save: mindscope persona traits NAME --save FILE")
    traits = [Trait.load(name) for name in Trait.bundled()]
    summaries = [TraitSummary(name=trait.name, description=trait.description) for trait in traits]
    summaries += [
        TraitSummary(name=f"{ORGANISM}:{name}", description=organism.trait(name)["description"])
        for name in organism.CHARACTERS
    ]
    return TraitsReport(tuple(summaries))


def write_trait(spec: WriteTraitSpec, *, reporter: Reporter) -> WrittenFile:
    """Have a language model write a trait's instructions, questions and judge prompt."""
    from mindscope.personas import generate_trait

    if spec.to.exists():
        raise DataError(f"{spec.to} exists: choose another name, or delete it")
    if spec.to.suffix not in SUFFIXES:
        raise DataError(f"cannot save a trait as {spec.to}: its name must end in .yaml or .json")
    writer = find_writer(spec.writer, spec)
    reporter.say(f"{writer.name} writes {spec.to}")
    generate_trait(writer, spec.name, spec.description).save(spec.to)
    return WrittenFile(file=str(spec.to))
