"""The site builds without a warning, opens from the disk, and a link that leads nowhere ends the build."""

import subprocess
import sys
from pathlib import Path

import build_site
import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.slow
def test_the_site_builds_and_asks_nobody(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "build_site.py", tmp_path / "site"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stderr
    for page in ("index", "docs/tour", "docs/guides/find_a_circuit", "reference/commands/persona"):
        assert (tmp_path / "site" / f"{page}.html").is_file()
    formulas = (tmp_path / "site" / "docs" / "concepts.html").read_text("utf-8")
    assert formulas.count("<math") > 20
    assert (tmp_path / "site" / "searchindex.js").is_file()


def test_a_link_that_leads_nowhere_ends_the_build(tmp_path):
    (tmp_path / "conf.py").write_bytes((ROOT / "docs" / "conf.py").read_bytes())
    (tmp_path / "docs" / "site").mkdir(parents=True)
    (tmp_path / "docs" / "site" / "site.css").touch()
    page = tmp_path / "index.md"
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-b",
        "html",
        "--fail-on-warning",
        "--quiet",
        tmp_path,
        tmp_path / "out",
    ]
    page.write_text("# A\n\n## Here\n\n[there](#here)\n")
    assert subprocess.run(command, capture_output=True).returncode == 0
    for target in ("absent.md", "#absent"):
        page.write_text(f"# A\n\n[there]({target})\n")
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 1
        assert "absent" in done.stderr


@pytest.mark.parametrize(
    "line",
    [
        '<script defer src="https://cdn.example/a.js">',
        '<link rel="stylesheet" href="//fonts.example/css">',
        "@font-face { src: url(https://x/y.woff) }",
        '<img alt="" src="http://x/y.png">',
    ],
)
def test_what_is_loaded_from_elsewhere_is_found(tmp_path, line):
    (tmp_path / "a.html").write_text('<a href="https://example.org">a link is no loading</a>')
    assert not build_site.find_foreign(tmp_path)
    (tmp_path / "b.css").write_text(line)
    assert build_site.find_foreign(tmp_path) == ["b.css"]


def test_a_page_in_no_chapter_is_found():
    listed = {page for chapter in build_site.CHAPTERS.values() for page in chapter}
    assert not build_site.find_lost(listed)
    assert build_site.find_lost(listed | {"docs/new"}) == {"docs/new"}
    assert build_site.find_lost(listed - {"docs/tour"}) == {"docs/tour"}
