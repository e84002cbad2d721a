"""What several files of tests share is made once, and each has its own copy."""

import pytest
from once_kit import make_once


def test_a_folder_is_made_once_and_each_has_a_copy(tmp_path_factory):
    made: list[str] = []

    def make(folder):
        folder.mkdir()
        made.append(folder.name)
        if len(made) == 1:
            (folder / "half").touch()
            raise OSError("the disk is full")
        (folder / "file").write_text("good")

    with pytest.raises(OSError, match="full"):
        make_once(tmp_path_factory, "a-folder", make)
    first = make_once(tmp_path_factory, "a-folder", make)
    (first / "file").write_text("spoilt")
    second = make_once(tmp_path_factory, "a-folder", make)
    assert made == ["a-folder", "a-folder"]
    assert [file.name for file in second.iterdir()] == ["file"]
    assert (second / "file").read_text() == "good"
    assert list(second.parent.iterdir()) == [second]
