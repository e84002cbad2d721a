"""A case as one file: what goes in comes out, in the same bytes every time."""

import zipfile

import case_kit
import pytest

from mindscope.errors import StoreError
from mindscope.library import open_case
from mindscope.library.manifest import is_plain_name


def test_what_goes_in_comes_out(tmp_path):
    case = open_case(case_kit.write_small_case(tmp_path / "a.case"))
    assert case.manifest.model_copy(update={"members": ()}) == case_kit.manifest()
    case.extract(tmp_path / "folder")
    written = {
        str(file.relative_to(tmp_path / "folder")): file.read_bytes()
        for file in (tmp_path / "folder").rglob("*")
        if file.is_file()
    }
    assert written == case_kit.MEMBERS
    assert case.read_json("view.json") == {"labels": {"0_1_2": "a name"}}
    assert case.read_json("absent.json") is None
    with pytest.raises(StoreError, match="is no JSON"):
        case.read_json("graph.safetensors")


def test_the_same_content_gives_the_same_bytes_from_files_and_in_any_order(tmp_path):
    first = case_kit.write_small_case(tmp_path / "a.case").read_bytes()
    backwards = dict(reversed(case_kit.MEMBERS.items()))
    assert case_kit.write_small_case(tmp_path / "b.case", backwards).read_bytes() == first
    files = {}
    for number, (name, content) in enumerate(case_kit.MEMBERS.items()):
        files[name] = tmp_path / f"{number}"
        files[name].write_bytes(content)
    from mindscope.library import write_case

    write_case(tmp_path / "c.case", case_kit.manifest(), files)
    assert (tmp_path / "c.case").read_bytes() == first


def test_any_tool_for_archives_opens_it(tmp_path):
    with zipfile.ZipFile(case_kit.write_small_case(tmp_path / "a.case")) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["case.json", *sorted(case_kit.MEMBERS)]
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize(
    "name",
    [
        *("../a", "/a", "a/../b", "a/b/c", ".a", "a/.b", "a\\b", "a:b", "", "a/", "/", "a\n", "a\0", "ä"),
        *("con", "NUL.json", "a/COM1", "a.", "x" * 101, "a b", "~", "C:a"),
    ],
)
def test_names_that_lead_elsewhere_are_none(name):
    assert not is_plain_name(name)


@pytest.mark.parametrize("name", ["graph.safetensors", "interventions/000.json", "a-b_c.0", "console"])
def test_plain_names(name):
    assert is_plain_name(name)
