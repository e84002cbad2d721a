"""Write docs/supported.md: what is tried with each family of models, and why where something is refused.

    .venv/bin/python tools/supported.py            # the whole page, in two minutes
    .venv/bin/python tools/supported.py mamba2     # the lines of some families alone

Every ability is tried on a tiny model with random weights (tests/support/abilities.py). A test fails when the
page says anything else than the code does (tests/models/e2e/test_supported.py).
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "supported.md"
sys.path.insert(0, str(ROOT / "tests" / "support"))

HEAD = """# Supported models

What is tried with every family, on a tiny model of transformers' own architecture with random weights. The
page is made by `python tools/supported.py` and kept true by a test. Families have the names of transformers'
configurations (`model_type`). One that is not named here may work: whatever has a trunk of blocks that
interp-engine finds is opened, and what cannot be done is refused in one line.

- **read**: rows side by side are read as a plain hook reads each alone.
- **write**: an edit of one row's tokens reaches the block behind it, and no other token.
- **generate in batches**: answers side by side are those that transformers writes to each row alone.
- **judge**: the logits behind many continuations of many prompts are those of each alone.
- **trace circuits**: the edges of an attribution graph through transcoders add up to what they explain.
- **fine-tune**: a LoRA is trained on the saved model, saved, and loads with its base.
"""


def write_page(results: Mapping[str, Sequence[str]]) -> str:
    """The whole page, from what each family's abilities say."""
    from abilities import ABILITIES

    table = [f"| family | {' | '.join(ABILITIES)} |", "|---" * (len(ABILITIES) + 1) + "|"]
    table += [family_line(name, answers) for name, answers in results.items()]
    reasons = [line for name, answers in results.items() for line in reason_lines(name, answers)]
    return "\n".join([HEAD, *table, "", "## Why not", "", *reasons]) + "\n"


def family_line(name: str, answers: Sequence[str]) -> str:
    """A family's line of the table."""
    return f"| {name} | {' | '.join('yes' if answer == 'yes' else 'no' for answer in answers)} |"


def reason_lines(name: str, answers: Sequence[str]) -> list[str]:
    """Why a family cannot do what it cannot do: a line for each reason."""
    from abilities import ABILITIES

    refused: dict[str, list[str]] = {}
    for ability, answer in zip(ABILITIES, answers, strict=True):
        if answer != "yes":
            refused.setdefault(answer, []).append(ability)
    return [f"- **{name}**, {', '.join(abilities)}: {reason}" for reason, abilities in refused.items()]


def read_page() -> dict[str, list[str]]:
    """What the page says today, by family: `yes`, or the reason."""
    from abilities import ABILITIES

    results: dict[str, list[str]] = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) == len(ABILITIES) + 1 and cells[0] != "family":
            results[cells[0]] = cells[1:]
        if line.startswith("- **") and "**, " in line:
            name, _, rest = line[4:].partition("**, ")
            abilities, _, reason = rest.partition(": ")
            for ability in abilities.split(", "):
                results[name][list(ABILITIES).index(ability)] = reason
    return results


def main(names: Sequence[str]) -> None:
    """Try families and write the page."""
    import tiny_models
    from abilities import try_family

    known = read_page() if names and PAGE.is_file() else {}
    for family in tiny_models.TRIED:
        if not names or family.name in names:
            known[family.name] = try_family(family)
            print(family_line(family.name, known[family.name]), flush=True)
            results = {tried.name: known[tried.name] for tried in tiny_models.TRIED if tried.name in known}
            PAGE.write_text(write_page(results), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
