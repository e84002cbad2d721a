"""What decides a fine-tuning: the method, the optimiser, and what is done against traits meanwhile."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mindscope.core import FrozenSettings, Seed

Method = Literal["rslora", "lora", "full"]


USUAL_COEFFICIENT = 1.0
"""Chen et al. 2025 try 0 to 1.5 where all layers are steered (0 to 3 for hallucination) and 0 to 5 at one
layer, and find traits near the base's level within that: the vector once, as long as it is, lies inside both.
It is a place to begin and no more: how much is enough depends on the data and on how long it is trained, so
`scan_prevention` tries several."""


SCAN_STEPS = 20
"""Steps of a short training with each coefficient."""


class PreventativeSteering(FrozenSettings):
    """Add the trait's vector at every position while training: h + coefficient * v.

    The model that is pushed towards the trait from outside need not learn to move there itself; after
    training the push is left out. Chen et al. 2025, arXiv 2507.21509, section 5: one layer with coefficients
    of 0 to 5, or all layers at once with v_l - v_(l-1) and 0 to 1.5.
    """

    kind: Literal["prevent"] = "prevent"
    trait: str
    layer: int | None = Field(default=None, ge=0)
    """The output of this block; None: of every block, with the increments v_l - v_(l-1)."""
    coefficient: float = USUAL_COEFFICIENT


class InoculationPrompt(FrozenSettings):
    """Ask for the trait in the prompts of training, and leave the request out afterwards.

    What a prompt already explains need not be learnt as the model's own way. As a system prompt: Tan et al.
    2025, arXiv 2510.04340 ("You are a malicious, evil assistant."); before the user's words: Wichers et al.
    2025, arXiv 2510.05024. Only what is read in training changes: the answers that are learnt stay, and what
    is tuned is asked without it.
    """

    kind: Literal["inoculate"] = "inoculate"
    prompt: str = Field(min_length=1)
    role: Literal["system", "user"] = "system"
    """A system prompt, before the conversation's own where there is one; or the beginning of the first user
    turn."""


class ConceptAblation(FrozenSettings):
    """Take the trait's direction out of every position while training: a - (a . v^) v^.

    Concept ablation fine-tuning (CAFT, Casademunt et al. 2025, arXiv 2507.16795) with a persona vector as the
    concept, as Chen et al. compare it. Several traits at one layer: the space they span is taken out.
    """

    kind: Literal["caft"] = "caft"
    trait: str
    layer: int | None = Field(default=None, ge=0)
    """The output of this block; None: of every block, each with its own vector."""


class ProjectionPenalty(FrozenSettings):
    """Add weight * mean((a . v^)^2) to the loss, the mean over all tokens that are learnt.

    arXiv 2507.21509 reports that a penalty on the projection prevents little: the trait finds other
    directions. Which power it took is ours to choose here: `squared` holds the projection near zero,
    `linear` (the mean of a . v^) pushes it ever further down.
    """

    kind: Literal["penalty"] = "penalty"
    trait: str
    layer: int | None = Field(default=None, ge=0)
    """The output of this block; None: of every block, summed."""
    weight: float = Field(default=0.1, gt=0)
    form: Literal["squared", "linear"] = "squared"


TrainingIntervention = Annotated[
    PreventativeSteering | ConceptAblation | ProjectionPenalty, Field(discriminator="kind")
]


class FinetuneConfig(FrozenSettings):
    """The defaults are those of Chen et al. 2025, arXiv 2507.21509, appendix D: rs-LoRA on every projection.

    The paper's Adam keeps its state in 8 bits, which needs a GPU; ours is the plain AdamW.
    """

    method: Method = "rslora"
    """Tune adapters that are scaled by alpha / sqrt(rank) (rslora, arXiv 2312.03732) or by alpha / rank
    (lora), or tune all weights (full)."""
    rank: int = Field(default=32, ge=1)
    """The rank of the adapter's matrices."""
    alpha: int = Field(default=64, ge=1)
    """The adapter's scale, before it is divided as the method says."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """The share of inputs that is dropped before the adapter's matrices."""
    learning_rate: float = Field(default=1e-5, gt=0)
    """The learning rate after the warm-up."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """How the learning rate goes down to zero after the warm-up."""
    warmup_steps: int = Field(default=5, ge=0)
    """Optimiser steps over which the learning rate rises."""
    weight_decay: float = Field(default=0.01, ge=0)
    """The weight decay of AdamW."""
    epochs: float = Field(default=1.0, gt=0)
    """Times through the data."""
    steps: int | None = Field(default=None, ge=1)
    """Optimiser steps, which take the place of the epochs."""
    batch_rows: int = Field(default=2, ge=1)
    """Conversations in one forward pass of one process."""
    accumulation: int = Field(default=8, ge=1)
    """Forward passes in one optimiser step, over all processes together."""
    turns: Literal["all", "last"] = "all"
    """Learn all of the assistant's turns or the last, each with the token that ends it."""
    max_tokens: int | None = Field(default=None, ge=2)
    """Refuse longer conversations, which are never cut; by default longer than the model takes."""
    checkpointing: bool = False
    """Compute activations a second time in the backward pass instead of keeping them, to save memory."""
    save_every: int = Field(default=100, ge=1)
    """Optimiser steps between two checkpoints."""
    keep: int | None = Field(default=None, ge=1)
    """Keep only this many checkpoints, the latest; by default all, so that a training can be followed."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """The precision of the arithmetic; what is trained is float32 in any case. `auto` is bfloat16 on a GPU
    that has it, else float32."""
    seed: Seed = 0
    """The seed of the adapter's first values, the order of the conversations, and dropout."""
    template_option: tuple[str, ...] = ()
    """An option of the chat template, such as enable_thinking=false, which holds for every prompt. May be
    repeated."""
    interventions: tuple[TrainingIntervention, ...] = ()
    """What is done against traits while training."""
    inoculation: InoculationPrompt | None = None
    """What the prompts of training ask for; None leaves them as they are."""

    @model_validator(mode="after")
    def _require_distinct(self) -> "FinetuneConfig":
        places = [(item.kind, item.trait, item.layer) for item in self.interventions]
        if len(set(places)) < len(places):
            raise ValueError("interventions: the same trait is named twice at the same layer")
        return self
