"""Other people's files: the published ``.pt`` of persona vectors, and GGUF control vectors.

**.pt** (Chen et al. 2025): one tensor ``[n_layers + 1, d_model]`` float32 per kind, in the order of
Hugging Face's ``hidden_states``. Index 0 is the input of the first block, index ``l + 1`` the output of
block ``l``, except the last index, which is the last block's output *after the final norm*. So index
``l + 1`` becomes layer ``l`` for every layer but the last; the last row is kept apart as ``final_norm``
and :meth:`PersonaVectors.direction` hands it out only with ``post_norm=True``. The layout has no place for
whose vectors these are. A .pt is a zip archive, of which torch reads the records that it knows, so files
written here have one more, with trait, kind and model; other tools read them as ever.

**GGUF** (llama.cpp): ``general.architecture = "controlvector"``, ``controlvector.model_hint``,
``controlvector.layer_count`` and one float32 tensor ``direction.{i}`` per layer. llama.cpp adds
``direction.i`` to the output of block ``i`` counted from 0 (its ``l_out-i``), which is ``resid_post.i``:
the index is the layer's. It refuses ``direction.0``, so the vector of the first block cannot be carried.
By default it adds every direction in the file, so what is written here is either one layer's vector or
the increments of all layers (``v_l - v_{l-1}``, whose sum up to ``l`` is ``v_l``).

Files of other tools are taken where llama.cpp adds them, which is not always where they were measured:
repeng measures ``direction.i`` at ``hidden_states[i + 1]``, which is ``resid_post.i`` but for the last layer,
where it is behind the final norm; llama.cpp's own generator measures ``direction.i`` one block earlier.
"""

import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor

from mindscope.core import ModelIdentity
from mindscope.engines import Engine
from mindscope.errors import DataError
from mindscope.models import open_gguf
from mindscope.personas.config import VectorKind
from mindscope.personas.vectors import PersonaVectors
from mindscope.store import Document, replacing

ARCHITECTURE = "controlvector"
INCREMENTS = "mindscope.increments"
FINGERPRINT = "mindscope.fingerprint"
OWNER = "mindscope.json"
"""The record of a .pt that says whose vectors it holds."""
MOST_OF_OWNER = 2**20
"""Bytes; what is larger was not written here."""
PUBLISHED_NAMES: Mapping[str, VectorKind] = {
    "_response_avg_diff": "answer_mean",
    "_prompt_avg_diff": "prompt_mean",
    "_prompt_last_diff": "last_prompt",
}
"""How the published files are named."""
_UNSAID = "with which coefficient and at which tokens they steer, and how good they are"


class PtOwner(Document):
    """Whose vectors a .pt holds."""

    trait: str
    kind: VectorKind
    made_with: ModelIdentity
    model_type: str | None


def save_pt(vectors: PersonaVectors, path: Path | str, kind: VectorKind = "answer_mean") -> None:
    """Writes one kind in the published layout.

    A record beside the tensor says whose they are, of which trait and kind; other tools do not see it.

    Raises DataError when the embedding or the final-norm row is unknown (vectors read from a GGUF file).
    """
    if kind not in vectors.embeddings or kind not in vectors.final_norm:
        raise DataError(
            f"the .pt layout also needs the {kind} difference at the embeddings and after the final norm, "
            f"which these vectors of '{vectors.trait}' lack: export vectors extracted here, or write GGUF"
        )
    blocks = vectors.matrix(kind)[: vectors.n_layers - 1]
    rows = torch.cat([vectors.embeddings[kind][None], blocks, vectors.final_norm[kind][None]])
    with replacing(path) as temporary:
        torch.save(rows.clone(), temporary)
        owner = PtOwner(
            trait=vectors.trait, kind=kind, made_with=vectors.maker, model_type=vectors.model_type
        )
        with zipfile.ZipFile(temporary, "a") as archive:
            root = archive.namelist()[0].partition("/")[0]
            archive.writestr(f"{root}/{OWNER}", owner.model_dump_json())


