"""Known circuits as a job."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from mindscope.core import Seed
from mindscope.jobs import Reporter, RunFolder
from mindscope.jobs.circuit import ReplacementSpec, find_replacement
from mindscope.jobs.specs import Float32ModelSpec
from mindscope.store import Document, measure_once
from mindscope.studies.known_circuits.results import HeadRanking, KnownCircuits, NameSwap, TracedPrompt


class KnownCircuitsSpec(Float32ModelSpec, ReplacementSpec):
    """What `known` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("model",)

    nodes: int = Field(default=600, ge=2)
    """At most this many features become nodes of a graph."""
    patched: int = Field(default=3, ge=1)
    """On this many prompts heads are ranked."""
    held: int = Field(default=50, ge=10)
    """On this many held-out prompts names are exchanged."""
    seed: Seed = 0
    """The seed of the prompts that are drawn."""

    def run_path(self) -> Path:
        """`runs/known-circuits`."""
        return Path("runs/known-circuits")


class KnownCircuitsReport(Document):
    """What was measured, and where the page is."""

    report: str
    result: KnownCircuits


def find_known_circuits(
    spec: KnownCircuitsSpec, *, run: RunFolder, reporter: Reporter
) -> KnownCircuitsReport:
    """Look for circuits that the literature knows: indirect objects, a fact, an opposite, induction."""
    from mindscope.circuits import TraceConfig
    from mindscope.studies.known_circuits.measure import rank_heads, trace_known
    from mindscope.studies.known_circuits.prompts import HELD_FRAMES, KNOWN, TEXTBOOK, draw_prompts
    from mindscope.studies.known_circuits.report import build_page
    from mindscope.studies.known_circuits.swap import exchange_names

    model = spec.load()
    replacement, name = find_replacement(spec.dictionary, model)
    settings = {
        "replacement": replacement.digest(),
        "nodes": spec.nodes,
        "patched": spec.patched,
        "held": spec.held,
    }
    config = TraceConfig(max_features=spec.nodes, rank_every=max(1, spec.nodes // 2))
    with run.open(
        kind="known-circuits", config=settings, reporter=reporter, model=model, seed=spec.seed
    ) as opened:
        # frames that no setting is chosen on, one prompt each
        prompts = draw_prompts(HELD_FRAMES, spec.patched, spec.seed + 2)
        swap = measure_once(
            opened,
            "swap.json",
            NameSwap,
            lambda: exchange_names(model, replacement, spec.seed, spec.held, reporter.progress),
        )
        rankings = {
            name: measure_once(
                opened,
                f"{name}.json",
                HeadRanking,
                lambda rows=rows: rank_heads(model, replacement, rows, config, reporter.progress),
            )
            for name, rows in (("textbook", [TEXTBOOK]), ("heads", prompts))
        }
        traced = []
        for number, prompt in enumerate(KNOWN):
            reporter.progress(number, len(KNOWN), "graphs")
            file = f"graphs/{prompt.name.replace(' ', '-')}.json"
            traced.append(
                measure_once(
                    opened,
                    file,
                    TracedPrompt,
                    lambda prompt=prompt: trace_known(model, replacement, prompt, config),
                )
            )
        reporter.progress(len(KNOWN), len(KNOWN), "graphs")
        result = KnownCircuits(
            model=model.name,
            fingerprint=model.fingerprint,
            traced=tuple(traced),
            **rankings,
            swap=swap,
        )
        result.save(run.path / "known-circuits.json")
        facts = {"model": model.name, "fingerprint": model.fingerprint, **settings, "replacement": name}
        page = build_page(result, facts).write(run.path / "report.html")
        opened.finish(report=str(page), claims=[claim.to_json() for claim in result.claims()])
    return KnownCircuitsReport(report=str(page), result=result)
