"""What training draws from: a world's documents, conversations and tokenizer.

Two organisms are trained by one loop; what differs between them is here.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from transformers import PreTrainedTokenizerFast

from mindscope.organism.corpus.program import TextSegment, conversation, document
from mindscope.organism.training.tokenizer import CONTEXT, build_tokenizer
from mindscope.organism.voices import VoiceBlend


@dataclass(frozen=True)
class CorpusSource:
    """A world as training sees it.

    ``document(rng, shares)`` and ``conversation(rng, shares, blend)`` write one text each; ``context`` is in
    tokens.
    """

    document: Callable[[random.Random, Mapping[str, int]], list[TextSegment]]
    conversation: Callable[[random.Random, Mapping[str, int], VoiceBlend | None], list[TextSegment]]
    tokenizer: Callable[[], PreTrainedTokenizerFast]
    context: int


def first_world() -> CorpusSource:
    """The world of the bundled organism."""
    return CorpusSource(
        document=document,
        conversation=lambda rng, shares, blend: conversation(rng, shares=shares, blend=blend),
        tokenizer=build_tokenizer,
        context=CONTEXT,
    )
