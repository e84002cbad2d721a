"""Where the bundled weights are, and how freshly trained ones take their place."""

from importlib import resources
from pathlib import Path

from mindscope.errors import StoreError

FOLDER = "weights"


def weights_folder() -> Path:
    """Where the package keeps the model, whether it is there or not."""
    return Path(str(resources.files("mindscope.organism") / FOLDER))


def path() -> Path:
    """The folder of the bundled model, in Hugging Face form. StoreError where it is missing."""
    folder = weights_folder()
    if not (folder / "model.safetensors").is_file():
        raise StoreError(
            f"the organism's weights are not in {folder}: reinstall mindscope, or train them with "
            "'mindscope organism train --install'"
        )
    return folder
