"""The sizes of the study, and its two presets."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from mindscope.dictionaries import Method


class AtomConfig(BaseModel):
    """What activations are made of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(default=48, ge=4)
    """Of the activations."""
    parents: int = Field(default=3, ge=2)
    """Atoms that exclude one another: the classes of labelled samples."""
    children: int = Field(default=4, ge=1)
    """Atoms of each parent, of which at most one comes with it."""
    singles: int = Field(default=81, ge=1)
    """Atoms that come on their own, the first often and the last rarely."""
    parent_share: float = Field(default=0.6, gt=0, le=1)
    """How often there is a parent."""
    child_share: float = Field(default=0.7, gt=0, lt=1)
    """How often a parent comes with a child."""
    most: float = Field(default=0.3, gt=0, lt=1)
    """How often the commonest single atom is there; the k-th is there `most` / k^0.5 of the time."""
    noise: float = Field(default=0.05, ge=0)
    """The standard deviation of noise, in every dimension."""

    @property
    def atoms(self) -> int:
        """How many there are."""
        return self.parents * (1 + self.children) + self.singles


class DictionaryMetricsConfig(BaseModel):
    """All sizes of the study."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    atoms: AtomConfig = AtomConfig()
    worlds: int = Field(default=3, ge=2)
    """Independent draws of atoms, each with dictionaries of its own."""
    methods: tuple[Method, ...] = ("relu", "topk", "batchtopk", "matryoshka", "jumprelu")
    sizes: tuple[int, ...] = (64, 192)
    """Latents: fewer than there are atoms, and more."""
    reseeds: int = Field(default=2, ge=2)
    """Trainings of each, which differ by their seed alone."""
    steps: int = Field(default=800, ge=1)
    batch_tokens: int = Field(default=256, ge=2)
    k: int = Field(default=8, ge=1)
    """Active latents of the TopK methods, about as many as atoms are there at a time."""
    learning_rate: float = Field(default=2e-3, gt=0)
    """Of all methods. The papers' rates of ReLU and JumpReLU are for a hundred times as many steps."""
    samples: int = Field(default=2000, ge=100)
    """To measure on; half to choose the latent of an atom, half to test it."""
    labelled: int = Field(default=40, ge=20)
    """Samples of each class for measures on labels."""
    draws: int = Field(default=2, ge=2)
    """Draws of labelled samples."""


PRESETS: Mapping[str, DictionaryMetricsConfig] = {
    "quick": DictionaryMetricsConfig(),
    "paper": DictionaryMetricsConfig(
        atoms=AtomConfig(width=256, parents=16, children=8, singles=880),
        worlds=5,
        sizes=(512, 1024, 4096),
        reseeds=5,
        steps=50_000,
        batch_tokens=1024,
        k=25,
        learning_rate=3e-4,
        samples=40_000,
        labelled=200,
        draws=5,
    ),
}
"""`paper` has five draws, as Chanin 2026; its synthetic model has 16,384 atoms, which asks for a GPU."""
