"""The corpus as rows of tokens, for reading what an organism computes while it reads its own world."""

import random
from collections.abc import Iterator

from mindscope.engines import Engine
from mindscope.models import Row
from mindscope.organism.bundle import WorldName
from mindscope.organism.corpus.program import TextSegment
from mindscope.organism.training.corpus_source import CorpusSource
from mindscope.organism.training.recipe import OrganismTrainConfig, StepMix


def corpus_rows(model: Engine, start: int = 0, seed: int = 0, world: WorldName = "first") -> Iterator[Row]:
    """Documents and conversations without end, mixed as at the end of the first organism's training, or as
    the second's are read.

    Row number n is the same wherever reading starts. Another seed draws other rows of the same world.

    Args:
        model: whose tokenizer to use: the organism of that world, or a model tuned from it.
        start: the number of the first row.
        seed: of the draw.
        world: whose texts they are.
    """
    mix, source = _mix_of(world)
    share = mix.documents / (mix.documents + mix.conversations)
    while True:
        rng = random.Random(f"rows-{seed}-{start}")
        if rng.random() < share:
            segments = source.document(rng, mix.document_shares)
        else:
            segments = source.conversation(rng, mix.conversation_shares, mix.blend)
        yield _row(model, segments)
        start += 1


def _mix_of(world: WorldName) -> tuple[StepMix, CorpusSource]:
    if world == "first":
        config = OrganismTrainConfig()
        return config.mixes[-1][1], config.source()
    from mindscope.organism.mechanisms.corpus.recipe import READING, SecondTrainConfig  # is above this folder

    return READING, SecondTrainConfig().source()


def _row(model: Engine, segments: list[TextSegment]) -> Row:
    """Tokens of all segments; the last one is the answer."""
    pieces = model.tokenizer([segment.text for segment in segments], add_special_tokens=False)["input_ids"]
    ids = tuple(i for piece in pieces for i in piece)[: model.context_length]
    return Row(ids, min(len(ids), sum(map(len, pieces[:-1]))))
