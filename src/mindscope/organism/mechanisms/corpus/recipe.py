"""The recipe of the second organism: its network, and what its corpus is made of at which step."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

from mindscope.errors import StoreError
from mindscope.organism.mechanisms.corpus.shares import (
    TEXT_SHARES,
    TEXT_SHARES_CLOSING,
    TEXT_SHARES_END,
    TEXT_SHARES_FIFTH,
    TEXT_SHARES_FOURTH,
    TEXT_SHARES_LAST,
    TEXT_SHARES_LAST_OF_SIXTH,
    TEXT_SHARES_LATER,
    TEXT_SHARES_READ,
    TEXT_SHARES_SIXTH,
    TEXT_SHARES_THIRD,
    TURN_SHARES,
    TURN_SHARES_CLOSING,
    TURN_SHARES_LATER,
    TURN_SHARES_THIRD,
)
from mindscope.organism.training.recipe import OrganismTrainConfig, StepMix
from mindscope.organism.voices import MILD, STRONG, VoiceBlend

if TYPE_CHECKING:
    from mindscope.organism.training.corpus_source import CorpusSource

QUICK = 6
"""A quick training has one in so many of the steps."""

LENGTHS = (12, 16, 20, 24, 28, 32, 40, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
"""What rows are padded to, in tokens."""


def _mix(documents: int, conversations: int, blend: VoiceBlend | None = None) -> StepMix:
    return StepMix(
        documents=documents,
        conversations=conversations,
        blend=blend,
        document_shares=TEXT_SHARES,
        conversation_shares=TURN_SHARES,
    )


FIRST_STAGE = 2800
SECOND_STAGE = FIRST_STAGE + 1350
THIRD_STAGE = SECOND_STAGE + 1000
FOURTH_STAGE = THIRD_STAGE + 900
FIFTH_STAGE = FOURTH_STAGE + 600
LATER = StepMix(
    documents=270,
    conversations=18,
    blend=STRONG,
    document_shares=TEXT_SHARES_LATER,
    conversation_shares=TURN_SHARES_LATER,
)

LAST = LATER.model_copy(update={"documents": 300, "document_shares": TEXT_SHARES_LAST})

END = LAST.model_copy(update={"documents": 280, "document_shares": TEXT_SHARES_END})

THIRD = LATER.model_copy(
    update={
        "documents": 340,
        "document_shares": TEXT_SHARES_THIRD,
        "conversation_shares": TURN_SHARES_THIRD,
    }
)

CLOSING = LATER.model_copy(
    update={
        "documents": 340,
        "document_shares": TEXT_SHARES_CLOSING,
        "conversation_shares": TURN_SHARES_CLOSING,
    }
)

FOURTH = CLOSING.model_copy(update={"document_shares": TEXT_SHARES_FOURTH})

FIFTH = CLOSING.model_copy(update={"document_shares": TEXT_SHARES_FIFTH})

SIXTH = CLOSING.model_copy(update={"documents": 380, "document_shares": TEXT_SHARES_SIXTH})

LAST_OF_SIXTH = SIXTH.model_copy(update={"document_shares": TEXT_SHARES_LAST_OF_SIXTH})

READING = LATER.model_copy(
    update={"documents": 150, "conversations": 50, "document_shares": TEXT_SHARES_READ}
)
"""The texts on which dictionaries of the trained model are made and measured, by their numbers in a mix."""


class SecondTrainConfig(OrganismTrainConfig):
    """Everything that decides which weights of the second organism come out.

    As for the first: short texts come first, since they teach the mechanisms in few tokens; then come more
    conversations, and then the voices are blended. Three later stages show oftener what the card still
    missed, and two tell things for several people. A step of the first takes 1.9 seconds of one core,
    one of the others three to four of one or two.
    Matrices take Muon's steps, and all weights a decay of 0.3, with which each mechanism was learnt alone
    (`benchmarks/mechanism_probes.py`).
    """

    layers: int = 6
    width: int = 256
    mlp_width: int = 704
    steps: int = FIFTH_STAGE + 600
    mixes: tuple[tuple[int, StepMix], ...] = (
        (0, _mix(360, 12)),
        (1200, _mix(200, 36, MILD)),
        (2100, _mix(120, 44, STRONG)),
        (FIRST_STAGE, LATER),
        (FIRST_STAGE + 400, LAST),
        (FIRST_STAGE + 950, END),
        (SECOND_STAGE, THIRD),
        (SECOND_STAGE + 450, CLOSING),
        (THIRD_STAGE, FOURTH),
        (FOURTH_STAGE, FIFTH),
        (FIFTH_STAGE, SIXTH),
        (FIFTH_STAGE + 100, LAST_OF_SIXTH),
    )
    restarts: tuple[tuple[int, float], ...] = (
        (0, 1.0),
        (FIRST_STAGE, 0.5),
        (SECOND_STAGE, 0.5),
        (THIRD_STAGE, 0.5),
        (FOURTH_STAGE, 0.5),
        (FIFTH_STAGE, 0.5),
    )
    stages: tuple[int, ...] = (FIRST_STAGE, SECOND_STAGE, THIRD_STAGE, FOURTH_STAGE, FIFTH_STAGE)
    averaged: float = 0.0
    averaged_at_end: float = 0.0
    weight_decay: float = 0.3
    checkpoint_every: int = 50
    padded_lengths: tuple[int, ...] = LENGTHS

    def quick(self) -> Self:
        """The same training in a sixth of the steps, every phase shortened alike."""
        return self.model_copy(
            update={
                "steps": self.steps // QUICK,
                "mixes": tuple((start // QUICK, mix) for start, mix in self.mixes),
                "restarts": tuple((start // QUICK, rate) for start, rate in self.restarts),
                "stages": tuple(start // QUICK for start in self.stages),
            }
        )

    def source(self) -> CorpusSource:
        """The world of the mechanisms."""
        from mindscope.organism.mechanisms.corpus.program import conversation, document
        from mindscope.organism.mechanisms.corpus.vocabulary import CONTEXT, build_second_tokenizer
        from mindscope.organism.training.corpus_source import CorpusSource

        return CorpusSource(
            document=document,
            conversation=lambda rng, shares, blend: conversation(rng, shares=shares, blend=blend),
            tokenizer=build_second_tokenizer,
            context=CONTEXT,
        )


def find_second(folder: Path) -> Path:
    """The model's folder of a second organism: as it is, or of the run that trains one.

    Of a run that has ended its `model/`, else its last checkpoint, which is written out for that.

    Raises:
        StoreError: the run is of another kind, or has no checkpoint yet.
    """
    record = folder / "run.json"
    if not record.is_file():
        return folder
    if (folder / "model" / "config.json").is_file():
        return folder / "model"
    from mindscope.organism.training.train import export_checkpoint
    from mindscope.store import read_json

    run = read_json(record)
    try:
        config = SecondTrainConfig.model_validate(run["config"])
    except (KeyError, ValueError) as error:
        raise StoreError(f"{folder} is no run that trains an organism: {run.get('kind')}") from error
    return export_checkpoint(folder, config)
