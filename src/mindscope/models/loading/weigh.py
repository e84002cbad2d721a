"""How many parameters a model has, before any of its weights is read."""

from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from mindscope.errors import ModelError
from mindscope.models.loading.adapters import base_of, is_adapter
from mindscope.models.loading.gguf import find_gguf
from mindscope.models.loading.gguf_reader import open_gguf
from mindscope.models.loading.loading import _from_hub, _source, quiet_library, split_revision
from mindscope.models.loading.options import LoadOptions


def count_parameters(name: str, options: LoadOptions | None = None) -> int:
    """The number of a model's parameters: of a GGUF file by its table, else by what its configuration builds.

    The model is built without storage, so this takes a second for any size. An adapter counts as its base.

    Raises:
        ModelError: there is no such model, or the hub cannot be reached.
    """
    options = options or LoadOptions()
    name, revision = split_revision(name, options.revision)
    if is_adapter(Path(name)):
        base, revision = base_of(Path(name))
        return count_parameters(base, options.model_copy(update={"revision": revision}))
    if (file := find_gguf(Path(name))) is not None:
        try:
            return sum(int(tensor.n_elements) for tensor in open_gguf(file).tensors)
        except (ValueError, OSError, IndexError, KeyError) as error:
            raise ModelError(
                f"{file} is not a GGUF file or cut short ({error}); download it again"
            ) from error
    trust = options.trust_remote_code
    with quiet_library():
        config = _from_hub(AutoConfig, _source(name), name, revision=revision, trust_remote_code=trust)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=trust)
    return sum(parameter.numel() for parameter in model.parameters())
