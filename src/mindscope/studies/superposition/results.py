"""What is measured: a document for every piece, with one value a seed wherever seeds are independent."""

from typing import ClassVar

from mindscope.store import Document, SavedDocument

Matrix = tuple[tuple[float, ...], ...]
Table = tuple[tuple[float, ...], ...]
"""Densities by seeds."""


class SuperpositionPanels(Document):
    """How many features models represent, by density, beside linear models."""

    features: int
    hidden: int
    densities: tuple[float, ...]
    represented: Table
    """Features with a norm above one half."""
    linear: Table
    """The same of models without a ReLU."""
    gram: tuple[Matrix, ...]
    """W^T W of the first seed's model, by density."""


class PolytopeFit(Document):
    """Whether n equal features in m dimensions become the polytope that is expected."""

    name: str
    features: int
    hidden: int
    expected: float | None
    """The dimensionality that every feature then has; None where it is only reported."""
    mean: tuple[float, ...]
    """Of the features' dimensionalities, by seed."""
    farthest: tuple[float, ...]
    """The largest distance of a feature from what is expected, or from the mean, by seed."""
    random: tuple[float, ...]
    """The same distance for as many directions that are drawn at random."""


class PolytopeFits(Document):
    """All of them."""

    density: float
    fits: tuple[PolytopeFit, ...]


class SetCosines(Document):
    """How features lie that are active together, never together, or independently."""

    kind: str
    features: int
    within: tuple[float, ...]
    """The mean cosine between features of one set, by seed."""
    within_size: tuple[float, ...]
    """The mean of its absolute value."""
    between_size: tuple[float, ...]
    """The mean absolute cosine between features of different sets."""
    W: Matrix
    """Of the first seed."""


class CorrelatedFeatures(Document):
    """Sets of two features in two dimensions."""

    density: float
    sets: tuple[SetCosines, ...]


class PhasePanel(Document):
    """What becomes of a feature, by density and importance."""

    features: int
    hidden: int
    densities: tuple[float, ...]
    importances: tuple[float, ...]
    norm: Matrix
    """|W_n| of the feature, a mean over seeds; densities by importances."""
    shared: Matrix
    """sum over the others of (w_n . W_j)^2, a mean over seeds."""
    predicted: tuple[tuple[str, ...], ...]
    """What the losses of hand-made weights predict: absent, shared, own."""
    agreement: tuple[float, ...]
    """The share of cells in which the trained model is what is predicted, by seed."""
    constant: float
    """The share of cells that the commonest prediction would get right everywhere."""


class PhaseDiagrams(Document):
    """Both of them."""

    panels: tuple[PhasePanel, ...]


class GeometryBand(Document):
    """Dimensionalities of one density."""

    density: float
    per_feature: tuple[float, ...]
    """D* = m / |W|_F^2, by seed."""
    dimensionalities: Matrix
    """Of every feature, by seed."""
    attacked: tuple[float, ...]
    """By how much the worst attack raises the loss, over the same of a model without superposition, by
    seed."""
    attacked_linear: tuple[float, ...]
    """The same of a model without a ReLU, by seed."""


class UniformGeometry(Document):
    """Many equal features."""

    features: int
    hidden: int
    bands: tuple[GeometryBand, ...]


class PolytopeSavings(Document):
    """What features in the corners of a polytope save, per dimension, beside a dimension of their own."""

    names: tuple[str, ...]
    densities: tuple[float, ...]
    saved: Matrix
    """By density and polytope, in variances of a feature."""
    errors: Matrix
    """Standard errors of these."""


class ComputedFeatures(Document):
    """The absolute value, computed for more features than neurons allow one by one."""

    features: int
    hidden: int
    densities: tuple[float, ...]
    computed: Table
    """Features whose error is under half of that of the best constant, on either side of zero."""
    computed_linear: Table
    """The same of models whose neurons have no ReLU."""
    polysemantic: Table
    """The share of neurons with more than one feature."""
    neurons: tuple[Matrix, ...]
    """By density, of the first seed: neurons by features, what a neuron carries of each feature."""


class SuperpositionStudy(SavedDocument):
    """All that was measured."""

    SCHEMA: ClassVar[str] = "mindscope.study-superposition/1"

    panels: SuperpositionPanels
    polytopes: PolytopeFits
    correlated: CorrelatedFeatures
    phases: PhaseDiagrams
    geometry: UniformGeometry
    savings: PolytopeSavings
    computing: ComputedFeatures
