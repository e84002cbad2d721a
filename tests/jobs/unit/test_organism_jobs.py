"""The jobs of the organism, called from Python."""

import json
from pathlib import Path

import job_kit
import pytest

from mindscope.errors import DataError
from mindscope.jobs.organism import OrganismChatSpec, TrainingSetsSpec, write_training_sets
from mindscope.studies.organism_dictionaries import ShippedDictionariesSpec


def test_training_sets_are_written_once(tmp_path: Path):
    spec = TrainingSetsSpec(folder=tmp_path / "sets", size=3)
    written = write_training_sets(spec, reporter=job_kit.RecordingReporter())
    assert len(written.files) == 3 * 7 + 1
    lines = Path(written.files[0]).read_text("utf-8").splitlines()
    assert len(lines) == 3
    assert json.loads(lines[0])["messages"]
    with pytest.raises(DataError, match="choose another folder"):
        write_training_sets(spec, reporter=job_kit.RecordingReporter())


def test_a_chat_with_the_organism_needs_no_name():
    assert OrganismChatSpec().model == "organism"


def test_all_shipped_dictionaries_are_built_by_default():
    assert ShippedDictionariesSpec().parts == ("sae", "transcoder", "clt")
