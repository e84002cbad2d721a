"""The short name of a replacement: every coder counts, and those on disk are read no more than they must."""

from dataclasses import replace
from pathlib import Path

import circuit_kit
import pytest

from mindscope.circuits import DictionaryReplacement
from mindscope.dictionaries import Dictionary
from mindscope.models import Model


@pytest.mark.parametrize("coder", [0, 1, 2])
@pytest.mark.parametrize("name", ["W_enc", "b_enc", "W_dec"])
def test_every_weight_of_every_coder_counts(llama: Model, coder: int, name: str):
    dictionary = circuit_kit.dictionary(llama, cross=True)
    coders = list(dictionary.coders)
    coders[coder] = replace(coders[coder], **{name: getattr(coders[coder], name) * 1.1})
    changed = replace(dictionary, coders=tuple(coders))
    assert DictionaryReplacement(changed).digest() != DictionaryReplacement(dictionary).digest()


def test_coders_on_disk_have_the_same_name_and_are_read_once(
    llama: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    dictionary = circuit_kit.dictionary(llama, cross=True)
    dictionary.save(tmp_path / "clt")
    lazy = Dictionary.load(tmp_path / "clt", lazy=True)
    reads: list[int] = []
    read = lazy.coders._read
    monkeypatch.setattr(lazy.coders, "_read", lambda index: reads.append(index) or read(index))
    replacement = DictionaryReplacement(lazy)
    replacement.freeze(llama, circuit_kit.ROW)
    assert replacement.digest() == DictionaryReplacement(dictionary).digest()
    assert (
        replacement.digest() == DictionaryReplacement(Dictionary.load(tmp_path / "clt", lazy=True)).digest()
    )
    assert sorted(reads) == [0, 1, 2]
