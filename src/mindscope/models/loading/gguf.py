"""GGUF files, as llama.cpp and its kin have them, opened as ordinary models.

transformers reads their weights, and would keep quantised blocks packed, where nothing can be read or
written by address. So a file is unpacked once into a model folder of the user's cache, which is loaded like
any other. Quantised weights are unpacked to float16: its rounding is a sixteenth of that of 8-bit blocks.
"""

import hashlib
import shutil
import tempfile
from functools import partial
from pathlib import Path
from unittest.mock import patch

import torch
from gguf import GGMLQuantizationType
from tqdm import tqdm
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig, modeling_gguf_pytorch_utils

from mindscope.core import CACHE_VARIABLE, cache_folder
from mindscope.errors import ModelError
from mindscope.models.loading.gguf_reader import open_gguf

_DTYPES = {GGMLQuantizationType.F32: torch.float32, GGMLQuantizationType.BF16: torch.bfloat16}


def find_gguf(path: Path) -> Path | None:
    """The GGUF file that a path means: the file itself, or the only one in a folder without a config.

    Raises:
        ModelError: there are several, or none at this path.
    """
    if path.suffix == ".gguf":
        if not path.is_file():
            raise ModelError(f"there is no GGUF file {path}; give the path of one")
        return path
    if not path.is_dir() or (path / "config.json").is_file():
        return None
    files = sorted(path.glob("*.gguf"))
    if len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise ModelError(f"{path} holds {len(files)} GGUF files ({names}); give the path of one of them")
    return files[0] if files else None


def unpack_gguf(file: Path) -> Path:
    """The model folder that a GGUF file unpacks to, made at its first use.

    Raises:
        ModelError: the file is damaged or of an architecture that transformers does not unpack, or the cache
            cannot be written.
    """
    file = file.resolve()
    status = file.stat()
    name = hashlib.sha256(f"{file}\0{status.st_size}\0{status.st_mtime_ns}".encode()).hexdigest()[:16]
    folder = cache_folder() / "gguf" / f"{file.stem}-{name}"
    if folder.is_dir():
        return folder
    dtype = _stored_dtype(file)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=folder.parent))
    except OSError as error:
        raise ModelError(
            f"cannot unpack {file.name} into {folder.parent} ({error.strerror}); set {CACHE_VARIABLE} to a "
            "folder with room"
        ) from error
    try:
        _unpack(file, temporary, dtype)
        temporary.rename(folder)
    except OSError as error:
        if not folder.is_dir():  # another process may have been first
            raise ModelError(
                f"cannot unpack {file.name} into {folder} ({error}); set {CACHE_VARIABLE} to a folder "
                "with room"
            ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _stored_dtype(file: Path) -> torch.dtype:
    """The precision of most weights in the file; quantised blocks count as float16."""
    try:
        tensors = open_gguf(file).tensors
    except (ValueError, OSError, IndexError, KeyError) as error:
        raise ModelError(f"{file} is not a GGUF file or cut short ({error}); download it again") from error
    sizes: dict[torch.dtype, int] = {}
    for tensor in tensors:
        dtype = _DTYPES.get(tensor.tensor_type, torch.float16)
        sizes[dtype] = sizes.get(dtype, 0) + int(tensor.n_elements)
    if not sizes:
        raise ModelError(f"{file} holds no weights; give the file of a model")
    return max(sizes, key=lambda dtype: sizes[dtype])


def _unpack(file: Path, folder: Path, dtype: torch.dtype) -> None:
    """Write the model and its tokenizer as an ordinary folder."""
    options = {"gguf_file": file.name, "trust_remote_code": False}
    try:
        # Its bar of tensors heeds no setting of the library's, and writes to pipes and logs too.
        with patch.object(modeling_gguf_pytorch_utils, "tqdm", partial(tqdm, disable=True)):
            tokenizer = AutoTokenizer.from_pretrained(file.parent, **options)
            model = AutoModelForCausalLM.from_pretrained(
                file.parent, dtype=dtype, quantization_config=GgufConfig(dequantize=True), **options
            )
    except Exception as error:  # tokenizers raises nothing more precise
        cause = " ".join(str(error).split())
        raise ModelError(
            f"transformers cannot unpack {file.name}: {cause}; give the model's folder with *.safetensors"
        ) from error
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
