"""Interventions as documents, so that they can be kept with what became of them and carried out again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from mindscope.circuits import Mode
from mindscope.core import Seed
from mindscope.errors import DataError
from mindscope.jobs.circuit.results import InterventionReport, TokenProbability, WrittenTexts
from mindscope.store import Document, SavedDocument

if TYPE_CHECKING:
    from mindscope.circuits import AttributionGraph, Intervention, ReplacementModel
    from mindscope.models import Model, Row

Operation = Literal["set", "scale", "add"]


class FeatureChange(Document):
    """One change of one feature's activation, as `circuits.Intervention` has it.

    Attributes:
        position: of the token.
        onward: also at every later token, and at those that are generated.
    """

    layer: int = Field(ge=0)
    latent: int = Field(ge=0)
    position: int = Field(ge=0)
    onward: bool = False
    operation: Operation
    value: float = Field(allow_inf_nan=False)

    @classmethod
    def of(cls, change: Intervention) -> FeatureChange:
        """The document of an intervention at one token, or from one token on."""
        onward = isinstance(change.position, slice)
        position = change.position.start if isinstance(change.position, slice) else change.position
        if not isinstance(position, int):
            raise DataError(f"{change.name} is changed at {position!r}, which cannot be kept: name one token")
        return cls(
            layer=change.layer,
            latent=change.latent,
            position=position,
            onward=onward,
            operation=change.op,
            value=change.value,
        )

    def intervention(self) -> Intervention:
        """What is carried out."""
        from mindscope.circuits import Intervention

        place = slice(self.position, None) if self.onward else self.position
        return Intervention(self.layer, place, self.latent, self.operation, self.value)


class InterventionRequest(Document):
    """What is changed, what else may change, and what is looked at; `layers` as (first, end)."""

    changes: tuple[FeatureChange, ...]
    mode: Mode = "open"
    layers: tuple[int, int] | None = None
    generate: int = Field(default=0, ge=0, le=2**16)
    temperature: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    top: int = Field(default=10, ge=1, le=2**16)
    seed: Seed = 0


class InterventionRecord(SavedDocument):
    """An intervention on a graph's prompt, and what became of it.

    Attributes:
        fingerprint: of the model.
        replacement_digest: of what stands in for its MLPs.
        ids: the prompt's tokens.
    """

    SCHEMA: ClassVar[str] = "mindscope.intervention/1"

    fingerprint: str
    replacement_digest: str
    ids: tuple[int, ...]
    request: InterventionRequest
    report: InterventionReport

    def is_of(self, graph: AttributionGraph) -> bool:
        """Whether it was made on this graph's prompt, model and replacement."""
        return (self.fingerprint, self.replacement_digest, self.ids) == (
            graph.fingerprint,
            graph.replacement_digest,
            graph.ids,
        )


def measure_intervention(
    model: Model, replacement: ReplacementModel, ids: Sequence[int], request: InterventionRequest
) -> InterventionReport:
    """Carry an intervention out, and compare the next token, and the answer if one is asked for.

    Raises:
        DataError: a feature or position that is not there, or a feature that is changed twice on one token.
    """
    from mindscope.circuits import intervene_batch
    from mindscope.models import Row

    changes = [change.intervention() for change in request.changes]
    layers = None if request.layers is None else range(*request.layers)
    row = Row(tuple(ids), len(ids))
    before, after = (
        outcome.logits.softmax(0)
        for outcome in intervene_batch(
            model, replacement, row, [[], changes], mode=request.mode, layers=layers
        )
    )
    shown = (before + after).topk(min(request.top, len(before))).indices.tolist()
    tokens = [
        TokenProbability(token=model.decode([token]), before=float(before[token]), after=float(after[token]))
        for token in sorted(shown, key=lambda token: -float(after[token]))
    ]
    texts = _write_texts(model, replacement, row, changes, request) if request.generate else None
    return InterventionReport(
        changes=len(changes), mode=request.mode, tokens=tuple(tokens), texts=texts, borrowed=model.borrowed
    )


def _write_texts(
    model: Model,
    replacement: ReplacementModel,
    row: Row,
    changes: list[Intervention],
    request: InterventionRequest,
) -> WrittenTexts:
    from mindscope.circuits import intervening
    from mindscope.models import Sampling

    layers = None if request.layers is None else range(*request.layers)
    sampling = Sampling(temperature=request.temperature, max_new_tokens=request.generate, seed=request.seed)
    (before,) = model.generate([row], sampling)
    with intervening(model, replacement, [row], changes, mode=request.mode, layers=layers):
        (after,) = model.generate([row], sampling)
    return WrittenTexts(before=before.text, after=after.text)
