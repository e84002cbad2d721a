"""What decides a comparison of two models: prompts, layer, answers, and when a claim counts as verified."""

from pydantic import Field

from mindscope.core import FrozenSettings, Seed

LEAST_PROMPTS = 40
"""Twenty to find candidates and twenty to test them: fewer say nothing of coherence, and have no interval."""
QUICK_PROMPTS, QUICK_TOKENS = 60, 32


class DiffConfig(FrozenSettings):
    """How base and tuned model are compared."""

    n_prompts: int = Field(default=400, ge=LEAST_PROMPTS)
    """Prompts that both models answer: candidates come from half of them, and are tested on the other
    half."""
    n_pushed: int = Field(default=100, ge=20)
    """The most prompts of either half that are answered under a push, which is what takes longest. Kinds of
    prompts are tested on all."""
    max_new_tokens: int = Field(default=64, ge=1)
    """The most tokens that one answer may have."""
    layer: int | None = Field(default=None, ge=0)
    """The block at whose output activations are compared; by default the middle one, as in arXiv
    2510.13900."""
    positions: int = Field(default=5, ge=1)
    """How many first tokens of unrelated texts the activation difference lens reads (arXiv 2510.13900: 5)."""
    n_terms: int = Field(default=20, ge=1)
    """How many words or tokens a readout or a claim lists at most (arXiv 2510.13900: 20)."""
    n_contexts: int = Field(default=3, ge=0)
    """The most claims about kinds of prompts, and as many about latents of each dictionary."""
    false_discovery_rate: float = Field(default=0.05, gt=0, lt=1)
    """The share of chance findings that is allowed among the words, contexts and latents that are listed, and
    among the claims that pass the test on held-out prompts (Benjamini and Hochberg)."""
    coherence: float = Field(default=75.0, ge=0, le=100)
    """How coherent answers must stay, 0 to 100, while the base model is steered along a difference; the
    strongest push that keeps it is used (arXiv 2510.13900: 75)."""
    resamples: int = Field(default=2000, ge=100)
    """Resamples of the prompts for an interval."""
    batch_rows: int = Field(default=64, ge=1)
    """Answers that are written side by side: fewer take less memory."""
    seed: Seed = 0
    """The seed of everything that is drawn at random."""

    @property
    def quick(self) -> "DiffConfig":
        """The same with few prompts and short answers."""
        changes = {
            "n_prompts": min(self.n_prompts, QUICK_PROMPTS),
            "max_new_tokens": min(self.max_new_tokens, QUICK_TOKENS),
        }
        return self.model_copy(update=changes)
