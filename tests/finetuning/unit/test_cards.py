"""The card beside a tuned model: read wherever the folder was moved, and refused where it is damaged."""

import json
from pathlib import Path

import pytest

from mindscope.errors import DataError
from mindscope.finetuning import FinetuneConfig, TuningCard
from mindscope.finetuning.result import TrainingData


def write_card(folder: Path, **more: object) -> TuningCard:
    card = TuningCard(
        base="base",
        base_fingerprint="f" * 64,
        config=FinetuneConfig(),
        data=TrainingData(sha256="d" * 64, rows=4, left_out=0),
        vectors={},
        libraries={},
    )
    (folder / "mindscope.json").write_text(json.dumps(card.document(**more)))
    return card


@pytest.mark.parametrize("more", [{"steps": 2, "losses": [1.0]}, {"step": 1}])
def test_a_card_is_found_beside_a_model_and_a_checkpoint(tmp_path, more):
    assert TuningCard.find(tmp_path) is None
    card = write_card(tmp_path, **more)
    assert TuningCard.find(tmp_path) == TuningCard.read(tmp_path) == card


def test_another_document_and_a_damaged_card_are_refused(tmp_path):
    (tmp_path / "mindscope.json").write_text('{"schema": "other"}')
    with pytest.raises(DataError, match="does not describe a tuned model"):
        TuningCard.find(tmp_path)
    write_card(tmp_path, data={"rows": 4})
    with pytest.raises(DataError, match=r"damaged at 'data\.sha256'"):
        TuningCard.read(tmp_path)
