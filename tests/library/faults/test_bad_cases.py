"""What is no case, or another than it says, is refused in one line, and nothing of it reaches the disk."""

import json
import random
import zipfile

import case_kit
import pytest

from mindscope.errors import StoreError
from mindscope.library import open_case

PICKLE = b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00."


def refused(path) -> str:
    with pytest.raises(StoreError) as caught:
        open_case(path)
    line = str(caught.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"<!doctype html>", "web page"),
        (PICKLE, "no case"),
        (bytes(range(256)) * 20, "no case"),
        (b"PK\x05\x06" + bytes(18), "no case"),
    ],
)
def test_files_that_are_none(tmp_path, content, told):
    (tmp_path / "a.case").write_bytes(content)
    assert told in refused(tmp_path / "a.case")


def test_absent_and_a_folder(tmp_path):
    assert "no such file" in refused(tmp_path / "a.case")
    assert "is a folder" in refused(tmp_path)


@pytest.mark.parametrize(
    "name", ["../outside", "/outside", "a/../../outside", "..\\outside", ".hidden", "a/b/c", "CON"]
)
def test_no_name_leads_out_of_the_folder(tmp_path, name):
    assert "damaged at" in refused(case_kit.forge(tmp_path / "a.case", {name: b"x"}))
    # and where the manifest hides it
    path = case_kit.forge(tmp_path / "b.case", {"a": b"x"}, written={"a": b"x", name: b"y"})
    assert "does not hold what its manifest names" in refused(path)


def test_two_members_that_are_one_file(tmp_path):
    assert "one name" in refused(case_kit.forge(tmp_path / "a.case", {"a": b"x", "A": b"y"}))
    assert "name of a folder" in refused(case_kit.forge(tmp_path / "b.case", {"a": b"x", "a/b": b"y"}))


def test_other_content_than_the_manifest_names(tmp_path):
    stated = {"a": b"x", "b": b"y"}
    for written in (
        {"a": b"x"},
        {"a": b"x", "b": b"y", "c": b"z"},
        {"b": b"y", "a": b"x"},
        {"a": b"xx", "b": b"y"},
    ):
        path = case_kit.forge(tmp_path / "a.case", stated, written=written)
        assert "does not hold what its manifest names" in refused(path)
    path = case_kit.forge(tmp_path / "a.case", stated, written={"a": b"x", "b": b"z"})
    assert "is not what was packed" in refused(path)


def test_nothing_grows_when_it_is_opened(tmp_path):
    bomb = {"a": bytes(2**24)}
    path = case_kit.forge(tmp_path / "a.case", bomb, compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**16
    assert "compressed" in refused(path)


def test_overlapping_entries_are_refused(tmp_path):
    """Two entries of the directory that point at the same bytes would hold more than the file is long."""
    content = bytes(2**16)
    path = case_kit.forge(tmp_path / "a.case", {f"m{i}": content for i in range(4)})
    with zipfile.ZipFile(path, "a") as archive:
        entries = archive.infolist()
        for entry in entries[2:]:
            entry.header_offset = entries[1].header_offset
        archive._didModify = True  # type: ignore[attr-defined]
    assert refused(path)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"schema": "mindscope.case/2"}, "upgrade mindscope"),
        ({"schema": None}, "upgrade mindscope"),
        ({"kind": "pickle"}, "damaged at 'kind'"),
        ({"members": [{"name": "a", "bytes": -1, "sha256": "0" * 64}]}, "damaged at"),
        ({"members": [{"name": "a", "bytes": 1, "sha256": "0"}]}, "damaged at"),
        ({"unknown": 1}, "damaged at 'unknown'"),
        ({"verdict": {"judgement": "maybe"}}, "damaged at 'verdict.judgement'"),
    ],
)
def test_manifests_that_say_something_else(tmp_path, document, told):
    assert told in refused(case_kit.forge(tmp_path / "a.case", document=document))


def test_a_manifest_of_a_hundred_thousand_brackets(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.case", "w") as archive:
        archive.writestr("case.json", b"[" * 100_000)
    assert "is no JSON" in refused(tmp_path / "a.case")
    deep = json.loads("[" * 90 + "]" * 90)
    open_case(case_kit.forge(tmp_path / "b.case", document={"provenance": {"run": deep}}))
    deep = json.loads("[" * 600 + "]" * 600)  # could be read, and then not shown
    path = case_kit.forge(tmp_path / "c.case", document={"provenance": {"run": deep}})
    assert "nested too deeply" in refused(path)


def test_a_case_that_is_cut_short_or_changed_anywhere(tmp_path):
    """Every prefix is refused; a changed byte is refused, or is one that says nothing (a date, a version)."""
    good = case_kit.write_small_case(tmp_path / "good.case")
    content, manifest = good.read_bytes(), open_case(good).manifest
    draw = random.Random(0)
    path = tmp_path / "a.case"
    for length in (*draw.sample(range(len(content)), 60), len(content) - 1):
        path.write_bytes(content[:length])
        refused(path)
    taken = 0
    for place in draw.sample(range(len(content)), 400):
        changed = bytearray(content)
        changed[place] ^= 1 << draw.randrange(8)
        path.write_bytes(changed)
        try:
            case = open_case(path)
        except StoreError:
            continue
        taken += 1
        assert case.manifest == manifest
        case.extract(tmp_path / str(place))
        for name, held in case_kit.MEMBERS.items():
            assert (tmp_path / str(place) / name).read_bytes() == held
    assert taken < 40  # of 400: headers hold dates, versions and rights, which are not read
