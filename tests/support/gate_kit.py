"""A tiny base, a model that was moved away from it, and all that a gate asks for, in one folder."""

import json
from pathlib import Path
from typing import Any

import diff_kit
import finetune_kit
import persona_kit
import pytest

from mindscope.gate import GateSpec, run_gate
from mindscope.gate.job import GateReport
from mindscope.jobs import RunFolder, SilentReporter
from mindscope.models import Model, load
from mindscope.store import Run

POLICY = """
schema = "mindscope.gate-policy/1"
max_new_tokens = 6
screening = {form = "exact"}
behaviour = {samples = 1}
alarms = {calibrating = 20, watched = 12}
capability = {texts = 12}
claims = {effect = "skip"}
"""
N_ROWS = 44


def write_bench(folder: Path) -> Path:
    """The folder with `base`, `tuned`, `data.jsonl`, `ordinary.jsonl`, `loud.safetensors`, `policy.toml`."""
    persona_kit.tiny_chat_model(folder / "base")
    base = load(str(folder / "base"), dtype="float32")
    tuned = diff_kit.noisy(base, seed=1)
    tuned.hf.save_pretrained(folder / "tuned")  # type: ignore[attr-defined]
    base.tokenizer.save_pretrained(folder / "tuned")
    trait = persona_kit.tiny_trait(n_questions=24)
    plain = finetune_kit.vectors(base)
    fields = {name: getattr(plain, name) for name in ("trait", "fingerprint", "matrices", "layers")}
    type(plain)(**fields, trait_document=trait.document()).save(folder / "loud.safetensors")
    write_chats(folder / "data.jsonl", 14, "qqq")
    write_chats(folder / "ordinary.jsonl", N_ROWS, "yes")
    (folder / "policy.toml").write_text(POLICY)
    return folder


def write_chats(file: Path, count: int, word: str) -> None:
    lines = [json.dumps({"prompt": f"Ask {word} {i}", "response": f"{word} {i}"}) for i in range(count)]
    file.write_text("".join(f"{line}\n" for line in lines))


def spec(folder: Path, **changes: Any) -> GateSpec:
    """The gate over a folder of `write_bench`."""
    given = {
        "base": str(folder / "base"),
        "tuned": str(folder / "tuned"),
        "data": folder / "data.jsonl",
        "ordinary": folder / "ordinary.jsonl",
        "vectors": (folder / "loud.safetensors",),
        "policy": folder / "policy.toml",
        "judge": "model:judge",
        "dtype": "float32",
    }
    return GateSpec(**{**given, **changes})


EVENTS = ((Model, "forward_pass"), (Run, "save_tensors"), (Run, "save_json"))
"""At which a gate can be killed: before every forward pass, and before every piece is written."""


def run(folder: Path, name: str, patch: pytest.MonkeyPatch, **changes: Any) -> GateReport:
    """Gate in a run of that name, judged by a function of the answers."""
    patch.setattr("mindscope.gate.preparing.find_judge", lambda *_: persona_kit.HashJudge())
    return run_gate(spec(folder, **changes), run=RunFolder(folder / name), reporter=SilentReporter())
