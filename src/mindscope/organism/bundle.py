"""Where the bundled weights are, and how freshly trained ones take their place."""

from importlib import resources
from pathlib import Path
from typing import Literal

from mindscope.core import order_names
from mindscope.errors import StoreError

WorldName = Literal["first", "second"]
FOLDERS: dict[WorldName, str] = {"first": "weights", "second": "second_weights"}
DICTIONARIES: dict[WorldName, str] = {"first": "dictionaries", "second": "second_dictionaries"}


def weights_folder(world: WorldName = "first") -> Path:
    """Where the package keeps the model of a world, whether it is there or not."""
    return Path(str(resources.files("mindscope.organism") / FOLDERS[world]))


def path(world: WorldName = "first") -> Path:
    """The folder of the bundled model of a world, in Hugging Face form. StoreError where it is missing."""
    folder = weights_folder(world)
    if not (folder / "model.safetensors").is_file():
        raise StoreError(
            f"the organism's weights are not in {folder}: reinstall mindscope, or train them with "
            f"'mindscope organism train --world {world} --install'"
        )
    return folder


def dictionaries_folder(world: WorldName = "first") -> Path:
    """Where the package keeps the dictionaries of a world's organism, whether they are there or not."""
    return Path(str(resources.files("mindscope.organism") / DICTIONARIES[world]))


def dictionary_path(name: str, world: WorldName = "first") -> Path:
    """A bundled dictionary, for `Dictionary.load`: `sae.0` and so on, `transcoders`, `clt`, and of the second
    organism `crosscoder`.

    Raises:
        StoreError: there is no such dictionary in the package.
    """
    folder = dictionaries_folder(world)
    files = sorted(folder.glob("[!.]*"), key=order_names)
    dictionaries = {path.name.removesuffix(".safetensors"): path for path in files}
    if name not in dictionaries:
        command = f"mindscope organism dictionaries --world {world} --install"
        has = ", ".join(dictionaries) or f"none; train them with '{command}'"
        raise StoreError(f"the {world} organism has no dictionary '{name}' in {folder}: it has {has}")
    return dictionaries[name]
