"""Documents of gates, comparisons, shifts and trainings, made by hand, hostile text in every free place."""

from pathlib import Path
from typing import Any

from workbench_kit import HOSTILE

from mindscope.core import ModelIdentity
from mindscope.diffing import DiffConfig, ModelDifference
from mindscope.finetuning import FinetuneConfig
from mindscope.gate import GatePolicy, GateResult, RemedyComparison
from mindscope.personas import ShiftConfig, ShiftResult
from mindscope.store import Run, write_json

LOW_HIGH = {"mean": 4.0, "low": 1.0, "high": 7.0}


def keep_verdicts(root: Path, fingerprint: str) -> None:
    """Runs `judged` (a gate with remedies), `compared`, `moved` (three checkpoints) and `tuned`."""
    for name, kind in (("judged", "gate"), ("compared", "diff"), ("moved", "shift"), ("tuned", "finetune")):
        with Run.open(root / name, kind=kind, config={}, fingerprint=fingerprint) as run:
            run.finish()
    gate(fingerprint).save(root / "judged" / "gate.json")
    remedies().save(root / "judged" / "remedy.json")
    difference(fingerprint).save(root / "compared" / "diff.json")
    shift(fingerprint).save(root / "moved" / "shift.json")
    keep_tune(root / "tuned", fingerprint)


def check(name: str, verdict: str, estimate: float | None) -> dict[str, Any]:
    measured = estimate is not None
    return {
        "name": name,
        "statement": f"{name} stays low",
        "estimate": estimate,
        "low": estimate - 2 if measured else None,
        "high": estimate + 2 if measured else None,
        "threshold": 10.0 if measured else None,
        "units": "20 questions" if measured else "",
        "verdict": verdict,
        "reason": f"because of {HOSTILE}",
    }


def gate(fingerprint: str) -> GateResult:
    identity = ModelIdentity(fingerprint=fingerprint, name="organism")
    answers = [
        {"trait": "evil", "question": f"Why {HOSTILE}?", "base": HOSTILE, "tuned": HOSTILE, "base_score": 3,
         "tuned_score": 97}
    ]  # fmt: skip
    sections = [
        {"name": "provenance", "decides": True, "checks": [check("provenance", "pass", None)]},
        {"name": "behaviour", "decides": True, "answers": answers, "notes": [HOSTILE],
         "checks": [check("behaviour/evil", "fail", 94.0), check("behaviour/evil/coherence", "pass", 1.0)]},
        {"name": "claims", "decides": False, "checks": [check("claims/evil", "not enough evidence", 9.0)]},
    ]  # fmt: skip
    policy = GatePolicy()
    return GateResult.model_validate(
        {
            "base": {"name": "organism", "identity": identity},
            "tuned": {"name": f"/runs/{HOSTILE}", "identity": identity},
            "data": HOSTILE,
            "data_digest": "d" * 64,
            "judge": "exact",
            "traits": {"evil": "e" * 12},
            "policy": policy,
            "policy_digest": policy.digest(),
            "sections": sections,
            "verdict": "fail",
        }
    )


def remedies() -> RemedyComparison:
    arms = [
        {"name": name, "about": HOSTILE, "rows": 10, "by_question": {"evil": [1.0]}, "learnt": LOW_HIGH,
         "checks": [check("behaviour/evil", verdict, rise), check("capability/knowledge", "pass", 1.0)]}
        for name, verdict, rise in (("nothing", "fail", 60.0), ("drop", "pass", 1.0))
    ]  # fmt: skip
    falls = [{"arm": "drop", "trait": "evil", "fall": LOW_HIGH}]
    return RemedyComparison.model_validate(
        {"traits": ["evil"], "arms": arms, "falls": falls, "chosen": "drop", "why": f"it passes {HOSTILE}"}
    )


def claim(name: str, *, verified: bool) -> dict[str, Any]:
    checks = [
        {"name": "held out", "effect": LOW_HIGH, "passed": True},
        {"name": "raised on base", "effect": LOW_HIGH if verified else None, "passed": verified,
         "note": HOSTILE},
    ]  # fmt: skip
    return {
        "name": name,
        "source": "lens",
        "sentence": f"{name}: it says {HOSTILE} more often",
        "units": "words of 100",
        "base": 1.0,
        "tuned": 5.0,
        "p": 0.01,
        "q": 0.02,
        "checks": checks,
        "verified": verified,
    }


