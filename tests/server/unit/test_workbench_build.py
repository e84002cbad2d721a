"""The built pages: made of the sources that lie beside them, typed from this server, and small."""

import gzip
import hashlib
import json
import re
import sys
from importlib import resources
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
WEB = ROOT / "web"
STATIC = Path(str(resources.files("mindscope.server.workbench"))) / "static"
MOST_BYTES = 400_000
"""Of the first page, compressed."""
FOLDERS = ("src/mindscope/circuits/page/web", "web/src")
FILES = (
    "src/mindscope/circuits/page/page.css",
    "src/mindscope/circuits/page/page.html",
    "src/mindscope/reports/palette.css",
    "web/graph.html",
    "web/index.html",
    "web/package-lock.json",
    "web/package.json",
    "web/sources.ts",
    "web/tsconfig.json",
    "web/vite.config.ts",
)


def list_sources() -> list[str]:
    """What the pages are made of, by the rule of `web/sources.ts`."""
    inside = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*") if file.is_file()]
    names = [file.relative_to(ROOT).as_posix() for file in inside]
    return sorted(
        [*FILES, *(name for name in names if not re.search(r"\.test\.tsx?$|/(node_modules|tests)/", name))]
    )


def test_the_pages_are_of_the_sources_that_lie_beside_them():
    lines = [f"{name} {hashlib.sha256((ROOT / name).read_bytes()).hexdigest()}\n" for name in list_sources()]
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    built = json.loads((STATIC / "build.json").read_text("utf-8"))
    assert built["sources"] == digest, "the pages are older than their sources: run `make web`"


def test_both_rules_name_the_same_sources():
    rule = (WEB / "sources.ts").read_text("utf-8")
    (folders,) = re.findall(r"FOLDERS = \[(.*?)\]", rule, re.S)
    (files,) = re.findall(r"FILES = \[(.*?)\]", rule, re.S)
    assert tuple(re.findall(r'"(.*?)"', folders)) == FOLDERS
    assert tuple(re.findall(r'"(.*?)"', files)) == FILES


def test_the_types_are_of_the_server_as_it_is():
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        import web_openapi
    finally:
        sys.path.pop(0)
    kept = web_openapi.FILE.read_text("utf-8")
    described = web_openapi.write_document(web_openapi.describe_routes())
    assert kept == described, "the workbench is typed from another server: run `make web`"


def test_the_first_page_is_small():
    page = (STATIC / "index.html").read_text("utf-8")
    first: list[str] = re.findall(r'(?:src|href)="/workbench/(.*?)"', page)
    assert any(name.endswith(".js") for name in first)
    files = [STATIC / "index.html", *(STATIC / name for name in first)]
    size = sum(len(gzip.compress(file.read_bytes(), 6)) for file in files)
    assert 10_000 < size <= MOST_BYTES


def test_a_page_has_no_inline_script_or_style():
    page = (STATIC / "index.html").read_text("utf-8")
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", page))
    assert "<style" not in page
    assert not re.search(r"\son\w+=|\sstyle=", page)
