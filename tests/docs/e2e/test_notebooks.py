"""The notebooks run, and show what they showed when they were saved."""

import re
from pathlib import Path

import absent
import nbformat
import pytest

notebooks = absent.import_or_skip("notebooks", "dev")
FILES = sorted(notebooks.NOTEBOOKS.glob("*.ipynb"))
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
CLOSE = 0.05
"""Numbers of means and correlations differ a little from processor to processor; words and counts do not."""


def split_numbers(text: str) -> tuple[str, list[float]]:
    return NUMBER.sub("#", text), [float(number) for number in NUMBER.findall(text)]


def test_there_are_six_small_ones_with_outputs_and_no_errors():
    assert len(FILES) == 6
    for file in FILES:
        notebook = nbformat.read(file, as_version=4)
        nbformat.validate(notebook)
        assert notebook.cells[0].cell_type == "markdown"
        assert notebook.cells[0].source.startswith("# ")
        assert file.stat().st_size < 60_000
        texts = notebooks.read_texts(notebook)
        assert sum(bool(text.strip()) for text in texts) >= 3, file.name
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
        assert not [output for output in outputs if output.output_type == "error"], file.name
        assert str(Path.home()) not in file.read_text("utf-8")


@pytest.mark.long
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_shows_what_it_showed(file):
    saved = notebooks.read_texts(nbformat.read(file, as_version=4))
    now = notebooks.read_texts(notebooks.run_notebook(file))
    assert len(now) == len(saved)
    for before, after in zip(saved, now, strict=True):
        (words, numbers), (others, values) = split_numbers(before), split_numbers(after)
        assert others == words
        assert values == pytest.approx(numbers, rel=CLOSE, abs=CLOSE)
