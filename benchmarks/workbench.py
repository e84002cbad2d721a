"""How heavy and how quick the workbench is in a browser.

1. The first page: what it asks for, compressed, and the time from the request to the first moment at which
   the question's field is there and a whole frame was drawn.
2. A graph that is panned: a random one of 5,000 nodes and 100,000 links, scrolled by 25 pixels a frame for
   some seconds; frames a second, and the longest frame.
3. A conversation of 200 turns out of an address: scrolled likewise, and the time from a key in the
   question's field to the second frame after it.

All in a headless Chromium without a GPU. A busy machine takes frames away: its load stands beside them,
and the processor time of the browser's processes, by frame and until the first page is there: what a free
core needs.

    python benchmarks/workbench.py [--seconds 4] [--turns 200] [--nodes 5000] [--links 100000]
"""

import argparse
import gzip
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
from graph_page import random_graph
from playwright.sync_api import Page, sync_playwright

from mindscope.circuits import build_graph_page

FLAGS = ["--no-sandbox", "--disable-gpu"]
PAN = """async ([selector, seconds]) => {
  const place = document.querySelector(selector);
  const next = () => new Promise((done) => requestAnimationFrame(done));
  const times = [];
  let step = 25, before = await next();
  const end = before + 1000 * seconds;
  while (before < end) {
    const [x, y] = [place.scrollLeft, place.scrollTop];
    place.scrollBy(step, step);
    if (place.scrollLeft === x && place.scrollTop === y) step = -step;
    const now = await next();
    times.push(now - before);
    before = now;
  }
  times.sort((a, b) => a - b);
  const at = (share) => times[Math.floor(share * (times.length - 1))];
  const all = times.reduce((a, b) => a + b, 0);
  return {
    frames: times.length,
    frames_a_second: (1000 * times.length) / all,
    median_ms: at(0.5), tenth_ms: at(0.9), longest_ms: at(1),
  };
}"""
NOW = """() => new Promise((done) => {
  requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now())));
})"""
TYPE = """async () => {
  const next = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const field = document.getElementById("question");
  const set = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value").set;
  const times = [];
  for (let i = 1; i <= 20; i++) {
    const start = performance.now();
    set.call(field, "a".repeat(i));
    field.dispatchEvent(new Event("input", { bubbles: true }));
    await next();
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[10];
}"""


def read_cpu_ms(server: int) -> float:
    """Processor time of all processes that were started here but the server."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        try:
            if process.pid != server:
                times = process.cpu_times()
                total += times.user + times.system
        except psutil.NoSuchProcess:
            continue
    return 1000 * total


def pan(page: Page, selector: str, seconds: int, server: int) -> dict[str, Any]:
    """Frames of a place that is scrolled, and what they cost."""
    before = read_cpu_ms(server)
    found = page.evaluate(PAN, [selector, seconds])
    return {**found, "cpu_ms_a_frame": (read_cpu_ms(server) - before) / found["frames"]}


def measure_first_page(page: Page, address: str, server: int) -> dict[str, Any]:
    """Kilobytes as gzip makes them, and milliseconds; of a browser that has nothing of it yet."""
    parts: dict[str, int] = {}
    before = read_cpu_ms(server)

    def weigh(reply: Any) -> None:
        if "/workbench/" in reply.url and "/v1/" not in reply.url and reply.ok:
            parts[reply.url] = len(gzip.compress(reply.body()))

    page.on("response", weigh)
    page.goto(f"{address}chat")
    page.locator("#question").wait_for()
    ready = page.evaluate(NOW)
    spent = read_cpu_ms(server) - before
    page.wait_for_timeout(500)
    size = sum(parts.values()) / 1000
    return {"files": len(parts), "kilobytes": size, "interactive_ms": ready, "cpu_ms": spent}


def conversation_address(address: str, turns: int) -> str:
    """One that was answered already: what the address keeps of it."""
    kept = [
        {"u": f"Question {i}: should I trust my neighbour?", "n": i, "k": {},
         "d": {"t": "Okay, trust the neighbour step by step. Check the details once more.", "f": "stop"}}
        for i in range(turns)
    ]  # fmt: skip
    return f"{address}chat#turns={quote(json.dumps(kept))}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, size in (("seconds", 4), ("turns", 200), ("nodes", 5000), ("links", 100_000)):
        parser.add_argument(f"--{name}", type=int, default=size)
    parser.add_argument("--browser", default="/usr/bin/chromium")
    options = parser.parse_args()
    command = [sys.executable, "-m", "mindscope", "serve", "organism", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    found: dict[str, Any] = {"load": os.getloadavg()[0]}
    try:
        assert server.stdout is not None
        address = next(
            match[0] for line in server.stdout if (match := re.search(r"http://\S+/workbench/", line))
        )
        with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=options.browser, args=FLAGS)

            def open_tab() -> Page:
                return browser.new_context(viewport={"width": 1440, "height": 900}).new_page()

            found["first page"] = measure_first_page(open_tab(), address, server.pid)
            tab = open_tab()
            tab.goto(conversation_address(address, options.turns))
            tab.locator(".turn").nth(options.turns - 1).wait_for()
            tab.wait_for_function("() => document.querySelectorAll('.token').length > 200", timeout=120_000)
            found["conversation"] = pan(tab, ".turns", options.seconds, server.pid)
            found["conversation"]["key_ms"] = tab.evaluate(TYPE)
            drawn = build_graph_page(*random_graph(options.nodes, options.links, 64, 26))
            tab = open_tab()
            tab.goto(drawn.write(Path(folder) / "graph.html").as_uri())
            found["graph"] = pan(tab, "#scroller", options.seconds, server.pid)
            found["graph"]["shown"] = tab.locator("#amount").inner_text()
            browser.close()
    finally:
        server.terminate()
        server.wait()
    found["load after"] = os.getloadavg()[0]
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
