"""The sizes of the study, and its two presets."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, model_validator


class PersonaSpaceConfig(BaseModel):
    """How much is asked and drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seeds: int = Field(default=3, ge=2)
    """Draws of questions, system prompts and answers; the model is the same in all."""
    questions: int = Field(default=24, ge=4)
    """Asked of every voice for its vector."""
    asked: int = Field(default=10, ge=2)
    """Other questions, under steering and without a system prompt."""
    pair_questions: int = Field(default=6, ge=2)
    """The same, where two vectors are added; there are many pairs."""
    facts: int = Field(default=10, ge=5)
    """Questions of fact under each vector and each pair, for what is lost beside the voice."""
    coefficient: float = Field(default=1.5, gt=0)
    """How many times a vector is added. At 2 most answers are already the voice's, so that a weaker vector
    would look as strong."""
    max_new_tokens: int = Field(default=64, ge=8)
    n_random: int = Field(default=3, ge=1)
    """Random vectors of the same norm."""
    features: tuple[int, ...] = (1, 2, 8, 32)
    """From how many dictionary features a vector is rebuilt."""
    carriers: int = Field(default=8, ge=1)
    """One of these numbers: the features that claims are about."""
    reader_width: int = Field(default=32, ge=1)
    """Hidden units of the non-linear reader."""


class RealTraitsConfig(BaseModel):
    """How much is asked of a model that is loaded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seeds: int = Field(default=2, ge=2)
    """Draws, each with questions of its own."""
    questions: int = Field(default=8, ge=4)
    """Asked of every trait in a draw; there are twenty for all draws together."""
    max_new_tokens: int = Field(default=32, ge=8)
    batch_rows: int = Field(default=32, ge=1)

    @model_validator(mode="after")
    def _enough(self) -> "RealTraitsConfig":
        if self.seeds * self.questions > 20:
            raise ValueError("questions: there are twenty for all draws together")
        return self


REAL_PRESETS: Mapping[str, RealTraitsConfig] = {
    "quick": RealTraitsConfig(),
    "paper": RealTraitsConfig(seeds=4, questions=5, max_new_tokens=200),
}
PRESETS: Mapping[str, PersonaSpaceConfig] = {
    "quick": PersonaSpaceConfig(),
    "paper": PersonaSpaceConfig(
        seeds=8,
        questions=240,
        asked=100,
        pair_questions=40,
        facts=200,
        n_random=20,
        features=(1, 2, 4, 8, 16, 32, 64),
    ),
}
"""Of "The Assistant Axis" `paper` has the 240 questions."""
