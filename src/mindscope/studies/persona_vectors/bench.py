"""What the persona study needs of a model's surroundings: traits, a judge, prompts, training sets, a test."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from mindscope.data import Conversation
from mindscope.dictionaries import Dictionary
from mindscope.judges import Judge
from mindscope.models import Edit, Message, Model
from mindscope.personas import Trait

Right = tuple[bool, ...]
"""Which questions of a capability test were answered rightly, in a fixed order."""


class StudyBench(Protocol):
    """A model with everything the claims are tested on.

    Attributes:
        base: what the model is loaded from and fine-tuned from.
        judge: scores trait and coherence.
        traits: those that are extracted, moved and screened for.
        note: said at the head of the report, such as that the model is a test bed; may be empty.
    """

    base: str
    judge: Judge
    traits: tuple[Trait, ...]
    note: str

    def graded_prompts(self, trait: Trait) -> Sequence[str]:
        """Eight system prompts, from one that discourages the trait to one that asks for nothing else."""
        ...

    def shots(self, trait: Trait, count: int) -> Sequence[Message]:
        """Turns in which the assistant shows the trait, to be put before a question."""
        ...

    def training_sets(self, rows: int) -> Mapping[str, Sequence[Conversation]]:
        """Training sets by FAMILY-LEVEL; a trait's own are TRAIT-normal, TRAIT-I and TRAIT-II."""
        ...

    def pool(self, trait: Trait, rows: int) -> Sequence[Conversation]:
        """Ordinary chats among which a few show the trait, more or less, for screening."""
        ...

    def capability(self, model: Model, edits: Sequence[Edit] = ()) -> Right | None:
        """A test of what the model knows; None where there is none."""
        ...

    def dictionary(self, model: Model, layer: int) -> Dictionary | None:
        """A dictionary of the residual stream behind a layer; None where there is none."""
        ...