def load_pt(
    path: Path | str, model: Engine, *, trait: str | None = None, kind: VectorKind | None = None
) -> PersonaVectors:
    """Reads a published tensor as vectors of ``model``.

    A file that was written here says whose they are, and is held to it: see :meth:`PersonaVectors.for_model`.
    A published one says nothing but in its name, such as ``evil_response_avg_diff.pt``, and is taken as the
    model's.

    Args:
        path: of the file.
        model: whose vectors they are to be.
        trait: what they are called; by default as the file or its name says.
        kind: which of the trait's vectors they are; by default as the file or its name says, else
            answer_mean.

    Raises:
        DataError: anything but one floating-point tensor of the model's depth and width, or another model's.
    """
    rows, owner = _read_tensor(Path(path)), _read_owner(Path(path))
    named, named_kind = name_of_pt(Path(path))
    trait = trait or (owner.trait if owner else named)
    kind = kind or (owner.kind if owner else named_kind) or "answer_mean"
    expected = (model.n_layers + 1, model.d_model)
    if tuple(rows.shape) != expected:
        raise DataError(
            f"{path} holds {tuple(rows.shape)} but {model.name} needs {expected} (layers + 1, width): "
            "take the file made from this model"
        )
    matrix = torch.zeros(model.n_layers, model.d_model)
    matrix[:-1] = rows[1:-1]
    layers = tuple(layer for layer in range(model.n_layers - 1) if matrix[layer].any())
    if not layers:
        raise DataError(f"{path} holds zeros before its last row: there is nothing to steer with")
    unsaid = [f"whose they are: taken as those of {model.name}", f"their kind: taken as {kind}"]
    vectors = PersonaVectors(
        trait=trait,
        fingerprint=owner.made_with.fingerprint if owner else model.fingerprint,
        matrices={kind: matrix},
        layers=layers,
        embeddings={kind: rows[0]},
        final_norm={kind: rows[-1]},
        model=owner.made_with.name if owner else None,
        model_type=owner.model_type if owner else None,
        made_with=owner.made_with if owner else None,
        metadata={
            "source": Path(path).name,
            "format": "pt",
            "unknown": [_UNSAID] if owner else [_UNSAID, *unsaid],
        },
    )
    return vectors.for_model(model)


def name_of_pt(path: Path) -> tuple[str, VectorKind | None]:
    """The trait and the kind that a published file's name means, such as `evil_response_avg_diff.pt`; no kind
    where it says none.
    """
    for ending, kind in PUBLISHED_NAMES.items():
        if path.stem.endswith(ending) and path.stem != ending:
            return path.stem.removesuffix(ending), kind
    return path.stem, None


def losses_in_pt(vectors: PersonaVectors) -> list[str]:
    """What the published layout does not hold of vectors, a line each."""
    return [
        f"the vector of layer {vectors.n_layers - 1}: the layout holds the last layer behind the final norm",
        "the other kinds, the statistics, and how the answers were made and judged",
    ]


def losses_in_gguf(vectors: PersonaVectors, layer: int | None) -> list[str]:
    """What a control vector does not hold of vectors, a line each."""
    others = "the vector of layer 0, which llama.cpp does not steer" if layer is None else "the other layers"
    return [others, "the other kinds, the statistics, and how the answers were made and judged"]


def _read_owner(path: Path) -> PtOwner | None:
    """Whose vectors a file says that it holds; None where it says nothing."""
    try:
        with zipfile.ZipFile(path) as archive:
            records = [entry for entry in archive.infolist() if entry.filename.endswith(f"/{OWNER}")]
            if not records or records[0].file_size > MOST_OF_OWNER:
                return None
            return PtOwner.model_validate_json(archive.read(records[0]))
    except zipfile.BadZipFile:  # the layout of old versions of torch
        return None
    except (UnicodeError, NotImplementedError, RuntimeError, EOFError, zlib.error, struct.error) as error:
        raise DataError(f"{path} is damaged ({error}): download it again") from error
    except ValidationError as error:
        raise DataError(
            f"{path} does not say whose vectors it holds ({error.error_count()} errors)"
        ) from error


def _read_tensor(path: Path) -> Tensor:
    if not path.is_file():
        raise DataError(f"{path} does not exist: give a published .pt file of persona vectors")
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise DataError(
            f"{path} is not a plain .pt tensor file ({type(error).__name__}): download it again"
        ) from error
    if not isinstance(loaded, Tensor) or not loaded.is_floating_point() or loaded.ndim != 2:
        raise DataError(
            f"{path} must hold one floating-point tensor [layers + 1, width], not {_what(loaded)}"
        )
    return loaded.detach().float().contiguous()


def _what(loaded: object) -> str:
    if isinstance(loaded, Tensor):
        return f"{loaded.dtype} {list(loaded.shape)}"
    return f"a {type(loaded).__name__}"


