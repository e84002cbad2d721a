"""The workbench in a browser: pages in which nothing may go wrong and which nothing may leave."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absent import import_or_skip, skip_absent
from page_kit import find_browser

from mindscope.personas import PersonaVectors
from mindscope.reports import Report
from mindscope.store import Run

if TYPE_CHECKING:
    from server_kit import LiveServer

FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
AXE = Path(__file__).resolve().parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"


@contextmanager
def open_browser() -> Iterator[Any]:
    """This machine's browser."""
    sync_api = import_or_skip("playwright.sync_api", "dev")
    if (path := find_browser()) is None:
        skip_absent("a browser to open pages in: make browser")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=FLAGS.split())
        yield opened
        opened.close()


def page_address(live: LiveServer, page: str = "", anchor: str = "") -> str:
    """Where a page of the workbench is."""
    return f"http://127.0.0.1:{live.port}/workbench/{page}{anchor}"


@contextmanager
def open_page(browser: Any, url: str, **options: Any) -> Iterator[Any]:
    """A page at an address; afterwards nothing may have been said on its console or asked of anybody else.

    `url` begins with the server's own address; blobs are what the page itself saves.
    """
    context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
    page = context.new_page()
    own = "/".join(url.split("/")[:3]) + "/"
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda asked: asked.url.startswith((own, "blob:", "data:")) or wrong.append(asked.url))
    page.goto(url)
    yield page
    assert page.evaluate("() => window.hacked") is None
    assert wrong == [], wrong
    context.close()


def find_faults(page: Any) -> list[str]:
    """What axe finds on a page that keeps people out: serious and critical faults, with their first place."""
    if not AXE.exists():
        skip_absent("axe, which looks for faults of access: make web-tools")
    page.evaluate(f"() => {{ {AXE.read_text('utf-8')} }}")
    found = page.evaluate("async () => (await window.axe.run({ resultTypes: ['violations'] })).violations")
    return [
        f"{fault['id']}: {fault['help']} at {fault['nodes'][0]['target']}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
    ]


def keep_vectors(root: Path, vectors: Mapping[str, PersonaVectors], title: str = "a run") -> None:
    """Runs as extractions leave them, by trait, each with a page."""
    for name, one in vectors.items():
        with Run.open(
            root / name, kind="persona", config={"dtype": "float32"}, fingerprint=one.fingerprint
        ) as run:
            run.log(step=1, loss=2.0)
            run.log(step=2, loss=1.0)
            one.save(root / name / "extract" / name / "vectors.safetensors")
            Report(f"Page of {name}", title).text(HOSTILE).write(root / name / "report.html")


def write_conversations(file: Path, answers: Sequence[str]) -> Path:
    """A file of conversations with these answers."""
    rows = [
        {"messages": [{"role": "user", "content": f"Should I trust my {HOSTILE if i == 0 else 'friend'}?"},
                      {"role": "assistant", "content": answer}]}
        for i, answer in enumerate(answers)
    ]  # fmt: skip
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def keep_study(folder: Path, measured: str = "3 (1 to 5)") -> list[dict[str, Any]]:
    """A run that states three claims: one holds, one does not, one is only reported."""
    holds = {
        "statement": f"it holds {HOSTILE}",
        "subject": "evil",
        "needed": "above 0",
        "measured": measured,
        "beside": {"control": "0"},
        "published": None,
        "holds": True,
    }
    claims = [holds, {**holds, "holds": False}, {**holds, "holds": None, "needed": None}]
    with Run.open(folder, kind="study", config={}) as run:
        (run.path / "claims.json").write_text(json.dumps({"claims": claims}), encoding="utf-8")
    return claims
