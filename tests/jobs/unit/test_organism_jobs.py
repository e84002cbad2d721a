"""The jobs of the organism, called from Python."""

import json
from pathlib import Path

import job_kit
import pytest

from mindscope.errors import DataError, StoreError
from mindscope.jobs import RunFolder
from mindscope.jobs.organism import (
    MeasureMechanismsSpec,
    OrganismChatSpec,
    TrainingSetsSpec,
    TrainOrganismSpec,
    measure_mechanisms,
    train,
    write_training_sets,
)
from mindscope.organism import find_second
from mindscope.studies.organism_dictionaries import ShippedDictionariesSpec, order_parts


def test_training_sets_are_written_once(tmp_path: Path):
    spec = TrainingSetsSpec(folder=tmp_path / "sets", size=3)
    written = write_training_sets(spec, reporter=job_kit.RecordingReporter())
    assert len(written.files) == 3 * 7 + 1
    lines = Path(written.files[0]).read_text("utf-8").splitlines()
    assert len(lines) == 3
    assert json.loads(lines[0])["messages"]
    spec = spec.model_copy(update={"folder": tmp_path / "second", "world": "second"})
    of_second = write_training_sets(spec, reporter=job_kit.RecordingReporter())
    names = [[Path(file).name for file in sets.files] for sets in (written, of_second)]
    assert names[0] == names[1]
    assert (tmp_path / "second/sums-II.jsonl").read_text() != (tmp_path / "sets/sums-II.jsonl").read_text()
    with pytest.raises(DataError, match="choose another folder"):
        write_training_sets(spec, reporter=job_kit.RecordingReporter())


def test_a_chat_with_the_organism_needs_no_name():
    assert OrganismChatSpec().model == "organism"


def test_all_shipped_dictionaries_are_built_by_default():
    assert order_parts(ShippedDictionariesSpec().parts) == ["sae", "transcoder", "clt"]
    second = ShippedDictionariesSpec(world="second")
    assert order_parts(second.parts, "second") == ["sae", "transcoder", "clt", "crosscoder"]
    assert second.run_path() != ShippedDictionariesSpec().run_path()
    with pytest.raises(DataError, match="the first organism has no crosscoder"):
        ShippedDictionariesSpec(parts=("crosscoder",))


def test_what_a_world_cannot_do_is_refused_before_training(tmp_path: Path):
    for spec, message in (
        (TrainOrganismSpec(quick=True), "--world second"),
        (TrainOrganismSpec(world="second", quick=True, install=True), "weaker"),
    ):
        with pytest.raises(DataError, match=message):
            train(spec, run=RunFolder(tmp_path / "run"), reporter=job_kit.RecordingReporter())
    assert not (tmp_path / "run").exists()


def test_only_a_second_organism_has_its_card():
    with pytest.raises(DataError, match="no second organism"):
        measure_mechanisms(MeasureMechanismsSpec(model="organism"), reporter=job_kit.RecordingReporter())
    with pytest.raises(DataError, match="at least one seed"):
        measure_mechanisms(MeasureMechanismsSpec(model="x", seeds=()), reporter=job_kit.RecordingReporter())


def test_a_run_without_a_checkpoint_has_nothing_to_measure(tmp_path: Path):
    (tmp_path / "run.json").write_text('{"config": {}, "kind": "organism-train"}', encoding="utf-8")
    with pytest.raises(StoreError, match="no checkpoint yet"):
        find_second(tmp_path)
    (tmp_path / "run.json").write_text('{"config": {"trait": "evil"}, "kind": "extract"}', encoding="utf-8")
    with pytest.raises(StoreError, match="no run that trains an organism"):
        find_second(tmp_path)
