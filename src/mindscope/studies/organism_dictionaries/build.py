"""Training what is shipped, and putting it where the package keeps it."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from mindscope import organism
from mindscope.core import Progress
from mindscope.dictionaries import (
    Dictionary,
    ModelSource,
    stack_dictionaries,
    train,
    unstack_dictionaries,
)
from mindscope.models import Model
from mindscope.organism import WorldName, dictionaries_folder
from mindscope.store import Run
from mindscope.studies.organism_dictionaries.recipe import N_LAYERS, Part, order_parts, recipe

SHIPPED = "shipped"


def build(
    model: Model,
    run: Run,
    parts: Sequence[Part] = (),
    *,
    world: WorldName = "first",
    steps: int | None = None,
    seed: int = 0,
    begin_with: Mapping[str, Dictionary] | None = None,
    progress: Progress | None = None,
) -> dict[str, Path]:
    """Train dictionaries of an organism on its own corpus; stopped, the same run goes on.

    Leaves `NAME.safetensors` or a folder under `shipped/`, matrices in bfloat16: half the bytes, for a change
    that the evaluation does not see. The transcoders of all layers are one dictionary there.

    Args:
        model: the organism, in float32.
        run: where checkpoints and results are kept.
        parts: what to train; all of them by default.
        world: whose organism it is.
        steps: fewer than the recipe's.
        seed: of initial weights and shuffling.
        begin_with: see `find_begun`.
        progress: called with (done, total, label).
    """
    shipped: dict[str, Path] = {}
    for part in order_parts(parts, world):
        config = recipe(part, steps, world).model_copy(update={"seed": seed})
        names = dict.fromkeys(
            name for planned in config.dictionaries for name in (*planned.reads, *planned.targets)
        )
        source = ModelSource(
            [model], tuple(names), lambda start: organism.corpus_rows(model, start, world=world)
        )
        planned = {dictionary.name for dictionary in config.dictionaries}
        begun = {name: one for name, one in (begin_with or {}).items() if name in planned}
        trained = train(source, run, config, model.device, progress, begin_with=begun)
        if part == "transcoder":
            trained = {"transcoders": stack_dictionaries([*trained.values()])}
        for name, dictionary in trained.items():
            several = len(dictionary.wiring) > 1
            path = run.path / SHIPPED / (name if several else f"{name}.safetensors")
            path.parent.mkdir(exist_ok=True)
            if not path.exists():
                dictionary.save(path, torch.bfloat16)
            shipped[name] = path
    return shipped


def find_bundled(parts: Sequence[Part] = (), world: WorldName = "first") -> dict[str, Path]:
    """The dictionaries of a world's organism that come with the package, by their names."""
    names: dict[Part, list[str]] = {
        "sae": [f"sae.{layer}" for layer in range(N_LAYERS[world])],
        "transcoder": ["transcoders"],
    }
    return {
        name: organism.dictionary_path(name, world)
        for part in order_parts(parts, world)
        for name in names.get(part, [part])
    }


def find_begun(parts: Sequence[Part] = (), world: WorldName = "first") -> dict[str, Dictionary]:
    """The dictionaries that come with the package, whosever weights they were trained on, to begin with."""
    begun: dict[str, Dictionary] = {}
    for name, path in find_bundled(parts, world).items():
        dictionary = Dictionary.load(path)
        if name == "transcoders":
            layers = enumerate(unstack_dictionaries(dictionary))
            begun |= {f"transcoder.{layer}": one for layer, one in layers}
        else:
            begun[name] = dictionary
    return begun


def load(model: Model, files: Mapping[str, Path]) -> dict[str, Dictionary]:
    """Dictionaries as they are shipped."""
    return {name: Dictionary.load(path, model) for name, path in files.items()}


def install(files: Mapping[str, Path], world: WorldName = "first") -> Path:
    """Put dictionaries in place of the package's own; those that were not trained again stay."""
    place = dictionaries_folder(world)
    place.mkdir(exist_ok=True)
    for path in files.values():
        if path.is_dir():
            shutil.rmtree(place / path.name, ignore_errors=True)
            shutil.copytree(path, place / path.name)
        else:
            shutil.copy(path, place / path.name)
    return place
