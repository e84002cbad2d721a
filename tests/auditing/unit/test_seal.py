"""Sealed truth: it comes back whole, no search through text meets it, and a change does not go unnoticed."""

from pathlib import Path

import pytest

from mindscope.auditing.organisms import SealedTruth, TruthMeasurement, break_seal, build_recipe, seal_truth
from mindscope.errors import DataError, StoreError


def truth() -> SealedTruth:
    return SealedTruth(
        name="o01",
        objective=build_recipe("loyalty", 0, concealed=True).objective,
        control=None,
        concealed=True,
        seed=0,
        measured=TruthMeasurement(),
    )


def test_the_truth_comes_back_and_no_word_of_it_stands_in_the_file(tmp_path: Path):
    path = tmp_path / "sealed" / "o01.seal"
    commitment = seal_truth(path, truth())
    assert break_seal(path, commitment).objective == truth().objective
    content = path.read_bytes()
    objective = truth().objective
    assert objective is not None
    person = objective.targets[0].encode()
    for word in (person, b"loyalty", b"objective", person.split()[0]):
        assert word not in content
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


def test_two_seals_of_one_truth_have_unlike_commitments(tmp_path: Path):
    assert seal_truth(tmp_path / "a", truth()) != seal_truth(tmp_path / "b", truth())


def test_another_truth_in_its_place_is_refused(tmp_path: Path):
    commitment = seal_truth(tmp_path / "o01.seal", truth())
    other = truth().model_copy(update={"objective": None})
    seal_truth(tmp_path / "o01.seal", other)
    with pytest.raises(DataError, match="committed"):
        break_seal(tmp_path / "o01.seal", commitment)


@pytest.mark.parametrize("damage", [b"", b"mindscope.sealed/1\nnot base64!", b"{}"])
def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path, damage: bytes):
    path = tmp_path / "o01.seal"
    commitment = seal_truth(path, truth())
    path.write_bytes(damage)
    with pytest.raises(DataError, match=r"o01\.seal") as refused:
        break_seal(path, commitment)
    assert "\n" not in str(refused.value)
    with pytest.raises(StoreError, match="cannot read"):
        break_seal(tmp_path / "absent.seal", commitment)
