"""Every format against a few lines that do what its own tool does with the files; and back again."""

from pathlib import Path

import pytest
import torch
from format_kit import CASES, Case
from format_refusals import REFUSALS, Refusal
from release_kit import DRAW, D, x
from tracer_release_kit import circuit_tracer_clt

from mindscope.dictionaries.formats import detect, read_dictionary, write_dictionary
from mindscope.dictionaries.formats.base import ReadOptions
from mindscope.errors import MindscopeError


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.format} {case.name}")
def test_forward_and_round_trip(case: Case, tmp_path: Path):
    DRAW.manual_seed(0)
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.mkdir()
    case.make(source)
    source, copy = source / case.file, copy / case.file
    assert detect(source).name == case.format
    dictionary = read_dictionary(source, options=case.options)
    inputs = x(dictionary.d_in)
    acts, out = case.run(source, inputs)
    assert 0 < (acts != 0).float().mean() < 1
    torch.testing.assert_close(dictionary.encode(inputs).dense(), acts, rtol=1e-5, atol=2e-5)
    torch.testing.assert_close(dictionary(inputs), out, rtol=1e-5, atol=5e-5)

    write_dictionary(dictionary, copy, case.format, case.options)
    written = case.run(copy, inputs)
    torch.testing.assert_close(written[1], out, rtol=1e-5, atol=5e-5)  # what the tool makes of our file
    again = read_dictionary(copy, case.format, case.options)
    torch.testing.assert_close(again.encode(inputs).dense(), acts, rtol=1e-5, atol=2e-5)
    torch.testing.assert_close(again(inputs), dictionary(inputs), rtol=1e-5, atol=5e-5)
    assert (again.reads, again.writes, again.wiring, again.k) == (
        dictionary.reads, dictionary.writes, dictionary.wiring, dictionary.k
    )  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: f"{case.format} {case.name}")
def test_what_cannot_be_read_right_is_refused(case: Refusal, tmp_path: Path):
    DRAW.manual_seed(0)
    case.make(tmp_path)
    with pytest.raises(MindscopeError) as caught:
        read_dictionary(tmp_path / case.file, case.format, case.options)
    assert case.words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_lazy_layers_are_the_same_and_read_one_by_one(tmp_path: Path):
    DRAW.manual_seed(0)
    circuit_tracer_clt(tmp_path)
    eager, lazy = (read_dictionary(tmp_path, options=ReadOptions(lazy=lazy)) for lazy in (False, True))
    assert torch.equal(lazy(x(3 * D)), eager(x(3 * D)))
    (tmp_path / "W_dec_2.safetensors").unlink()
    assert torch.equal(lazy.coders[1].W_dec, eager.coders[1].W_dec)
    with pytest.raises(Exception, match=r"W_dec_2"):
        lazy.coders[2]
