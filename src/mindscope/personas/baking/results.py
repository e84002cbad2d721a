"""What a search for steering to bake leaves: documents, which need no torch."""

from typing import ClassVar

from mindscope.errors import DataError
from mindscope.personas.baking.config import BakeConfig
from mindscope.personas.steering.results import ArmScores
from mindscope.stats import Estimate
from mindscope.store import BorrowingDocument, Document, SavedDocument, html_table

BAKE_COLUMNS = ("layer", "coefficient", "trait", "coherence", "nats a token", "95 % of tokens below", "")


def name_point(layer: int, coefficient: float | None) -> str:
    """How a layer with a coefficient is called in a run and on a page."""
    return f"{layer}" if coefficient is None else f"{layer}x{coefficient:g}"


class BakePoint(Document):
    """One layer's vector with one coefficient; of an ablation, one layer's direction."""

    layer: int
    coefficient: float | None
    """As it is added, with its sign; None for an ablation."""
    scores: ArmScores
    divergence: Estimate
    """KL(unsteered || steered) in nats per token on ordinary texts, with an interval over the texts."""
    worst: float
    """The same at the token of which 95 % diverge less."""
    front: bool
    """Whether no other point is at least as good in trait, divergence and coherence, and better in one."""
    random: ArmScores | None = None
    """The same done with random directions; measured for the best points only."""

    @property
    def name(self) -> str:
        """How it is called in a run and on a page."""
        return name_point(self.layer, self.coefficient)


class RefusedLayer(Document):
    """A layer whose steering no weights of the architecture can hold."""

    layer: int
    reason: str


class BakeSearch(SavedDocument, BorrowingDocument):
    """Trait, coherence and divergence over layers and coefficients, and what to bake."""

    SCHEMA: ClassVar[str] = "mindscope.bake_search/1"

    trait: str
    fingerprint: str
    config: BakeConfig
    questions: tuple[str, ...]
    texts: int
    tokens: int
    """Of the ordinary texts, at which the divergence was measured."""
    unsteered: ArmScores
    points: tuple[BakePoint, ...]
    refused: tuple[RefusedLayer, ...] = ()
    chosen: int | None
    """Index into `points`; None when no point qualifies."""

    def choice(self) -> BakePoint:
        """What to bake; DataError when nothing qualifies."""
        if self.chosen is None:
            verb = "raises" if self.config.goal == "raise" else "lowers"
            budget = self.config.most_divergence
            within = "" if budget is None else f" within {budget:g} nats a token"
            raise DataError(
                f"no layer and coefficient {verb} '{self.trait}' beyond what random directions do with "
                f"coherence >= {self.config.coherence_floor:g}{within}: try other "
                "coefficients, or give --layer"
            )
        return self.points[self.chosen]

    def _repr_html_(self) -> str:
        return html_table(f"bake: {self.trait}", BAKE_COLUMNS, bake_rows(self))


def bake_rows(search: BakeSearch) -> list[list[object]]:
    """A row for every point: where, trait, coherence, divergence, and whether it is on the front."""
    return [
        [
            point.layer,
            point.coefficient,
            point.scores.trait and point.scores.trait.mean,
            point.scores.coherence and point.scores.coherence.mean,
            point.divergence.mean,
            point.worst,
            "chosen" if index == search.chosen else "front" if point.front else "",
        ]
        for index, point in enumerate(search.points)
    ]
