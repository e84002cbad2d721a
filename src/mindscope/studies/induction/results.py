"""What is measured: a document for every kind of model, and one for a loaded model's heads."""

from typing import ClassVar

from mindscope.store import Document, SavedDocument

Curve = tuple[tuple[float, ...], ...]
"""Seeds by measurements."""


class TrainingCurves(Document):
    """A kind of small model over its training, and its heads at the end."""

    name: str
    layers: int
    mlp: bool
    smeared: bool
    steps: tuple[int, ...]
    """Of the measurements."""
    loss: Curve
    """On held-out rows of both kinds, nats a token."""
    context_score: Curve
    """The in-context-learning score on held-out rows of both kinds: the loss late in the context less that
    early in it, nats; negative where later tokens are easier."""
    text_score: Curve
    """The same on text alone."""
    prefix: Curve
    """Prefix matching of the best head."""
    copying: Curve
    """Copying of the head that matches prefixes best."""
    previous: Curve
    """The previous-token score of the best head."""
    heads: tuple[tuple["HeadCost", ...], ...]
    """By seed, every head at the end."""


class HeadCost(Document):
    """A head, its scores, and what is lost without it."""

    layer: int
    head: int
    prefix: float
    beside: float
    """The attention to the tokens beside those that are matched: a control."""
    copying: float
    previous: float
    cost: float | None
    """By how much the loss on repeated tokens rises without its result, patterns held, nats a token; None
    where it was not taken out."""
    full_cost: float | None = None
    """The same with later patterns free to change."""


class HeadGroups(Document):
    """What it costs to take out the strongest induction heads at once, beside random heads of the same
    layers.
    """

    heads: tuple[str, ...]
    """LAYER.HEAD of the strongest."""
    induction: tuple[float, ...]
    """By how much the loss on repeated tokens rises without them, by sequence."""
    random: tuple[float, ...]
    """The same without as many random heads of the same layers, a mean over draws, by sequence."""
    induction_text: tuple[float, ...]
    """Where English text is repeated, by text."""
    random_text: tuple[float, ...]
    draws: int
    loss: float
    """Of repeated random tokens, with every head."""
    loss_first: float
    """Where they stand for the first time."""


class RowScores(Document):
    """Every head's scores on one row."""

    n_layers: int
    n_heads: int
    scores: tuple[tuple[float, ...], ...]
    """Prefix matching, its control, copying, previous token; each by layer and head."""


class RowCosts(Document):
    """The loss of one row with heads taken out."""

    again: tuple[float, ...]
    """Where tokens stand again, by ablation; the first is with all heads."""
    first: float
    """Where they stand for the first time, with all heads."""


class HeadScan(SavedDocument):
    """The induction heads of a model that was loaded."""

    SCHEMA: ClassVar[str] = "mindscope.head-scan/1"

    model: str
    fingerprint: str
    n_layers: int
    n_heads: int
    heads: tuple[HeadCost, ...]
    """All heads, the best at matching prefixes first."""
    groups: HeadGroups


class InductionStudy(SavedDocument):
    """All that was measured of models trained here."""

    SCHEMA: ClassVar[str] = "mindscope.study-induction/1"

    context: int
    kinds: tuple[TrainingCurves, ...]


TrainingCurves.model_rebuild()
