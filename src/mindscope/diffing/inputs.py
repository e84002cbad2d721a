"""What a comparison may use beside the two models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mindscope.data import DataFile
from mindscope.dictionaries import Dictionary
from mindscope.diffing.claims.verify import TraitJudge
from mindscope.diffing.pairing import Prompt
from mindscope.models import Model
from mindscope.personas import PersonaVectors, Trait


@dataclass(frozen=True)
class HarmlessTune:
    """A tune of the base that is known to be harmless, and whether it was made for this comparison."""

    model: Model
    made: bool = False


@dataclass(frozen=True)
class DiffInputs:
    """What a comparison may use beside the two models.

    Attributes:
        prompts: chats up to the answer; repeated ones count once.
        texts: unrelated to the tuning, for the lens; the prompts' questions if left out.
        traits: that claims may be about.
        vectors: of the base, along which the shift is measured.
        judge: scores them; without one they make no claim.
        dictionaries: of the base model, by name.
        nulls: harmless tunes.
        data: the file that the model was tuned on.
    """

    prompts: Sequence[Prompt]
    texts: Sequence[str] = ()
    traits: Sequence[Trait] = ()
    vectors: Sequence[PersonaVectors] = ()
    judge: TraitJudge | None = None
    dictionaries: Mapping[str, Dictionary] = field(default_factory=dict)
    nulls: Sequence[HarmlessTune] = ()
    data: Path | DataFile | None = None
