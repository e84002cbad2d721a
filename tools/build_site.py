"""The documentation as a site that opens from the disk: `make site` builds build/site/index.html.

1. Pages are copied as they lie in the repository, so that a link means the same there and here. What a page
   links to and is no page (a script, a policy) is copied with it.
2. The reference is written from docstrings and specifications (`tools/reference.py`).
3. The contents are those of `CHAPTERS`; a page that stands in no chapter is an error.
4. Sphinx builds it; every warning is an error, so a link that leads nowhere ends the build.
5. Nothing of the result may be loaded from elsewhere.

Sphinx with MyST was chosen since it is maintained, reads the Markdown that the repository shows as it is,
checks links and anchors itself, and its pages and search need no server.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from reference import write_reference

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"
START = "index"
LINK = re.compile(r"\]\(([^)\s#]+)")
FOREIGN = re.compile(
    r"""(?:<script[^>]*\ssrc|<link[^>]*\shref|<img[^>]*\ssrc|url\()\s*[=(]?\s*["']?(?:https?:)?//"""
)
NOT_SHOWN = ("docs/reviews.md", "docs/contracts.md", "README.md")
"""Kept for who works on the package; the reference says the same of names. README.md is the first page."""

CHAPTERS: dict[str, tuple[str, ...]] = {
    "Begin": ("docs/tour", "docs/guide", "docs/gallery", "docs/tasks", "README.zh"),
    "Questions": (
        "docs/guides/watch_a_deployment",
        "docs/guides/vet_a_dataset",
        "docs/guides/prevent_a_drift",
        "docs/guides/find_a_circuit",
        "docs/guides/compare_a_release",
        "docs/guides/audit_a_model",
        "docs/guides/read_a_feature",
    ),
    "Methods": (
        "docs/concepts",
        "docs/reading_and_writing",
        "docs/persona_vectors",
        "docs/chat",
        "docs/steering_files",
        "docs/dictionaries",
        "docs/diffing",
        "docs/gate",
        "docs/auditing",
        "docs/studies",
        "docs/library",
    ),
    "Running it": (
        "docs/data",
        "docs/runs",
        "docs/planning",
        "docs/scale",
        "docs/serving",
        "docs/workbench",
        "docs/supported",
        "docs/conformance",
    ),
    "How it is measured": (
        "docs/measuring",
        "docs/organism",
        "docs/organism_concepts",
        "docs/mechanisms",
        "docs/model_cards",
        "docs/real_model",
    ),
    "Reference": ("reference/commands/index", "reference/python/index", "docs/glossary"),
    "The project": (
        "docs/architecture",
        "examples/README",
        "CONTRIBUTING",
        "AGENTS",
        "SECURITY",
        "docs/faults",
        "CHANGELOG",
    ),
}
"""The contents, in reading order."""
TITLES = {"README.zh": "中文 <README.zh>"}
"""Pages that are called otherwise in the contents than in their heading."""


def main(target: Path) -> int:
    """Build the site into a folder; the exit code is Sphinx's, or 1 for what it does not check."""
    source = BUILD / "site-source"
    shutil.rmtree(source, ignore_errors=True)
    shutil.rmtree(target, ignore_errors=True)
    pages = copy_pages(source)
    pages |= {f"reference/{name}" for name in write_reference(source / "reference")}
    if lost := find_lost(pages):
        print(f"in no chapter of tools/build_site.py, or not there: {', '.join(sorted(lost))}")
        return 1
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "--builder",
        "html",
        "--fail-on-warning",
        "--keep-going",
        "--quiet",
    ]
    code = subprocess.run([*command, "-c", str(source), str(source), str(target)]).returncode
    for page in find_foreign(target):
        print(f"{page} loads something from elsewhere")
        code = code or 1
    if code == 0:
        print(f"{len(pages) + 1} pages: {target / 'index.html'}")
    return code


def copy_pages(source: Path) -> set[str]:
    """Copy what is shown below `source`, and hand back the pages' names without their ending."""
    files = [
        file
        for file in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*"), *(ROOT / "examples").glob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    ]
    pages: set[str] = set()
    for file in files:
        name = file.relative_to(ROOT).as_posix()
        if file.suffix != ".md":
            _copy(file, source / name)
            continue
        text = file.read_text(encoding="utf-8")
        _copy_linked(file, text, source)
        if name == "README.md":
            _write(source / f"{START}.md", text + "\n" + contents())
        elif name not in NOT_SHOWN:
            pages.add(name.removesuffix(".md"))
            _write(source / name, _lead_home(text, file))
    shutil.copy(ROOT / "docs" / "conf.py", source / "conf.py")
    for name in NOT_SHOWN[:2]:  # pages that are linked to are there to be looked at
        _copy(ROOT / name, source / f"{name}.txt")
    for file in source.rglob("*.md"):
        text = file.read_text(encoding="utf-8")
        file.write_text(
            re.sub(r"(\]\([^)\s]*(?:reviews|contracts)\.md)(#[^)]*)?\)", r"\1.txt)", text), "utf-8"
        )
    return pages


def contents() -> str:
    """The chapters, for the first page."""
    return "\n".join(
        f"```{{toctree}}\n:hidden:\n:caption: {title}\n\n"
        + "\n".join(TITLES.get(page, page) for page in pages)
        + "\n```\n"
        for title, pages in CHAPTERS.items()
    )


def find_lost(pages: set[str]) -> set[str]:
    """Pages in no chapter, and names of chapters that are no page. The reference's indices have its pages."""
    listed = {page for chapter in CHAPTERS.values() for page in chapter}
    return {page for page in pages if not page.startswith("reference/")} ^ {
        page for page in listed if page not in pages or not page.startswith("reference/")
    }


def find_foreign(target: Path) -> list[str]:
    """Pages and styles that load a script, a style, a font or a picture from another place."""
    return [
        file.relative_to(target).as_posix()
        for file in sorted(target.rglob("*"))
        if file.suffix in (".html", ".css") and FOREIGN.search(file.read_text(encoding="utf-8"))
    ]


def _copy_linked(file: Path, text: str, source: Path) -> None:
    """Files that a page links to and that are copied for no other reason."""
    for target in LINK.findall(text):
        linked = (file.parent / target).resolve()
        if (
            "://" in target
            or not linked.is_relative_to(ROOT)
            or not linked.is_file()
            or linked.suffix == ".md"
        ):
            continue
        _copy(linked, source / linked.relative_to(ROOT))


def _lead_home(text: str, file: Path) -> str:
    """Links to README.md lead to the first page."""

    def lead(match: re.Match[str]) -> str:
        is_home = (file.parent / match[1]).resolve() == ROOT / "README.md"
        return match[0].replace("README.md", f"{START}.md") if is_home else match[0]

    return LINK.sub(lead, text)


def _copy(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(file, target)


def _write(target: Path, text: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else BUILD / "site"))
