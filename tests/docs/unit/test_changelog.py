"""The table of artefact versions says what the code says."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = re.compile(
    r"^\s*SCHEMA(?:: ClassVar\[str\]|, VERSION)?\s*=\s*"
    r'"(mindscope\.[\w-]+)(?:/(\d+))?"(?:, (\d+))?',
    re.MULTILINE,
)
SEPARATE = re.compile(r"^VERSION = (\d+)", re.M)


def find_versions() -> dict[str, int]:
    versions: dict[str, int] = {}
    for file in sorted((ROOT / "src" / "mindscope").rglob("*.py")):
        text = file.read_text("utf-8")
        for name, *numbers in SCHEMA.findall(text):
            separate = SEPARATE.search(text)
            number = next((n for n in (*numbers, separate[1] if separate else "") if n), "1")
            versions[name] = max(int(number), versions.get(name, 1))
    return versions


def test_every_schema_that_has_changed_stands_in_the_table():
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    listed = {name: int(number) for name, number in re.findall(r"\| (mindscope\.[\w-]+) (\d+) \|", text)}
    assert listed == {name: number for name, number in find_versions().items() if number > 1}
    assert len(find_versions()) > 25
