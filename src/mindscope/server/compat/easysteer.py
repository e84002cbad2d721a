"""The `steering` object of EasySteer (arXiv 2509.25175, specification 2), as edits at explicit tokens.

Differences, all of them refusals: a `source` names a vector of this server and is never a path; only the
algorithms `direct` (add), `erase` (ablate) and `replace` are known; tokens of the answer cannot be chosen by
their ids, because the edits of an answer stand before it is written.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mindscope.errors import DataError

if TYPE_CHECKING:
    from mindscope.features import Direction
    from mindscope.models import Positions, Row
    from mindscope.server.engine.registry import NamedEdit, VectorRegistry

Place = Annotated[int, Field(ge=-(2**31), le=2**31)]
Step = Annotated[int, Field(ge=0, le=2**31)]
Window = tuple[Place, Place | None]
Places = Annotated[list[Place], Field(max_length=4096)]
Steps = Annotated[list[Step], Field(max_length=4096)]

_OPS: dict[str, Literal["add", "ablate", "replace"]] = {
    "direct": "add",
    "erase": "ablate",
    "replace": "replace",
}


class _EasySteerBody(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ApplyField(_EasySteerBody):
    """Which tokens: the union of what is named, without what is excluded."""

    phases: Annotated[list[Literal["prompt", "generation"]], Field(max_length=2)] | None = None
    prompt: Literal["all"] | None = None
    generation: Literal["all"] | None = None
    prompt_tokens: Steps | None = None
    prompt_positions: Places | None = None
    prompt_window: Window | None = None
    generation_positions: Steps | None = None
    generation_window: tuple[Step, Step | None] | None = None
    generation_tokens: Annotated[list[Step], Field(max_length=0)] | None = None
    exclude_prompt_tokens: Steps | None = None
    exclude_prompt_positions: Places | None = None
    exclude_prompt_window: Window | None = None
    exclude_generation_positions: Steps | None = None
    exclude_generation_window: tuple[Step, Step | None] | None = None
    exclude_generation_tokens: Annotated[list[Step], Field(max_length=0)] | None = None

    @model_validator(mode="after")
    def _names_tokens(self) -> ApplyField:
        included = self.model_dump(exclude_none=True)
        if not any(value for name, value in included.items() if not name.startswith("exclude_")):
            raise ValueError("apply names no tokens")
        return self


class TensorField(_EasySteerBody):
    """One vector: little-endian float32, in base64."""

    shape: Annotated[list[Annotated[int, Field(ge=1, le=2**20)]], Field(min_length=1, max_length=1)]
    data: str = Field(max_length=2**23)

    def values(self) -> list[float]:
        """The numbers.

        Raises:
            DataError: they are not base64, or not as many as the shape says.
        """
        try:
            raw = base64.b64decode(self.data, validate=True)
        except (binascii.Error, ValueError) as error:
            raise DataError("the data of a steering vector are not base64") from error
        if len(raw) != 4 * self.shape[0]:
            raise DataError(f"a steering vector of shape {self.shape} has {len(raw)} bytes, not 4 a number")
        return list(struct.unpack(f"<{self.shape[0]}f", raw))


class PayloadField(_EasySteerBody):
    """Vectors that come with the request: tensors called `layer.N`."""

    version: int | None = None
    kind: Literal["direction"]
    tensors: Annotated[
        dict[Annotated[str, Field(pattern=r"^layer\.[0-9]{1,4}$")], TensorField],
        Field(min_length=1, max_length=512),
    ]
    extra: Annotated[dict[str, Any], Field(max_length=0)] | None = None
    sha256: str | None = Field(default=None, max_length=64)


class VectorField(_EasySteerBody):
    """One vector and where it is applied."""

    source: str | None = Field(default=None, min_length=1, max_length=256)
    data: PayloadField | None = None
    algorithm: Literal["direct", "erase", "replace"] = "direct"
    scale: float = Field(default=1.0, ge=-1e6, le=1e6)
    layers: Annotated[list[Annotated[int, Field(ge=0, le=9999)]], Field(min_length=1)] | None = None
    normalize: bool = False
    apply: ApplyField
    params: Annotated[dict[str, Any], Field(max_length=0)] | None = None
    name: str | None = Field(default=None, max_length=256)

    @model_validator(mode="after")
    def _one_vector(self) -> VectorField:
        if (self.source is None) == (self.data is None):
            raise ValueError("a vector has either source or data")
        return self


class SteeringField(_EasySteerBody):
    """Vectors in order, and what happens where two of them mean the same token of a layer."""

    vectors: list[VectorField] = Field(min_length=1, max_length=64)
    conflict: Literal["priority", "sequential", "error"] = "priority"
    debug: Literal[False] = False


def compile_easysteer(
    field: SteeringField, registry: VectorRegistry, row: Row, limit: int
) -> list[NamedEdit]:
    """The edits that a steering object asks for.

    Args:
        field: the object.
        registry: where sources are looked up.
        row: the prompt, whose tokens are counted.
        limit: the most tokens that the answer may have.

    Raises:
        DataError: an unknown source, a layer without a vector, or two vectors at one token where conflicts
            are errors.
        ModelError: a vector that does not fit the model.
    """
    from mindscope.models import Edit
    from mindscope.server.engine.registry import NamedEdit

    edits: list[NamedEdit] = []
    taken: dict[str, set[int]] = {}
    for number, vector in enumerate(field.vectors):
        places = _places(vector.apply, row, limit)
        name = vector.source or vector.name or f"vector {number}"
        for direction in _directions(vector, name, registry):
            own = set(places)
            busy = taken.setdefault(direction.address, set())
            if field.conflict != "sequential":
                if field.conflict == "error" and own & busy:
                    raise DataError(f"two vectors steer the same tokens at {direction.address}")
                own -= busy
            busy |= own
            if not own:
                continue
            used = direction.unit if vector.normalize else direction.vector
            where = _simplest(own, row, limit)
            edits.append(
                NamedEdit(name, Edit(direction.address, _OPS[vector.algorithm], used, vector.scale, where))
            )
    return edits


def _directions(vector: VectorField, name: str, registry: VectorRegistry) -> Sequence[Direction]:
    import torch

    from mindscope.features import Direction

    if vector.data is None:
        layers = None if vector.layers is None else tuple(sorted(set(vector.layers)))
        return registry.find(name, layers)
    tensors = {int(key.removeprefix("layer.")): tensor for key, tensor in vector.data.tensors.items()}
    wanted = sorted(tensors) if vector.layers is None else vector.layers
    if missing := [layer for layer in wanted if layer not in tensors]:
        raise DataError(f"the steering vector has no layer {missing[0]}")
    fingerprint = registry.model.fingerprint
    return [
        Direction(name, f"resid_post.{layer}", torch.tensor(tensors[layer].values()), fingerprint)
        for layer in wanted
    ]


def _places(apply: ApplyField, row: Row, limit: int) -> set[int]:
    """The positions in the row, those of the answer behind the prompt's."""
    n, phases = len(row), apply.phases or ()
    narrow = apply.model_dump(exclude_none=True, exclude={"phases", "prompt", "generation"})
    includes = [name for name in narrow if not name.startswith("exclude_")]
    places: set[int] = set()
    if apply.prompt or ("prompt" in phases and not any(name.startswith("prompt") for name in includes)):
        places |= set(range(n))
    if apply.generation or (
        "generation" in phases and not any(name.startswith("generation") for name in includes)
    ):
        places |= set(range(n, n + limit))
    places |= _prompt(apply.prompt_tokens, apply.prompt_positions, apply.prompt_window, row)
    places |= _answer(apply.generation_positions, apply.generation_window, n, limit)
    places -= _prompt(
        apply.exclude_prompt_tokens, apply.exclude_prompt_positions, apply.exclude_prompt_window, row
    )
    places -= _answer(apply.exclude_generation_positions, apply.exclude_generation_window, n, limit)
    return places


def _prompt(
    tokens: Sequence[int] | None, positions: Sequence[int] | None, window: Window | None, row: Row
) -> set[int]:
    n = len(row)
    places = {place for place, token in enumerate(row.ids) if tokens and token in tokens}
    for position in positions or ():
        if -n <= position:
            # A place behind the prompt means its last token.
            places.add(min(position, n - 1) if position >= 0 else n + position)
    if window is not None:
        places |= set(range(n)[window[0] : window[1]])
    return places


def _answer(
    positions: Sequence[int] | None, window: tuple[int, int | None] | None, n: int, limit: int
) -> set[int]:
    places = {n + position for position in positions or () if position < limit}
    if window is not None:
        places |= set(range(n, n + limit)[window[0] : window[1]])
    return places


def _simplest(places: set[int], row: Row, limit: int) -> Positions:
    """A name for the places where there is one, so that requests alike share a mask."""
    n = len(row)
    prompt, answer = set(range(n)), set(range(n, n + limit))
    if places == prompt | answer:
        return "all"
    if places == prompt:
        return "prompt"
    return "answer" if places == answer else tuple(sorted(places))
