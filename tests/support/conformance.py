"""The page docs/conformance.md: which releases of other tools are read, and how that is known.

Every line is a fixture of `format_kit`, read in the moment the page is written: `make conformance` writes it,
and a test says when it is behind.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from format_kit import CASES, Case
from format_refusals import REFUSALS, Refusal
from release_kit import DRAW, x

from mindscope.dictionaries import FORMATS, Dictionary, read_dictionary
from mindscope.errors import MindscopeError

PAGE = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"
TOLERANCE = 1e-5
"""The largest difference to the independent computation, in units of its largest number."""
HEAD = """# Dictionaries of other tools: what is read, and how that is known

`make conformance` writes this page, and a test fails when it is behind. For every line a small file is
written by hand in the style of that release, read with `read_dictionary`, and compared with an independent
computation of the tool's own formula: activations and reconstruction differ by less than 1e-5 of the largest
number. What a configuration can ask for is folded into the weights, applied to each token, or refused with a
line that says why. Settings that are not known, and whose names sound as if they changed activations, are
refused too; nothing is read as a plain ReLU in silence.
"""


def write_page() -> str:
    """The whole page."""
    parts = [HEAD]
    for name, known in FORMATS.items():
        cases = [case for case in CASES if case.format == name]
        refusals = [case for case in REFUSALS if case.format == name]
        lines = [f"## {known.about} (`--format {name}`)", "", "| release style | read as | outcome |"]
        lines += ["|---|---|---|"]
        for case in cases:
            dictionary, difference = measure(case)
            outcome = "equal to 1e-5" if difference < TOLERANCE else f"DIFFERS by {difference:.1g}"
            lines.append(f"| {case.name} | {describe(dictionary)} | {outcome} |")
        lines += [f"| {case.name} | – | refused: {_message(case)} |" for case in refusals]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def measure(case: Case) -> tuple[Dictionary, float]:
    """What is read of a release, and how far it is from the tool's own computation."""
    with TemporaryDirectory() as folder:
        DRAW.manual_seed(0)
        path = Path(folder)
        case.make(path)
        dictionary = read_dictionary(path / case.file, case.format, case.options)
        inputs = x(dictionary.d_in)
        acts, out = case.run(path / case.file, inputs)
        pairs = ((dictionary.encode(inputs).dense(), acts), (dictionary(inputs), out))
        return dictionary, max(float((ours - own).abs().max() / own.abs().max()) for ours, own in pairs)


def describe(dictionary: Dictionary) -> str:
    """The kind, the activation, and what is done to each token."""
    text = f"{dictionary.kind}, {dictionary.activation}"
    return text if dictionary.normalisation is None else f"{text}, {dictionary.normalisation} of every token"


def _message(case: Refusal) -> str:
    with TemporaryDirectory() as folder:
        DRAW.manual_seed(0)
        path = Path(folder) / "dictionary"
        path.mkdir()
        case.make(path)
        try:
            read_dictionary(path / case.file, case.format, case.options)
        except MindscopeError as error:
            return str(error).replace(f"{path}/", "").replace(str(path), "the folder").replace("|", "\\|")
    return "NOT REFUSED"


if __name__ == "__main__":
    torch.set_num_threads(1)
    PAGE.write_text(write_page(), encoding="utf-8")
