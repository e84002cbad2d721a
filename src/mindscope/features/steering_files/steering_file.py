"""A steering file: vectors, what is done with them, whose they are, and probes of what that does."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from mindscope.core import ModelIdentity
from mindscope.errors import DataError, ModelError
from mindscope.features.steering_files.probes import record_probes
from mindscope.features.steering_files.results import ProbeResolution, RecordedEdit, SteeringProbe
from mindscope.models import AnswerTokens, Edit, Model, Positions, TemplateRecord, Where
from mindscope.store import load_artifact, save_artifact

SCHEMA, VERSION = "mindscope.steering_file", 1
LAYER_MAP = "blocks count from 0; resid_post.l is the residual stream behind block l"
UNITS = {
    "add": "times the vector, with its norm",
    "replace": "times the vector, with its norm",
    "clamp": "the projection on the unit vector, in the activations' own units",
    "cap": "the projection on the unit vector, in the activations' own units",
    "ablate": "none: the whole projection is taken off",
}


class _Contents(BaseModel):
    """The metadata of a steering file."""

    model_config = ConfigDict(frozen=True)

    name: str
    edits: tuple[RecordedEdit, ...]
    layer_map: str
    made_with: ModelIdentity
    model_type: str
    n_layers: int
    d_model: int
    precision: str
    template: TemplateRecord
    quality: dict[str, Any]
    probes: tuple[SteeringProbe, ...]
    resolution: ProbeResolution


@dataclass(frozen=True)
class SteeringFile:
    """Steering that says all about itself.

    Attributes:
        name: what it is for.
        edits: what it does, in order.
        made_with: the model that it belongs to.
        model_type: that model's family.
        n_layers: how many blocks that model has.
        d_model: how wide its residual stream is.
        precision: in which the probes were measured.
        template: how their prompts were rendered.
        probes: prompts, with the log-probabilities of a few tokens behind them, unsteered and steered.
        resolution: how far the nearest faults are from what was measured.
        quality: what is known of how good it is, such as d', AUROC, trait score and coherence when steered.
    """

    name: str
    edits: tuple[Edit, ...]
    made_with: ModelIdentity
    model_type: str
    n_layers: int
    d_model: int
    precision: str
    template: TemplateRecord
    probes: tuple[SteeringProbe, ...]
    resolution: ProbeResolution
    quality: Mapping[str, Any] = field(default_factory=dict)

    def save(self, path: Path | str) -> None:
        """One `.safetensors` file, written atomically.

        Raises:
            DataError: an edit is at tokens of one row, which mean nothing in another.
        """
        vectors, edits = recorded_edits(self.edits)
        save_artifact(
            path,
            {name: vector.detach().float().cpu().contiguous() for name, vector in vectors.items()},
            schema=SCHEMA,
            version=VERSION,
            metadata={"fingerprint": self.made_with.fingerprint, **self.contents(edits)},
        )

    def contents(self, edits: Sequence[RecordedEdit]) -> dict[str, Any]:
        """Everything but the vectors, as JSON."""
        return _Contents(
            name=self.name,
            edits=tuple(edits),
            layer_map=LAYER_MAP,
            made_with=self.made_with,
            model_type=self.model_type,
            n_layers=self.n_layers,
            d_model=self.d_model,
            precision=self.precision,
            template=self.template,
            quality=dict(self.quality),
            probes=self.probes,
            resolution=self.resolution,
        ).model_dump(mode="json")

    @classmethod
    def load(cls, path: Path | str) -> SteeringFile:
        """Reads what `save` wrote.

        Raises:
            StoreError: no such file, or another kind of file.
            DataError: a damaged one; the line names the field.
        """
        artifact = load_artifact(path, schema=SCHEMA, version=VERSION)
        return cls.read(path, artifact.tensors, artifact.metadata)

    @classmethod
    def read(
        cls, path: Path | str, vectors: Mapping[str, Tensor], metadata: Mapping[str, Any]
    ) -> SteeringFile:
        """Out of its vectors and its metadata; `path` is for errors."""
        try:
            contents = _Contents.model_validate(dict(metadata))
            edits = tuple(_edit(recorded, vectors) for recorded in contents.edits)
        except ValidationError as error:
            where = ".".join(map(str, error.errors()[0]["loc"]))
            raise DataError(f"{path} is damaged at '{where}': write it again") from error
        except (ModelError, KeyError) as error:
            raise DataError(f"{path} holds an edit that is none ({error}): write it again") from error
        if not edits or not contents.probes:
            raise DataError(f"{path} holds no edit or no probe: write it again")
        return cls(
            name=contents.name,
            edits=edits,
            made_with=contents.made_with,
            model_type=contents.model_type,
            n_layers=contents.n_layers,
            d_model=contents.d_model,
            precision=contents.precision,
            template=contents.template,
            probes=contents.probes,
            resolution=contents.resolution,
            quality=contents.quality,
        )


def make_steering_file(
    model: Model, name: str, edits: Sequence[Edit], *, quality: Mapping[str, Any] | None = None
) -> SteeringFile:
    """Steering of a model with its probes measured.

    Raises:
        DataError: edits of single rows' tokens, or edits that change nothing behind any of the probes.
        ModelError: an edit does not fit the model.
    """
    from mindscope.features.steering_files.check import measure_resolution

    recorded_edits(edits)
    model.check_edits(edits)
    probes = record_probes(model, edits)
    return SteeringFile(
        name=name,
        edits=tuple(edits),
        made_with=model.identity,
        model_type=model.model_type,
        n_layers=model.n_layers,
        d_model=model.d_model,
        precision=str(model.dtype).removeprefix("torch."),
        template=TemplateRecord.of(model),
        probes=probes,
        resolution=measure_resolution(model, edits, probes),
        quality=quality or {},
    )


def recorded_edits(edits: Sequence[Edit]) -> tuple[dict[str, Tensor], list[RecordedEdit]]:
    """The different vectors by a name, and the edits that refer to them.

    Raises:
        DataError: an edit is at tokens of one row.
    """
    names: dict[str, str] = {}
    vectors: dict[str, Tensor] = {}
    recorded: list[RecordedEdit] = []
    for edit in edits:
        values = edit.vector.detach().float().cpu().contiguous()
        digest = hashlib.sha256(values.numpy().tobytes()).hexdigest()
        name = names.setdefault(digest, f"vector/{len(names)}")
        vectors[name] = values
        recorded.append(
            RecordedEdit(
                vector=name,
                address=edit.address,
                operation=edit.op,
                value=float(edit.value),
                unit=UNITS[edit.op],
                positions=_written_positions(edit.where),
            )
        )
    return vectors, recorded


def _written_positions(where: Positions) -> str | int:
    if isinstance(where, tuple):
        raise DataError("an edit at the tokens of one row means nothing in another: name them, such as 'all'")
    return where.start if isinstance(where, AnswerTokens) else where


def _edit(recorded: RecordedEdit, vectors: Mapping[str, Tensor]) -> Edit:
    positions = recorded.positions
    if isinstance(positions, str) and positions not in get_args(Where):
        raise ModelError(f"there are no tokens {positions!r}")
    where = AnswerTokens(positions) if isinstance(positions, int) else cast("Where", positions)
    return Edit(recorded.address, recorded.operation, vectors[recorded.vector], recorded.value, where)
