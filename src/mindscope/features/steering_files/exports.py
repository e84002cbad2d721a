"""Steering files in the formats of other tools: what each of them can carry, and what it leaves unsaid.

**GGUF control vector** (llama.cpp): `direction.i`, float32, is added to the output of block i (counted
from 0) at every token of prompt and answer, times a scale that is given when the server starts. It has no
direction.0, no other operation, no other tokens. The coefficient is multiplied into the vectors, so that the
scale is 1.

**EasySteer**: the same file with a field `controlvector.easysteer`, which names the component
(`hidden_states`) and holds metadata; layer 0 is possible. Its algorithm `direct` adds `scale * direction.i`
to the output of block i; scale, layers and tokens belong to a request (`apply`), not to the file.

**.pt**: one tensor `[n_layers + 1, width]` in the order of Hugging Face's hidden states (Chen et al. 2025).
Row l + 1 is layer l's vector, zero where there is none. The last row is behind the final norm, so the last
layer cannot be carried; nor can a coefficient, an operation, tokens or a model.

A GGUF that carries all of a steering file's edits carries its probes too, in a field that other tools pass
over, and can be checked like the file itself.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from torch import Tensor

from mindscope.core import parse_exact_json
from mindscope.errors import DataError
from mindscope.features.steering_files.steering_file import SteeringFile, recorded_edits
from mindscope.models import Edit, open_gguf, split_address
from mindscope.store import replacing

ARCHITECTURE = "controlvector"
PROBES = "mindscope.steering_file"


def export_gguf(file: SteeringFile, path: Path, *, easysteer: bool = False) -> tuple[str, ...]:
    """Write a control vector for llama.cpp, or for EasySteer.

    Returns:
        What the file does not carry, a sentence each.

    Raises:
        DataError: an edit that control vectors cannot express.
    """
    tool = "an EasySteer vector" if easysteer else "a GGUF control vector"
    directions = _directions(file, tool)
    if 0 in directions and not easysteer:
        raise DataError(f"{tool} cannot hold layer 0, which llama.cpp does not steer: take another layer")
    exact = all(edit.where == "all" for edit in file.edits)
    with replacing(path) as temporary:
        writer = gguf.GGUFWriter(temporary, ARCHITECTURE)
        writer.add_string(f"{ARCHITECTURE}.model_hint", file.model_type)
        writer.add_uint32(f"{ARCHITECTURE}.layer_count", len(directions) if easysteer else file.n_layers)
        writer.add_string("mindscope.trait", file.name)
        writer.add_string("mindscope.fingerprint", file.made_with.fingerprint)
        if easysteer:
            writer.add_string(f"{ARCHITECTURE}.method", "mindscope")
            writer.add_string(f"{ARCHITECTURE}.easysteer", _easysteer_field(file))
        if exact:
            written = [Edit(f"resid_post.{layer}", "add", vector) for layer, vector in directions.items()]
            contents = file.contents(recorded_edits(written)[1])
            writer.add_string(PROBES, json.dumps(contents, sort_keys=True))
        for layer, vector in sorted(directions.items()):
            writer.add_tensor(f"direction.{layer}", vector.numpy())
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    notes = ["the coefficient is multiplied into the vectors: use the scale 1"]
    if not exact:
        tokens = ", ".join(dict.fromkeys(str(edit.where) for edit in file.edits))
        notes.append(
            f"the tokens are not carried: the file steers at {tokens}, "
            + (
                "so say that in the request's `apply`"
                if easysteer
                else "llama.cpp at every token; the probes are left out, for they would not hold"
            )
        )
    elif easysteer:
        notes.append("the tokens belong to the request: apply it to all of prompt and generation")
    notes.append("the model is named by its family and a fingerprint that other tools do not look at")
    return tuple(notes)


def export_pt(file: SteeringFile, path: Path) -> tuple[str, ...]:
    """Write the vectors in the published layout, without their coefficients.

    Returns:
        What the file does not carry, a sentence each.

    Raises:
        DataError: an edit that is no addition behind a block, several at one layer, or one at the last layer.
    """
    _require_additions(file, "a .pt file")
    rows = torch.zeros(file.n_layers + 1, file.d_model)
    for edit in file.edits:
        layer = split_address(edit.address)[1]
        assert layer is not None
        if layer == file.n_layers - 1:
            raise DataError(
                "a .pt file holds the last layer behind the final norm, which these vectors are not: "
                "take another"
            )
        if rows[layer + 1].any():
            raise DataError(f"a .pt file has one vector a layer, and there are several at layer {layer}")
        rows[layer + 1] = edit.vector.detach().float().cpu()
    with replacing(path) as temporary:
        torch.save(rows, temporary)
    values = ", ".join(dict.fromkeys(f"{edit.value:g}" for edit in file.edits))
    tokens = ", ".join(dict.fromkeys(str(edit.where) for edit in file.edits))
    return (
        f"the coefficient is not carried: it is {values}",
        f"the tokens are not carried: they are {tokens}",
        "layers without a vector are rows of zeros; row l + 1 is layer l",
        f"the model is not carried: it is {file.made_with.short}",
    )


def read_gguf_file(path: Path) -> SteeringFile:
    """The steering file that a GGUF carries, with the vectors and layers as the GGUF itself has them.

    Raises:
        DataError: it is no control vector, or carries no probes; the line says what is unknown of it.
    """
    try:
        reader = open_gguf(path)
        fields = {name: field.contents() for name, field in reader.fields.items()}
        tensors = {tensor.name: torch.from_numpy(np.array(tensor.data)) for tensor in reader.tensors}
    except Exception as error:
        raise DataError(f"{path} is not a readable GGUF file ({type(error).__name__})") from error
    directions = {
        int(match[1]): vector
        for name, vector in tensors.items()
        if (match := re.fullmatch(r"direction\.(\d+)", name))
    }
    if fields.get("general.architecture") != ARCHITECTURE or not directions:
        raise DataError(f"{path} is no control vector: give one, or a steering file")
    if PROBES not in fields:
        raise DataError(
            f"{path} carries no probes, so it cannot be checked: whose model it is, the sign and the "
            "size of its vectors and the tokens that it means are unknown; write one with "
            "`mindscope vectors export`"
        )
    try:
        contents: dict[str, Any] = parse_exact_json(str(fields[PROBES]))
        first = contents["edits"][0]
    except (ValueError, LookupError, TypeError) as error:
        raise DataError(f"{path} is damaged at '{PROBES}': write it again") from error
    vectors = {f"vector/{layer}": vector for layer, vector in directions.items()}
    edits = [
        {**first, "vector": f"vector/{layer}", "address": f"resid_post.{layer}"}
        for layer in sorted(directions)
    ]
    return SteeringFile.read(path, vectors, {**contents, "edits": edits})


def _directions(file: SteeringFile, tool: str) -> dict[int, Tensor]:
    """By layer, all that is added there, with its coefficients."""
    _require_additions(file, tool)
    directions: dict[int, Tensor] = {}
    for edit in file.edits:
        layer = split_address(edit.address)[1]
        assert layer is not None
        added = (edit.value * edit.vector.detach().double().cpu()).float()
        directions[layer] = directions[layer] + added if layer in directions else added
    return directions


def _require_additions(file: SteeringFile, tool: str) -> None:
    for edit in file.edits:
        if edit.op != "add":
            raise DataError(
                f"{tool} holds additions, and {file.name} holds a {edit.op}: keep the steering file"
            )
        if split_address(edit.address)[0] != "resid_post":
            raise DataError(
                f"{tool} is added behind blocks, and {file.name} edits {edit.address}: keep the steering file"
            )


def _easysteer_field(file: SteeringFile) -> str:
    """EasySteer's own field, version 1; mappings are lists of pairs there."""
    known = {
        "positions": ", ".join(dict.fromkeys(str(edit.where) for edit in file.edits)),
        "scale": 1.0,
        "fingerprint": file.made_with.fingerprint,
        "model": file.made_with.name or "",
    }
    metadata = {"mapping": [[key, value] for key, value in known.items()]}
    return json.dumps({"version": 1, "component": "hidden_states", "metadata": metadata})