def save_gguf(
    vectors: PersonaVectors, path: Path | str, *, layer: int | None = None, kind: VectorKind = "answer_mean"
) -> None:
    """Writes a llama.cpp control vector: the vector of one layer or, with ``None``, the increments of all.

    Raises DataError for layer 0, which llama.cpp does not steer.
    """
    if layer == 0:
        raise DataError(
            "a GGUF control vector cannot hold layer 0, which llama.cpp does not steer: take another"
        )
    if layer is None:
        increments = vectors.incremental(kind)
        # The first block's share goes into the second's, so that the sum up to any layer l is v_l again.
        directions = {1: vectors.matrix(kind)[1]} | {i: increments[i] for i in range(2, vectors.n_layers)}
    else:
        directions = {layer: vectors.direction(layer, kind).vector}
    with replacing(path) as temporary:
        writer = gguf.GGUFWriter(temporary, ARCHITECTURE)
        writer.add_string(f"{ARCHITECTURE}.model_hint", vectors.model_type or "")
        writer.add_uint32(f"{ARCHITECTURE}.layer_count", vectors.n_layers)
        writer.add_string("mindscope.trait", vectors.trait)
        writer.add_string(FINGERPRINT, vectors.maker.fingerprint)
        writer.add_bool(INCREMENTS, layer is None)
        for index, vector in directions.items():
            writer.add_tensor(f"direction.{index}", vector.contiguous().numpy())
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def load_gguf(
    path: Path | str, model: Engine, *, trait: str | None = None, kind: VectorKind = "answer_mean"
) -> PersonaVectors:
    """Reads a control vector as vectors of ``model``; layers without a direction stay without one.

    Increments written here are summed up again; the directions of any other file are taken as they are.
    Raises DataError for another architecture, type, width or depth, and for another model's fingerprint; see
    :meth:`PersonaVectors.for_model`.
    """
    directions, fields = _read_gguf(Path(path))
    matrix = torch.zeros(model.n_layers, model.d_model)
    for layer, vector in sorted(directions.items()):
        if not 1 <= layer < model.n_layers or vector.shape != (model.d_model,):
            raise DataError(
                f"{path} has direction.{layer} of shape {list(vector.shape)} but {model.name} takes layers "
                f"1 to {model.n_layers - 1}, {model.d_model} wide: take the file made from this model"
            )
        matrix[layer] = vector
    if fields.get(INCREMENTS):
        matrix = matrix.double().cumsum(0).float()
    vectors = PersonaVectors(
        trait=trait or str(fields.get("mindscope.trait", Path(path).stem)),
        fingerprint=str(fields.get(FINGERPRINT, model.fingerprint)),
        matrices={kind: matrix},
        layers=tuple(sorted(directions)),
        metadata={
            "source": Path(path).name,
            "format": "gguf",
            "unknown": [_UNSAID, *_unsaid_of_gguf(fields, model, kind)],
        },
    )
    return vectors.for_model(model)


def _read_gguf(path: Path) -> tuple[dict[int, Tensor], dict[str, object]]:
    if not path.is_file():
        raise DataError(f"{path} does not exist: give a GGUF control vector")
    try:
        reader = open_gguf(path)
        fields = {name: field.contents() for name, field in reader.fields.items()}
        tensors = {tensor.name: (tensor.tensor_type, np.array(tensor.data)) for tensor in reader.tensors}
    except Exception as error:
        raise DataError(
            f"{path} is not a readable GGUF file ({type(error).__name__}): write it again"
        ) from error
    if fields.get("general.architecture") != ARCHITECTURE:
        raise DataError(f"{path} is a GGUF '{fields.get('general.architecture')}', not a '{ARCHITECTURE}'")
    directions: dict[int, Tensor] = {}
    for name, (kind, data) in tensors.items():
        match = re.fullmatch(r"direction\.(\d+)", name)
        if not match or kind != gguf.GGMLQuantizationType.F32 or data.ndim != 1:
            raise DataError(
                f"{path} holds the tensor '{name}', which is not a float32 'direction.N': write it again"
            )
        directions[int(match[1])] = torch.from_numpy(data.copy())
    if not directions:
        raise DataError(f"{path} holds no direction: write it again")
    return directions, fields


def _unsaid_of_gguf(fields: Mapping[str, object], model: Engine, kind: VectorKind) -> list[str]:
    """What a control vector leaves open, in words for whoever imports it."""
    unsaid = [f"their kind: taken as {kind}"]
    if FINGERPRINT not in fields:
        hint = str(fields.get(f"{ARCHITECTURE}.model_hint") or "nothing")
        unsaid.append(f"whose they are: taken as those of {model.name}; the file's hint is {hint}")
        unsaid.append("at which layers they were measured: taken where llama.cpp adds them")
    return unsaid
