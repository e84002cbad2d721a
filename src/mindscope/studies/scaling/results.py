"""What is measured: a document for each piece of each seed."""

from typing import ClassVar

from mindscope.store import Document, SavedDocument

Numbers = tuple[float, ...]


class LawRun(Document):
    """One run for the laws."""

    latents: int
    steps: int
    loss: float
    """On held-out tokens: the squared error and the L1 penalty."""
    error: float
    active: float
    """Latents active on a token."""
    alive: int
    """Latents active on any held-out token."""

    @property
    def compute(self) -> int:
        """Latents times steps."""
        return self.latents * self.steps


class LawSeed(Document):
    """All runs of one seed."""

    runs: tuple[LawRun, ...]
    larger: tuple[LawRun, ...]
    """The dictionaries that are looked into: runs that no law is fitted on."""


class SizePresence(Document):
    """Which names the latents of one dictionary stand for."""

    latents: int
    alive: int
    f1: Numbers
    """Of each name's best latent, on texts it was not chosen on."""
    random: Numbers
    """The same of random directions, of which as many are active."""


class NameSeed(Document):
    """Names, their frequencies, and what stands for them."""

    names: tuple[str, ...]
    frequencies: Numbers
    """Of each name, as a share of the tokens that are trained on."""
    sizes: tuple[SizePresence, ...]
    tokens: Numbers
    """The F1 of each name's best token."""


class NearScores(Document):
    """Nearest latents of the largest dictionary beside any others, seen from one dictionary."""

    latents: int
    """Of the dictionary that is seen from."""
    cosine: float
    """With the nearest ones, a mean."""
    near: float | None
    """How alike the tokens are that a latent and its nearest ones fire on, from 0 to 1; None where there are
    no two latents that fire often enough."""
    far: float | None
    """The same with all others."""
    random_near: float | None
    """The first in random dictionaries as large and as sparse."""
    random_far: float | None
    tokens_near: float | None
    """The first in dictionaries as large and as sparse whose rows are activations of tokens."""
    tokens_far: float | None
    kind: float | None = None
    """Of labelled nearest ones that stand for something else, the share of the same kind; None without."""
    kind_far: float | None = None
    """The same of all labelled ones."""
    labelled: int = 0
    """Latents with a label that were seen from."""


class SplitScores(Document):
    """Into how many latents of another dictionary those of the smallest one split."""

    latents: int
    """Of the other dictionary."""
    children: float
    """A mean over latents of the smallest that fire often enough."""
    several: float
    """The share with two or more."""


class LatentFamily(Document):
    """A latent of the smallest dictionary with its children in the largest."""

    parent: str
    """What it stands for, or the tokens it fires on."""
    children: tuple[str, ...]


class NearSeed(Document):
    """Neighbourhoods of one seed."""

    near: tuple[NearScores, ...]
    split: tuple[SplitScores, ...]
    """The first is the smallest dictionary again, with other first weights."""
    families: tuple[LatentFamily, ...]


class ClampScores(Document):
    """Answers with a latent clamped, or with what it is compared with; shares of questions."""

    strength: float
    """Multiples of the highest activation; 0 where nothing is changed."""
    names: float
    """Answers that name it."""
    states: float | None
    """Of answers to questions about another of its kind, those that state what holds for it; None where there
    is no such question."""
    coherence: float
    """From 0 to 100, a mean."""


class ClampedName(Document):
    """The latent of one name."""

    name: str
    latent: int
    f1: float
    highest: float
    """Its highest activation on training texts, in units of the activations."""
    untouched: ClampScores
    clamped: tuple[ClampScores, ...]
    stranger: tuple[ClampScores, ...]
    """Another latent, clamped to as many times its own highest activation."""
    random: tuple[ClampScores, ...]
    """A random direction, as far as the name's latent."""
    example: str
    """An answer with it clamped to the highest multiple whose answers hang together on the whole."""


class ClampSeed(Document):
    """All names of one seed; none where no latent stands for one."""

    names: tuple[ClampedName, ...]


class ScalingStudy(SavedDocument):
    """All that was measured on the organism."""

    SCHEMA: ClassVar[str] = "mindscope.study-scaling/1"

    model: str
    fingerprint: str
    address: str
    laws: tuple[LawSeed, ...]
    names: tuple[NameSeed, ...]
    near: tuple[NearSeed, ...]
    clamped: tuple[ClampSeed, ...]


class ModelScalingStudy(SavedDocument):
    """What needs no known names, of a model that was loaded."""

    SCHEMA: ClassVar[str] = "mindscope.study-scaling-model/1"

    model: str
    fingerprint: str
    address: str
    laws: tuple[LawSeed, ...]
    near: tuple[NearSeed, ...]
