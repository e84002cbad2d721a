"""How far models moved along persona vectors, as documents; needs no torch."""

from typing import ClassVar

from mindscope.errors import DataError
from mindscope.models import TemplateRecord
from mindscope.personas.config import ShiftConfig, ShiftPosition
from mindscope.store import BorrowingDocument, Document, SavedDocument, html_table


class TraitShift(Document):
    """The movement along a vector, in the activations' own units."""

    trait: str
    layer: int
    at: ShiftPosition
    base: float
    """Mean projection of the base model's activations on ``v / |v|``."""
    tuned: float
    shift: float
    low: float
    """Ends of the 95 % interval of the shift over the prompts."""
    high: float
    cosine: float | None
    """Of the whole movement of the mean activation with v: the share of it that goes along v, -1 to 1.
    None where nothing moved."""
    prompts: int
    """How many prompts it is measured on: for answers, those to which both models gave one."""


class ModelShift(Document):
    """The movements of a tuned model."""

    model: str
    fingerprint: str
    movements: tuple[TraitShift, ...]


class ShiftResult(SavedDocument, BorrowingDocument):
    """How far one tuned model, or each checkpoint of a training run, moved away from the base model."""

    SCHEMA: ClassVar[str] = "mindscope.shift/2"
    READERS: ClassVar = {"mindscope.shift/1": dict}

    base: str
    fingerprint: str
    config: ShiftConfig
    prompts: int
    template: TemplateRecord | None = None
    """How the prompts were rendered; None in documents of schema 1, which do not say it."""
    tuned: tuple[ModelShift, ...]
    """In the order given: a training run's checkpoints, first to last."""

    def of(
        self, trait: str, layer: int, *, at: ShiftPosition = "last_prompt", checkpoint: int = -1
    ) -> TraitShift:
        """The movement along a trait's vector, of the last checkpoint by default; DataError where it was not
        measured.
        """
        for movement in self.tuned[checkpoint].movements:
            if (movement.trait, movement.layer, movement.at) == (trait, layer, at):
                return movement
        raise DataError(f"no shift of {trait} at layer {layer} ({at}) here: measured were {self._has()}")

    @property
    def traits(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(movement.trait for movement in self.tuned[0].movements))

    @property
    def layers(self) -> tuple[int, ...]:
        return tuple(sorted({movement.layer for movement in self.tuned[0].movements}))

    def _has(self) -> str:
        return f"{', '.join(self.traits)} at layers {', '.join(map(str, self.layers))}"

    def _repr_html_(self) -> str:
        columns = ["model", *(name for name in TraitShift.model_fields if name != "prompts")]
        rows = [
            [tuned.model, *movement.model_dump(exclude={"prompts"}).values()]
            for tuned in self.tuned
            for movement in tuned.movements
        ]
        return html_table(f"shift from {self.base}, {self.prompts} prompts", columns, rows)
