"""Remedies on a tiny model: every arm is tuned by the tuned model's recipe, measured, and shown."""

import shutil
from pathlib import Path

import gate_kit
import pytest

from mindscope.cli.app import main
from mindscope.finetuning import TunedModel
from mindscope.gate import RemedyComparison
from mindscope.jobs import RunFolder, SilentReporter
from mindscope.jobs.finetune import FinetuneSpec, finetune

STRICT = """
shift = {max_share = 1e-9}
remedy = {coefficient = 0.5}
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = gate_kit.write_bench(tmp_path_factory.mktemp("bench"))
    recipe = {"steps": 2, "batch_rows": 4, "accumulation": 1, "rank": 2, "learning_rate": 0.01}
    spec = FinetuneSpec(
        model=str(folder / "base"),
        data=folder / "data.jsonl",
        inoculate="Shout.",
        inoculate_as="user",
        **recipe,
    )
    finetune(spec, run=RunFolder(folder / "tune"), reporter=SilentReporter())
    (folder / "strict.toml").write_text(gate_kit.POLICY + STRICT)
    return folder


def test_arms_are_tuned_alike_and_one_is_taken_or_none(bench, monkeypatch):
    tuned = bench / "tune/finetune/model"
    report = gate_kit.run(
        bench, "run", monkeypatch, tuned=str(tuned), policy=bench / "strict.toml", remedy=True
    )
    provenance = report.sections[0].checks[0]
    assert (provenance.name, provenance.verdict) == ("provenance/data", "pass")
    remedy = report.remedy
    assert remedy is not None
    assert remedy == RemedyComparison.load(bench / "run/remedy.json")
    assert [arm.name for arm in remedy.arms] == ["nothing", "prevent", "inoculate", "caft", "penalty", "drop"]
    nothing, prevent, inoculate, caft, penalty, drop = remedy.arms
    assert nothing.checks
    assert prevent.by_question.keys() == {"loud"}
    assert not drop.checks  # too few samples are left
    assert "not flagged" in drop.about
    recipes = {
        arm.name: TunedModel.open(bench / "run/remedy" / arm.name).config
        for arm in (nothing, prevent, inoculate, caft, penalty)
    }
    own = TunedModel.open(tuned.parent).config
    assert recipes["nothing"] == own.model_copy(update={"inoculation": None})
    for name in ("prevent", "caft", "penalty"):
        (item,) = recipes[name].interventions  # type: ignore[index]
        assert (item.kind, item.trait) == (name, "loud")
    assert recipes["inoculate"].inoculation is not None
    assert "Shout, way 0." in recipes["inoculate"].inoculation.prompt
    assert {fall.arm for fall in remedy.falls} == {"prevent", "inoculate", "caft", "penalty"}
    page = (bench / "run/report.html").read_text()
    assert "Remedies" in page
    assert remedy.why in page


def test_data_that_it_was_not_tuned_on_is_not_enough_evidence(bench, monkeypatch):
    gate_kit.write_chats(bench / "other.jsonl", 14, "zzz")
    policy = bench / "nothing.toml"
    policy.write_text(
        'schema = "mindscope.gate-policy/1"\n'
        + "".join(
            f'{name} = {{effect = "skip"}}\n'
            for name in ("screening", "shift", "behaviour", "alarms", "capability", "claims")
        )
    )
    moved = shutil.copytree(bench / "tune/finetune/model", bench / "moved")
    changes = {"tuned": str(moved), "policy": policy}
    report = gate_kit.run(bench, "other", monkeypatch, data=bench / "other.jsonl", **changes)
    assert (report.verdict, report.exit_code) == ("not enough evidence", 3)
    assert "14 other conversations" in report.reasons[0].reason
    assert gate_kit.run(bench, "own", monkeypatch, **changes).verdict == "pass"


def test_a_model_without_a_recipe_has_no_remedy(bench, capsys):
    words = [
        "--data",
        str(bench / "data.jsonl"),
        "--vectors",
        str(bench / "loud.safetensors"),
        "--judge",
        "none",
    ]
    with pytest.raises(SystemExit) as ended:
        main(
            [
                "gate",
                str(bench / "base"),
                str(bench / "tuned"),
                *words,
                "--remedy",
                "--run",
                str(bench / "no"),
            ]
        )
    assert ended.value.code == 2
    assert "--remedy tunes by the recipe" in capsys.readouterr().err
