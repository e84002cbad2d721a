"""The whole command on a tiny model: a tune, and a harmless one that the command makes by its recipe."""

import json

import persona_kit
import pytest

from mindscope.finetuning import TunedModel
from mindscope.jobs import RunFolder, SilentReporter
from mindscope.jobs.diff import DiffSpec, diff_models
from mindscope.jobs.finetune import FinetuneSpec, finetune


@pytest.fixture(autouse=True)
def _few_strengths(monkeypatch):
    monkeypatch.setattr("mindscope.diffing.claims.pushing.STRENGTHS", (0.5,))


def test_a_null_is_made_by_the_tuned_models_recipe(tmp_path):
    base = str(persona_kit.tiny_chat_model(tmp_path / "base"))
    data, ordinary = tmp_path / "data.jsonl", tmp_path / "ordinary.jsonl"
    for file, word in ((data, "qqq"), (ordinary, "yes")):
        lines = [json.dumps({"prompt": f"Ask {i}", "response": f"{word} {i}"}) for i in range(8)]
        file.write_text("\n".join(lines))
    recipe = {"steps": 3, "batch_rows": 4, "accumulation": 1, "rank": 2, "learning_rate": 0.01}
    spec = FinetuneSpec(model=base, data=data, **recipe)
    tuned = finetune(spec, run=RunFolder(tmp_path / "tuned"), reporter=SilentReporter())
    assert tuned is not None
    asked = DiffSpec(
        base=base,
        tuned=str(tuned.path),
        null=("make",),
        ordinary=ordinary,
        data=data,
        n_prompts=40,
        max_new_tokens=2,
        resamples=100,
        dtype="float32",
    )
    report = diff_models(asked, run=RunFolder(tmp_path / "diff"), reporter=SilentReporter())
    assert report.relation == "tuned from"
    (null,) = report.nulls
    assert null.made
    made = TunedModel.open(tmp_path / "diff/null-0")
    assert (made.steps, made.data.rows) == (tuned.steps, tuned.data.rows)
    assert made.data.sha256 != tuned.data.sha256
    assert made.config.learning_rate == tuned.config.learning_rate
    assert made.config.seed != tuned.config.seed
    assert report.distributions is not None
    assert report.null_rate is not None
    assert (tmp_path / "diff/report.html").exists()
    assert "claims passed every test" in report.verdict
