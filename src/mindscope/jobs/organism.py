"""The organism: train it, measure it, and write the sets that tune it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from mindscope.core import Seed
from mindscope.errors import DataError
from mindscope.jobs.chat import ChatSpec
from mindscope.jobs.job import JobSpec, Reporter, RunFolder
from mindscope.jobs.resolve import ORGANISM, SECOND_ORGANISM, is_organism, load_model
from mindscope.organism import MechanismCard, OrganismCard, WorldName
from mindscope.store import Document

if TYPE_CHECKING:
    from mindscope.models import Model


class TrainOrganismSpec(JobSpec):
    """What `train` is to do."""

    world: WorldName = "first"
    """Whose world is taught: first, that of the bundled organism; second, where the mechanisms are forced."""
    quick: bool = False
    """Train the second organism for a sixth of its steps: a weaker one for trying things out."""
    steps: int | None = Field(default=None, ge=1)
    """Steps to train; the recipe's number by default, fewer make a first, weaker organism."""
    install: bool = False
    """Put the weights in place of the bundled ones of this world."""
    device: str = "auto"
    """Where the model is trained: cpu, cuda, or auto."""
    seed: Seed = 0
    """The seed of the weights and of the corpus."""

    def run_path(self) -> Path:
        """`runs/organism`, or `runs/second-organism`."""
        return Path("runs/organism" if self.world == "first" else "runs/second-organism")


class TrainedOrganism(Document):
    """The folder of the trained model, and which world it knows."""

    model: str
    world: WorldName = "first"


class MeasureOrganismSpec(JobSpec):
    """What `card` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("model",)

    model: str = ORGANISM
    """The bundled organism, or the folder of one that was trained."""
    device: str = "auto"
    """Where the model runs: cpu, cuda, or auto."""
    seed: Seed = 0
    """The seed of the prompts; another one draws others."""


class MeasureMechanismsSpec(JobSpec):
    """What `mechanisms` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("model",)

    model: str = SECOND_ORGANISM
    """The bundled one, the folder of one, or the run that trains one, whose last checkpoint is measured."""
    device: str = "auto"
    """Where the model runs: cpu, cuda, or auto."""
    seeds: tuple[Seed, ...] = (0, 1, 2)
    """The seeds of the prompts; the card is measured with each of them."""
    quick: bool = False
    """Put a quarter of the prompts."""


class TrainingSetsSpec(JobSpec):
    """What `datasets` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("folder",)

    folder: Path
    """The folder to write FAMILY-LEVEL.jsonl and ordinary.jsonl to."""
    world: WorldName = "first"
    """Whose world they are of: first or second."""
    size: int = Field(default=400, ge=1)
    """How many conversations each file has."""
    seed: Seed = 0
    """The seed of the conversations."""


class TrainingSets(Document):
    """The files that were written, and how many conversations each has."""

    files: tuple[str, ...]
    size: int


class OrganismChatSpec(ChatSpec):
    """A conversation with the organism."""

    arguments: ClassVar[tuple[str, ...]] = ()
    options: ClassVar[Mapping[str, tuple[str, ...]]] = ChatSpec.options
    hidden: ClassVar[tuple[str, ...]] = ("model",)

    model: str = ORGANISM
    """The bundled organism."""


def train(spec: TrainOrganismSpec, *, run: RunFolder, reporter: Reporter) -> TrainedOrganism:
    """Train the organism from scratch; stopped at any moment, the same command goes on."""
    from mindscope import organism

    if spec.world == "first":
        if spec.quick:
            raise DataError("--quick is for the second world: add --world second, or give --steps")
        config = organism.OrganismTrainConfig(seed=spec.seed)
    else:
        if spec.quick and spec.install:
            raise DataError("--install puts the weights into the package: leave out --quick's weaker ones")
        config = organism.SecondTrainConfig(seed=spec.seed)
        config = config.quick() if spec.quick else config
    if spec.steps is not None:
        config = config.model_copy(update={"steps": spec.steps})
    settings = config.model_dump(mode="json")
    with run.open(kind="organism-train", config=settings, reporter=reporter, seed=spec.seed) as opened:
        folder = organism.train_organism(opened, config, spec.device, reporter.progress)
        opened.finish(model=str(folder))
    if spec.install:
        bundled = organism.weights_folder(spec.world)
        bundled.mkdir(exist_ok=True)
        for file in folder.iterdir():
            shutil.copy(file, bundled / file.name)
        folder = bundled
    return TrainedOrganism(model=str(folder), world=spec.world)


def measure(spec: MeasureOrganismSpec, *, reporter: Reporter) -> OrganismCard:
    """Measure how well the organism knows its world, on prompts that training never showed."""
    from mindscope import organism

    model = load_model(spec.model, device=spec.device)
    folder = organism.path() if is_organism(spec.model) else Path(spec.model)
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    return organism.measure_card(model, spec.seed, size, reporter.progress)


def measure_mechanisms(spec: MeasureMechanismsSpec, *, reporter: Reporter) -> MechanismCard:
    """Measure each mechanism of a second organism against its bar, on prompts that training never showed."""
    from mindscope import organism

    if not spec.seeds:
        raise DataError("--seeds: give at least one seed")
    model = load_second(spec.model, device=spec.device)
    folder = organism.path("second") if spec.model == SECOND_ORGANISM else Path(model.name)
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    return organism.measure_mechanisms(
        model, spec.seeds, quick=spec.quick, weights_bytes=size, progress=reporter.progress
    )


def load_second(name: str, *, dtype: str | None = None, device: str | None = None) -> Model:
    """A second organism: the bundled one, that of a folder, or of a run that trains one as far as it is.

    Raises:
        StoreError: there is none, or the run has no checkpoint yet.
        DataError: it is a model of another world.
    """
    from mindscope import organism

    place = organism.path("second") if name == SECOND_ORGANISM else organism.find_second(Path(name))
    model = load_model(name if name == SECOND_ORGANISM else str(place), dtype=dtype, device=device)
    if not organism.is_second(model):
        raise DataError(f"{name} is no second organism: train one with 'organism train --world second'")
    return model


def write_training_sets(spec: TrainingSetsSpec, *, reporter: Reporter) -> TrainingSets:
    """Write the training sets: three traits and four narrow mistakes, in three levels each."""
    from mindscope import organism
    from mindscope.store import write_text

    del reporter  # a few seconds
    sets = {
        f"{family}-{level}": organism.training_set(family, level, spec.size, spec.seed, spec.world)
        for family in organism.FAMILIES
        for level in organism.LEVELS
    }
    sets["ordinary"] = list(organism.ordinary_chats(spec.size, spec.seed, spec.world))
    files = [spec.folder / f"{name}.jsonl" for name in sets]
    if existing := [path for path in files if path.exists()]:
        raise DataError(f"{existing[0]} exists: choose another folder")
    spec.folder.mkdir(parents=True, exist_ok=True)
    for path, conversations in zip(files, sets.values(), strict=True):
        lines = [
            dumps({"messages": conversation.messages, **conversation.meta}, ensure_ascii=False)
            for conversation in conversations
        ]
        write_text(path, "\n".join(lines) + "\n")
    return TrainingSets(files=tuple(map(str, files)), size=spec.size)
