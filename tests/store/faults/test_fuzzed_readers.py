"""Whatever is in a file, its reader gives a value or one line: spoilt files, and what a fuzzer ever found.

`make fuzz` reads far more of them, led by what the code does (tools/fuzz.py); what it finds is kept in
tests/support/fuzz_findings and read here.
"""

import random
from pathlib import Path

import fuzz_kit
import pytest
from hypothesis import given
from hypothesis import strategies as st

FINDINGS = Path(fuzz_kit.__file__).with_name("fuzz_findings")
SPOILT = 100


@pytest.mark.parametrize("name", fuzz_kit.TARGETS)
def test_good_files_are_taken(name, tmp_path):
    """Otherwise nothing that is spoilt would get far."""
    target = fuzz_kit.TARGETS[name]
    for seed in target.seeds():
        target.read(tmp_path, seed)


@pytest.mark.parametrize("name", fuzz_kit.TARGETS)
def test_spoilt_files_end_in_a_value_or_one_line(name, tmp_path):
    target = fuzz_kit.TARGETS[name]
    draw = random.Random(name)
    seeds = target.seeds()
    for _ in range(SPOILT if target.is_cheap else SPOILT // 4):
        fuzz_kit.feed(target, tmp_path, fuzz_kit.spoil(target, draw.choice(seeds), draw))


@pytest.mark.parametrize(
    "name", [name for name, target in fuzz_kit.TARGETS.items() if target.is_cheap and not target.is_json]
)
@given(st.data())
def test_any_bytes(name, tmp_path, data):
    content = data.draw(
        st.binary(max_size=300) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))
    )
    fuzz_kit.feed(fuzz_kit.TARGETS[name], tmp_path, content)


@pytest.mark.parametrize(
    "file", sorted(FINDINGS.rglob("*/*")), ids=lambda file: f"{file.parent.name}/{file.name}"
)
def test_what_was_found_once(file, tmp_path):
    fuzz_kit.feed(fuzz_kit.TARGETS[file.parent.name], tmp_path, file.read_bytes())


NOT_WHOLE = ("NaN", "Infinity", "-Infinity", "1e999", "0.5", '"3"', "null")


@pytest.mark.parametrize("index", NOT_WHOLE)
def test_details_of_a_feature_whose_number_is_none_are_refused(index, tmp_path):
    """They were taken, and stood on the page."""
    target = fuzz_kit.TARGETS["case-details"]
    (good,) = target.seeds()
    assert b'"index": 3' in good
    assert fuzz_kit.feed(target, tmp_path, good)
    assert not fuzz_kit.feed(target, tmp_path, good.replace(b'"index": 3', b'"index": ' + index.encode()))


@pytest.mark.parametrize("name", ["case-details", "case-view", "case-manifest", "trait-json", "run-record"])
def test_a_key_twice_and_what_is_nested_deeply_are_refused(name, tmp_path):
    target = fuzz_kit.TARGETS[name]
    seed = target.seeds()[0]
    key = b'"' + seed.partition(b'"')[2].partition(b'"')[0] + b'"'
    deep = b"[" * 600 + b"]" * 600
    for more in (key + b": 0", b'"more": ' + deep, b'"more": NaN'):
        assert not fuzz_kit.feed(target, tmp_path, seed.replace(b"{", b"{" + more + b", ", 1)), more


def test_a_line_separator_inside_a_value_does_not_end_a_line(tmp_path):
    from mindscope.store import Run

    with Run.open(tmp_path / "run", kind="fuzz", config={}) as run:
        run.log(text="one\u2028line\x85and\x0bmore", step=1)
        run.log(step=2)
        assert [line["step"] for line in run.metrics()] == [1, 2]
