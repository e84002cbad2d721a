"""A persona as directions: one difference of means per layer, with what is known about its quality."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.core import BorrowedArtifact, ModelIdentity, require_same_model
from mindscope.engines import Engine
from mindscope.errors import DataError
from mindscope.features import Direction
from mindscope.models import ChatRenderer, TemplateRecord
from mindscope.personas.config import VectorKind
from mindscope.personas.layer_statistics import LayerStatistics
from mindscope.personas.pair_filter import FilterCounts
from mindscope.store import html_table, load_artifact, refusing_damage, save_artifact

KINDS: tuple[VectorKind, ...] = get_args(VectorKind)
SCHEMA, VERSION = "mindscope.persona_vectors", 2
"""Version 1 had no identity of the model that the vectors were made with."""


def default_layer(n_layers: int) -> int:
    """Where vectors are added and read by default: 0.55 of the depth, as in the paper."""
    return int(0.55 * n_layers)


@dataclass(frozen=True)
class PersonaVectors:
    """The persona vectors of one trait in one model: positive minus negative, not normalised, float32.

    Row ``l`` of every matrix belongs to ``resid_post.l`` (blocks count from 0). Source: Chen et al.
    2025, arXiv 2507.21509, section 2. Raises DataError for NaN, a zero row, or shapes that do not fit
    each other.
    """

    trait: str
    fingerprint: str
    """Of the model that they are used with: the one whose activations these are, unless they are borrowed."""
    matrices: Mapping[VectorKind, Tensor]
    """``[n_layers, d_model]`` each: of the answer's tokens, the prompt's tokens, the last prompt token."""
    layers: tuple[int, ...]
    """The layers that have a vector: all of them, unless they were read from a file that lacks some."""
    embeddings: Mapping[VectorKind, Tensor] = field(default_factory=dict)
    """``[d_model]``, the same difference at the first block's input; kept for the published file format."""
    final_norm: Mapping[VectorKind, Tensor] = field(default_factory=dict)
    """``[d_model]``, the same difference after the final norm; kept for the published file format."""
    statistics: LayerStatistics | None = None
    """Of ``answer_mean``; None for imported vectors."""
    model: str | None = None
    """The name of the model whose activations these are; None for imported vectors."""
    model_type: str | None = None
    """The architecture's name, such as ``llama``; None where it is not known."""
    filter: FilterCounts | None = None
    """How many pairs of answers were kept, and why the others were not; None for imported vectors."""
    trait_document: Mapping[str, Any] | None = None
    """The trait with its instructions and questions; None for imported vectors."""
    made_with: ModelIdentity | None = None
    """Whose activations these are; None for imported vectors."""
    borrowed: BorrowedArtifact | None = None
    """How the model that they are used with is related to that one, where it is another; see `for_model`."""
    template: TemplateRecord | None = None
    """How the prompts were rendered; None for imported vectors."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Further provenance: judge, configuration, seed, precision, or the file that they were imported from."""

    def __post_init__(self) -> None:
        if not isinstance(self.trait, str) or not isinstance(self.fingerprint, str):
            raise DataError("vectors need the name of a trait and the fingerprint of a model")
        shapes = {tuple(matrix.shape) for matrix in self.matrices.values()}
        if len(shapes) != 1 or len(next(iter(shapes))) != 2:
            raise DataError(
                f"the vectors of '{self.trait}' must share one shape [n_layers, d_model], not {shapes}"
            )
        if not all(type(layer) is int and 0 <= layer < self.n_layers for layer in self.layers):
            raise DataError(
                f"the vectors of '{self.trait}' are said to be of the layers {list(self.layers)}, and have "
                f"rows for 0 to {self.n_layers - 1}"
            )
        for kind, matrix in self.matrices.items():
            self._refuse_bad_rows(kind, matrix)
        for extra in (*self.embeddings.values(), *self.final_norm.values()):
            if extra.shape != (self.d_model,) or not extra.isfinite().all():
                raise DataError(
                    f"an embedding or final-norm row of '{self.trait}' is not {self.d_model} numbers"
                )

    def _refuse_bad_rows(self, kind: VectorKind, matrix: Tensor) -> None:
        if matrix.dtype != torch.float32:
            raise DataError(f"the {kind} vectors of '{self.trait}' must be float32, not {matrix.dtype}")
        for layer in self.layers:
            row = matrix[layer]
            if not row.isfinite().all():
                raise DataError(f"the {kind} vector of '{self.trait}' at layer {layer} holds NaN or infinity")
            # A template may end every prompt alike, so only what steers must differ from zero.
            if kind == "answer_mean" and not row.any():
                raise DataError(
                    f"the {kind} vector of '{self.trait}' at layer {layer} is zero: nothing to steer"
                )

    @property
    def n_layers(self) -> int:
        return next(iter(self.matrices.values())).shape[0]

    @property
    def d_model(self) -> int:
        return next(iter(self.matrices.values())).shape[1]

    @property
    def answer_mean(self) -> Float[Tensor, "n_layers d_model"]:
        return self.matrix("answer_mean")

    @property
    def prompt_mean(self) -> Float[Tensor, "n_layers d_model"]:
        return self.matrix("prompt_mean")

    @property
    def last_prompt(self) -> Float[Tensor, "n_layers d_model"]:
        return self.matrix("last_prompt")

    @cached_property
    def norms(self) -> Float[Tensor, "n_layers"]:
        """Of ``answer_mean`` (of the one kind there is, for imported vectors), summed in float64."""
        matrix = self.matrices.get("answer_mean", next(iter(self.matrices.values())))
        return matrix.double().norm(dim=1).float()

    def matrix(self, kind: VectorKind) -> Float[Tensor, "n_layers d_model"]:
        if kind not in self.matrices:
            raise DataError(f"these vectors of '{self.trait}' hold {', '.join(self.matrices)}, not {kind}")
        return self.matrices[kind]

    def incremental(self, kind: VectorKind = "answer_mean") -> Float[Tensor, "n_layers d_model"]:
        """Row ``l`` is ``v_l - v_{l-1}``; row 0 is ``v_0`` as it is.

        Added at every layer at once they sum to ``v_l`` at layer ``l``, so that steering everywhere
        does not count the same difference again at each layer (arXiv 2507.21509, appendix J).
        """
        matrix = self.matrix(kind)
        if len(self.layers) != self.n_layers:
            raise DataError(f"increments need a vector at every layer; '{self.trait}' has {self._has()}")
        increments = matrix.double().diff(dim=0, prepend=torch.zeros(1, self.d_model, dtype=torch.float64))
        return increments.float()

    def direction(
        self, layer: int, kind: VectorKind = "answer_mean", *, post_norm: bool = False
    ) -> Direction:
        """The vector at one layer as a direction at ``resid_post.{layer}``, with its raw norm.

        A published ``.pt`` file holds the last layer only after the final norm, which is another space
        than ``resid_post``. Such a row is used only on request, with ``post_norm=True``.
        """
        if not 0 <= layer < self.n_layers:
            raise DataError(f"there is no layer {layer}: '{self.trait}' has layers 0 to {self.n_layers - 1}")
        vector = self.matrix(kind)[layer]
        if layer not in self.layers:
            if not (post_norm and layer == self.n_layers - 1 and kind in self.final_norm):
                raise DataError(f"'{self.trait}' has no vector at layer {layer}: use one of {self._has()}")
            vector = self.final_norm[kind]
        return Direction(f"{self.trait}/{kind}", f"resid_post.{layer}", vector, self.fingerprint)

    def to_json(self) -> dict[str, Any]:
        """Everything but the numbers of the vectors: norms and quality by layer, and provenance."""
        statistics = self.statistics.to_json() if self.statistics else {}
        norms = self.norms.tolist()
        return {
            "trait": self.trait,
            "fingerprint": self.fingerprint,
            "d_model": self.d_model,
            "kinds": list(self.matrices),
            "layers": [
                {
                    "layer": layer,
                    "norm": norms[layer],
                    **{name: values[layer] for name, values in statistics.items()},
                }
                for layer in self.layers
            ],
            **self._provenance(),
        }

    def _repr_html_(self) -> str:
        document = self.to_json()
        columns = ["layer", "norm", "d_prime", "auroc", "cosine"]
        rows = [[row.get(column) for column in columns] for row in document["layers"]]
        return html_table(f"persona vectors: {self.trait}", columns, rows)

    def _provenance(self) -> dict[str, Any]:
        """What is known of where the vectors come from, as JSON values."""
        known = {
            "model": self.model,
            "model_type": self.model_type,
            "filter": self.filter and self.filter.to_json(),
            "trait_document": self.trait_document,
            "template": self.template and self.template.model_dump(mode="json"),
        }
        return {name: value for name, value in known.items() if value is not None} | dict(self.metadata)

    def _has(self) -> str:
        return ", ".join(map(str, self.layers))

    def require(self, model: Engine) -> None:
        """Raises DataError unless these vectors are of this very model, or were borrowed for it, with prompts
        as it renders them.
        """
        self._require_shape(model)
        require_same_model(
            f"the vectors of '{self.trait}' come from", self.fingerprint, model, "extract them again with it"
        )
        self._require_template(model)

    def for_model(self, model: Engine) -> "PersonaVectors":
        """These vectors as those of a model: its own, or borrowed where `model.vectors_of_base` allows it.

        What is borrowed remembers whose it is: `borrowed` names the relation, and a saved copy still belongs
        to the model that made it.

        Raises:
            DataError: they have another shape, or are another model's and that is not allowed.
        """
        self._require_shape(model)
        self._require_template(model)
        if self.fingerprint == model.fingerprint:
            return self
        maker = self.maker
        known = {self.model_type, model.model_type} - {None}
        if len(known) > 1:
            raise DataError(
                f"the vectors of '{self.trait}' are of the architecture {self.model_type}, {model.name} is "
                f"{model.model_type}: extract them again with this model"
            )
        artifact = f"the vectors of '{self.trait}'"
        refusal = (
            f"{artifact} come from another model {maker.short} than {model.identity.short}: extract them "
            "again with this model"
        )
        borrowed = model.borrow(artifact, maker, refusal)
        return replace(self, fingerprint=model.fingerprint, made_with=maker, borrowed=borrowed)

    def _require_shape(self, model: Engine) -> None:
        if (self.n_layers, self.d_model) != (model.n_layers, model.d_model):
            raise DataError(
                f"the vectors of '{self.trait}' are {self.n_layers} layers x {self.d_model} wide but "
                f"{model.name} has {model.n_layers} x {model.d_model}: extract them again with this model"
            )

    def _require_template(self, model: ChatRenderer) -> None:
        # A direction of answers without reasoning is another one than that of answers behind a reasoning.
        if self.template is not None:
            self.template.require(model, f"the vectors of '{self.trait}' were made")

    @property
    def maker(self) -> ModelIdentity:
        """The model whose activations these are, as far as it is written down."""
        return self.made_with or ModelIdentity(fingerprint=self.fingerprint, name=self.model)

    def digest(self) -> str:
        """A short name for exactly these vectors."""
        digest = hashlib.blake2b(repr(self.layers).encode(), digest_size=16)
        for kind, matrix in sorted(self.matrices.items()):
            digest.update(kind.encode() + matrix.contiguous().numpy().tobytes())
        return digest.hexdigest()

    def save(self, path: Path | str) -> None:
        """One ``.safetensors`` file, written atomically."""
        tensors: dict[str, Tensor] = {**self.matrices}
        tensors |= {f"embeddings/{kind}": row for kind, row in self.embeddings.items()}
        tensors |= {f"final_norm/{kind}": row for kind, row in self.final_norm.items()}
        metadata = {
            **self._provenance(),
            "trait": self.trait,
            "fingerprint": self.maker.fingerprint,
            "made_with": self.made_with and self.made_with.model_dump(mode="json"),
            "layers": list(self.layers),
            "statistics": self.statistics.to_json() if self.statistics else None,
        }
        save_artifact(path, tensors, schema=SCHEMA, version=VERSION, metadata=metadata)

    @classmethod
    def load(cls, path: Path | str, model: Engine | None = None) -> "PersonaVectors":
        """Reads what :meth:`save` wrote; given a model, as vectors of that model: see :meth:`for_model`."""
        artifact = load_artifact(path, schema=SCHEMA, version=VERSION)
        with refusing_damage(path, "extract or import the vectors again"):
            tensors, metadata = artifact.tensors, dict(artifact.metadata)
            statistics, counts = metadata.pop("statistics"), metadata.pop("filter", None)
            maker = metadata.pop("made_with", None)
            template = metadata.pop("template", None)
            del metadata["schema"], metadata["version"]
            vectors = cls(
                trait=metadata.pop("trait"),
                fingerprint=metadata.pop("fingerprint"),
                matrices={kind: tensors[kind] for kind in KINDS if kind in tensors},
                layers=tuple(metadata.pop("layers")),
                embeddings=_rows(tensors, "embeddings"),
                final_norm=_rows(tensors, "final_norm"),
                statistics=LayerStatistics.model_validate(statistics) if statistics else None,
                model=metadata.pop("model", None),
                model_type=metadata.pop("model_type", None),
                filter=FilterCounts.model_validate(counts) if counts else None,
                trait_document=metadata.pop("trait_document", None),
                made_with=None if maker is None else ModelIdentity.model_validate(maker),
                template=None if template is None else TemplateRecord.model_validate(template),
                metadata=metadata,
            )
        return vectors if model is None else vectors.for_model(model)


def _rows(tensors: Mapping[str, Tensor], place: str) -> dict[VectorKind, Tensor]:
    return {kind: tensors[f"{place}/{kind}"] for kind in KINDS if f"{place}/{kind}" in tensors}
