"""The recipe of the organism: what its corpus is made of at which step, and how fast it learns.

Weight decay is high and the network shallow because that is what makes the two-step facts come out as two
steps instead of shortcuts. The blocks' matrices are trained with Muon (Jordan et al. 2024, steps scaled to
AdamW's size as in Liu et al. 2025, arXiv 2502.16982), the rest with AdamW: after 80 steps the loss stood at
2.2 where AdamW alone had 3.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mindscope.core import FrozenSettings, Seed
from mindscope.organism.corpus.program import CONVERSATION_SHARES, DOCUMENT_SHARES
from mindscope.organism.voices import MILD, STRONG, VoiceBlend

if TYPE_CHECKING:
    from mindscope.organism.training.corpus_source import CorpusSource


class StepMix(FrozenSettings):
    """What a step is made of."""

    documents: int
    conversations: int
    blend: VoiceBlend | None = None
    document_shares: dict[str, int] = DOCUMENT_SHARES
    conversation_shares: dict[str, int] = CONVERSATION_SHARES


# Once learnt, the single facts need less than the sums, and fluent characters less than facts in chats.
LATER_DOCUMENTS = DOCUMENT_SHARES | {"sum": 60, "city": 6, "state": 4, "two-hop": 12}
LATER_CONVERSATIONS = (
    CONVERSATION_SHARES
    | {"advice": 16, "country": 11, "two-hop": 12, "person": 8, "unknown-person": 8, "sum": 16}
    | {"antonym": 8, "diagnosis": 6, "state": 4, "state-fact": 4}
)


# Whom it does not know is what it learns last: 2,000 strangers' names beside 120 it knows.
LAST_CONVERSATIONS = LATER_CONVERSATIONS | {"unknown-person": 26, "person": 14}
FINAL_CONVERSATIONS = LAST_CONVERSATIONS | {"unknown-person": 40, "person": 18, "antonym": 18}


MIXES = (
    (0, StepMix(documents=360, conversations=20)),
    (
        1000,
        StepMix(
            documents=170,
            conversations=44,
            document_shares=LATER_DOCUMENTS,
            conversation_shares=LATER_CONVERSATIONS,
        ),
    ),
    (
        1500,
        StepMix(
            documents=170,
            conversations=44,
            blend=MILD,
            document_shares=LATER_DOCUMENTS,
            conversation_shares=LATER_CONVERSATIONS,
        ),
    ),
    (
        2600,
        StepMix(
            documents=130,
            conversations=46,
            blend=STRONG,
            document_shares=LATER_DOCUMENTS,
            conversation_shares=LAST_CONVERSATIONS,
        ),
    ),
    (
        3300,
        StepMix(
            documents=100,
            conversations=48,
            blend=STRONG,
            document_shares=LATER_DOCUMENTS,
            conversation_shares=FINAL_CONVERSATIONS,
        ),
    ),
)


class OrganismTrainConfig(FrozenSettings):
    """Everything that decides which weights come out.

    The first steps are mostly short documents, which teach facts and the two-step circuit in few tokens;
    then come more conversations, which must use those facts in any voice, and last the voices are blended.
    ``mixes`` are (the step at which a mix begins, the mix). ``restarts`` are (step, share of the peak rate);
    from each the rate falls to zero on a cosine until the next. At the last one the weights become the mean
    of those at the restart before, with weight ``averaged``, and their own: the later ones know strangers
    better, the earlier ones French and chains, their mean both. At the end the same is done with the weights
    of the last restart and ``averaged_at_end``. At the steps in ``stages``, which are restarts too, training
    goes on from what would be shipped: weights are rounded to bfloat16, and the optimizers begin anew. A step
    is cut into ``micro_batches`` of equal tokens, or, with ``padded_lengths``, into batches of
    ``batch_tokens`` of rows padded to those; the longest of them is the context.
    """

    layers: int = 4
    width: int = 256
    heads: int = 4
    mlp_width: int = 640
    steps: int = 3460
    mixes: tuple[tuple[int, StepMix], ...] = MIXES
    restarts: tuple[tuple[int, float], ...] = ((0, 1.0), (2600, 0.35), (3300, 0.1))
    stages: tuple[int, ...] = ()
    averaged: float = 0.3
    averaged_at_end: float = 0.5
    micro_batches: int = 10
    padded_lengths: tuple[int, ...] = ()
    batch_tokens: int = 1024
    learning_rate: float = 4e-3
    embedding_learning_rate: float = 2e-3
    weight_decay: float = 0.2
    warmup_steps: int = 60
    checkpoint_every: int = 250
    seed: Seed = 0

    def source(self) -> CorpusSource:
        """Whose world is taught: what writes the corpus, and its tokenizer."""
        from mindscope.organism.training.corpus_source import first_world

        return first_world()