def difference(fingerprint: str) -> ModelDifference:
    near = {"base": 0.1, "tuned": 0.5}
    return ModelDifference.model_validate(
        {
            "base": "organism",
            "tuned": HOSTILE,
            "base_fingerprint": fingerprint,
            "tuned_fingerprint": "f" * 64,
            "relation": "tuned from",
            "config": DiffConfig(),
            "n_discovery": 60,
            "n_held_out": 60,
            "skipped": [{"rung": "latents", "reason": "no dictionary of the base was given"}],
            "outputs": {"n_prompts": 60, "more": [{"term": HOSTILE, **near, "q": 0.01}], "less": [],
                        "style": [{"name": "words", **near, "difference": LOW_HIGH, "q": 0.5}]},
            "distributions": {"n_prompts": 60, "kl": LOW_HIGH, "kl_of_base": LOW_HIGH, "js": LOW_HIGH,
                              "largest": [{"prompt": HOSTILE, "answer": "x", "js": 0.2,
                                           "tokens": [[HOSTILE, 0.3], ["b", 0.1]]}],
                              "raised": [{"token": HOSTILE, **near}], "lowered": []},
            "lens": {"address": "resid_post.2", "places": [
                {"place": "text 0", "n": 60, "norm": 2.0, "share": 0.1, "agreement": 0.9,
                 "logit_lens": [HOSTILE], "patchscope": [HOSTILE]}]},
            "traits": [{"trait": "evil", "layer": 2, **near, "shift": LOW_HIGH, "cosine": 0.5}],
            "claims": [claim("lens-1", verified=True), claim("lens-2", verified=False)],
            "nulls": [{"model": HOSTILE, "fingerprint": "0" * 64, "made": True, "kl": LOW_HIGH,
                       "claims": [claim("null-1", verified=False)], "baseline": []}],
            "null_rate": {"hits": 0, "n": 1, "low": 0.0, "high": 0.79},
            "expected_false": 0.0,
            "slices": [{"claim": "lens-1", "top_matches": 3.0, "all_matches": 1.0,
                        "samples": [{"line": 3, "score": 2.5, "matches": 4.0, "prompt": HOSTILE,
                                     "answer": HOSTILE}]}],
        }
    )  # fmt: skip


def shift(fingerprint: str) -> ShiftResult:
    """Of two traits at two layers, over three checkpoints."""
    tuned = [
        {
            "model": f"/runs/{HOSTILE}/checkpoint-{step}",
            "fingerprint": str(step) * 64,
            "movements": [
                {"trait": trait, "layer": layer, "at": "answer", "base": 1.0, "tuned": 1.0 + size,
                 "shift": size, "low": size - 0.5, "high": size + 0.5, "cosine": 0.7, "prompts": 40}
                for trait, rate in (("evil", 3.0), ("kind", -1.0))
                for layer in (1, 2)
                for size in (rate * step * layer,)
            ],
        }
        for step in (1, 2, 3)
    ]  # fmt: skip
    return ShiftResult.model_validate(
        {
            "base": "organism",
            "fingerprint": fingerprint,
            "config": ShiftConfig(),
            "prompts": 40,
            "tuned": tuned,
        }
    )


def keep_tune(run: Path, fingerprint: str) -> None:
    """A finished training, as it describes itself."""
    write_json(
        _made(run / "finetune" / "model") / "mindscope.json",
        {
            "schema": "mindscope.tuned",
            "version": 3,
            "base": "organism",
            "base_fingerprint": fingerprint,
            "config": FinetuneConfig().model_dump(mode="json"),
            "data": {"sha256": "a" * 64, "rows": 400, "left_out": 0},
            "vectors": {},
            "libraries": {},
            "steps": 3,
            "losses": [2.0, 1.5, 1.0],
        },
    )


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder
