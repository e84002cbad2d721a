"""What is measured of a graph after it was traced, and kept with it: heads, scores, validation."""

from typing import Any, Literal

from pydantic import model_validator

from mindscope.store.documents import Document

Mode = Literal["open", "frozen", "frozen_norms", "constrained"]
"""What else may change in an intervention, see `interventions.intervening`."""


class HeadLoading(Document):
    """What one head carries of an edge, in the units of the edge."""

    layer: int
    head: int
    value: float


class EdgeHeads(Document):
    """An edge of a graph, by the names of its nodes, and the heads that carry most of it."""

    source: str
    target: str
    weight: float
    heads: tuple[HeadLoading, ...]


class QKPair(Document):
    """What a source of the query and a source of the key add to a score together."""

    query: str
    key: str
    value: float


class QKScore(Document):
    """One attention score and its largest parts, as `QKAttribution` has them in full.

    `relative` says whether kinds, pairs and sides are less the mean over all keys that the query may look at.
    """

    layer: int
    head: int
    query: int
    key: int
    score: float
    relative_score: float
    attention: float
    relative: bool
    kinds: dict[str, dict[str, float]]
    pairs: tuple[QKPair, ...]
    query_side: tuple[tuple[str, float], ...]
    key_side: tuple[tuple[str, float], ...]

    @property
    def place(self) -> tuple[int, int, int, int]:
        """What tells scores of a prompt apart: layer, head, query and key."""
        return self.layer, self.head, self.query, self.key


class AttentionFindings(Document):
    """What is known of a graph's heads."""

    loadings: tuple[EdgeHeads, ...] = ()
    scores: tuple[QKScore, ...] = ()

    def merge(self, newer: "AttentionFindings") -> "AttentionFindings":
        """Both; of an edge or a score that both have, the newer."""
        edges = {(edge.source, edge.target): edge for edge in (*self.loadings, *newer.loadings)}
        scores = {score.place: score for score in (*self.scores, *newer.scores)}
        return AttentionFindings(loadings=tuple(edges.values()), scores=tuple(scores.values()))


class PredictionAgreement(Document):
    """How predicted and actual changes agree."""

    r: float | None
    """Pearson's, over pairs of a change and what was measured; None where one side does not vary."""
    low: float | None
    """Lower end of a 95 % bootstrap interval that draws whole interventions."""
    high: float | None
    """Its upper end."""
    sign_agreement: float | None
    """The share of pairs that go the same way, of those predicted to be at least 1 % of the largest change;
    None without any."""
    slope: float | None = None
    """Of actual on predicted changes through the origin, sum(p a) / sum(p^2): 1 where changes are as large as
    the graph says, below 1 where it foretells more than comes. None without a predicted change, and in files
    from before it was measured."""
    nmse: float | None = None
    """The mean squared error over the mean square of the actual changes, sum((a - p)^2) / sum(a^2): 0 where
    all are foretold, 1 as if no change were foretold, above 1 worse than that. r and signs cannot show it.
    None where nothing changed, and in files from before it was measured."""
    pairs: int
    """How many pairs there are."""


class GraphValidation(Document):
    """What a graph predicted of interventions, and what happened.

    A pair is one change and one measured node.
    """

    mode: Mode
    """What else could change, see `intervening`."""
    factor: float
    """What the activations of the changed features were multiplied by."""
    changed: tuple[str, ...]
    """The name of each intervention: a node, or a supernode's label."""
    intervention: tuple[int, ...]
    """Of each pair, the number of its intervention."""
    nodes: tuple[str, ...]
    """Of each pair, the name of the node that was measured."""
    predicted: tuple[float, ...]
    """Of each pair, by how much its pre-activation or its target's value was to change."""
    actual: tuple[float, ...]
    """Of each pair, by how much it did."""
    overall: PredictionAgreement
    """The agreement over all pairs."""
    features: PredictionAgreement
    """Over pairs that measure a feature."""
    targets: PredictionAgreement
    """Over pairs that measure a target; a logit is measured as the graph has it, with the final norm's scale
    held."""
    logits: PredictionAgreement
    """With the logits that come out, which also rise and fall together as the final norm's scale does."""

    @property
    def labels(self) -> tuple[str, ...]:
        """How people read each pair."""
        return tuple(
            f"{self.changed[number]} → {node}"
            for number, node in zip(self.intervention, self.nodes, strict=True)
        )

    @model_validator(mode="before")
    @classmethod
    def _from_first_form(cls, values: Any) -> Any:
        """Graph files of version 1 have the overall agreement at the top, and labels."""
        if not isinstance(values, dict) or "overall" in values:
            return values
        rest = {name: value for name, value in values.items() if name != "labels"}
        overall = {name: rest.pop(name) for name in PredictionAgreement.model_fields if name in rest}
        return {**rest, "overall": overall}
