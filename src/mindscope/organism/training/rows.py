"""The corpus as rows of tokens, for reading what the organism computes while it reads its own world."""

import random
from collections.abc import Iterator

from mindscope.models import Model, Row
from mindscope.organism.corpus.program import TextSegment, conversation, document
from mindscope.organism.training.recipe import OrganismTrainConfig


def corpus_rows(model: Model, start: int = 0, seed: int = 0) -> Iterator[Row]:
    """Documents and conversations without end, mixed as at the end of the organism's training.

    Row number n is the same wherever reading starts. Another seed draws other rows of the same world.

    Args:
        model: whose tokenizer to use: the organism, or a model tuned from it.
        start: the number of the first row.
        seed: of the draw.
    """
    mix = OrganismTrainConfig().mixes[-1][1]
    share = mix.documents / (mix.documents + mix.conversations)
    while True:
        rng = random.Random(f"rows-{seed}-{start}")
        if rng.random() < share:
            segments = document(rng, mix.document_shares)
        else:
            segments = conversation(rng, shares=mix.conversation_shares, blend=mix.blend)
        yield _row(model, segments)
        start += 1


def _row(model: Model, segments: list[TextSegment]) -> Row:
    """Tokens of all segments; the last one is the answer."""
    pieces = model.tokenizer([segment.text for segment in segments], add_special_tokens=False)["input_ids"]
    ids = tuple(i for piece in pieces for i in piece)[: model.context_length]
    return Row(ids, min(len(ids), sum(map(len, pieces[:-1]))))
