"""`mindscope study NAME`: goes on with the same bytes, prints claims; the claims of quick presets hold."""

import json
import shutil
from pathlib import Path

import pytest
import study_kit
from persona_kit import tiny_chat_model

from mindscope.cli import main
from mindscope.studies.induction import HeadScan
from mindscope.studies.persona_space import RealTraitsStudy
from mindscope.studies.persona_space import config as persona_space_config
from mindscope.studies.scaling import ModelScalingStudy
from mindscope.studies.scaling import config as scaling_config

LOST = {
    "superposition": ("phases/2-1.json", "geometry/0.3.json"),
    "induction": ("kinds/2-layers.json",),
    "double-descent": ("sizes/8-2.json", "planted.json"),
    "persona-space": ("geometry.json", "blends/1.json"),
    "classifiers": ("planted/1.json", "lengths/0.json"),
    "crosscoders": ("layers/1.json", "pairs/0.json"),
    "dictionaries": ("worlds/1-0.json",),
    "scaling": ("laws/1/16-8.json", "near/0.json"),
    "shared-space": ("things.json", "pictures.json"),
    "monosemanticity": ("dictionaries.json", "reading/1.json", "splitting/0.json", "automata/1.json"),
    "solu": ("concepts.json", "organism/solu-layernorm.json"),
}
"""Pieces of each study that a kill takes."""
FIGURES = {
    "superposition": 8,
    "induction": 1,
    "double-descent": 3,
    "persona-space": 7,
    "classifiers": 3,
    "crosscoders": 5,
    "dictionaries": 5,
    "scaling": 5,
    "shared-space": 3,
    "monosemanticity": 6,
    "solu": 5,
}
UNSHOWN: dict[str, set[str]] = {
    "superposition": {"dimensionality, n 400, m 30", "absolute value, n 100, m 40"},
    "induction": {"2 layers, with MLPs"},
    "double-descent": {
        "T 1024, some samples 64 times",
        "language model, 32 of 512 rows 20 times as often",
    },
    "persona-space": {"assistant axis", "opposites", "traits together", "linearity", "two vectors"},
    "crosscoders": {
        "loss and sparsity, L1",
        "known concepts, L1",
        "known concepts, BatchTopK",
        "exclusive latents, L1",
        "exclusive latents, BatchTopK",
        "exclusive beside shared latents, L1",
        "artefacts",
    },
    "dictionaries": {"all metrics", "TPP n=10", "SCR n=10"},
    "classifiers": {"harmful requests, out of distribution", "planted cue", "length"},
    "scaling": {
        "threshold frequency",
        "clamped to 5 times the highest",
        "clamped to 10 times the highest",
    },
    "monosemanticity": {"concepts", "effects", "splitting"},
    "shared-space": {"one sentence in three languages", "things that can be drawn"},
    "solu": {"concepts, the organism's corpus"},
}
"""What does not hold in the quick presets, by the subject of the claim; docs/studies.md says why."""


def run_command(command: list[str]) -> int:
    with pytest.raises(SystemExit) as ended:
        main(command)
    return int(ended.value.code or 0)


@pytest.mark.parametrize("name", LOST)
def test_it_goes_on_after_a_kill_with_the_same_bytes(name, tiny_study, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(tiny_study(name), run)
    before = (run / f"{name}.json").read_bytes()
    for piece in (f"{name}.json", *LOST[name]):
        (run / piece).unlink()  # as if it had been killed there
    study_kit.run_tiny(name, run)
    assert (run / f"{name}.json").read_bytes() == before


@pytest.mark.parametrize("name", LOST)
def test_the_command_prints_claims_and_writes_a_page(name, tiny_study, capsys):
    command = ["study", name, "--run", str(tiny_study(name))]
    with study_kit.tiny_presets():
        assert run_command([*command, "--json"]) == 0
        printed = json.loads(capsys.readouterr().out)
        assert run_command(command) == 0
    assert (printed["study"], printed["preset"]) == (name, "quick")
    assert printed["seconds"] > 0
    assert any(claim["holds"] is False for claim in printed["claims"])  # too small to show much
    page = (tiny_study(name) / "report.html").read_text()
    assert page.count("<svg") == FIGURES[name]
    assert "<image" not in page  # figures are drawn, not painted
    assert "mathdefault" not in page  # and their numbers are plain
    assert "NO" in page
    assert "report:" in capsys.readouterr().out


def test_another_preset_needs_another_folder(tiny_study, capsys):
    command = ["study", "superposition", "--preset", "paper", "--run", str(tiny_study("superposition"))]
    assert run_command(command) == 2
    assert "other settings" in capsys.readouterr().err


def test_the_heads_of_a_model_are_listed(tmp_path, capsys):
    run, model = tmp_path / "run", tiny_chat_model(tmp_path / "model")
    command = ["study", "induction", "--model", str(model), "--run", str(run), "--json"]
    assert run_command(command) == 0
    printed = json.loads(capsys.readouterr().out)
    scan = HeadScan.load(run / "heads.json")
    assert len(printed["heads"]) == len(scan.heads) == scan.n_layers * scan.n_heads
    prefix = [head["prefix"] for head in printed["heads"]]
    assert prefix == sorted(prefix, reverse=True)
    assert not any(claim["holds"] for claim in printed["claims"])  # a random model has no induction heads
    (run / "costs" / "0.json").unlink()
    assert run_command(command) == 0
    assert HeadScan.load(run / "heads.json") == scan


def test_the_traits_of_a_model_are_looked_at(tmp_path, capsys, monkeypatch):
    """A random model plays no trait: nothing is judged, and the page says so."""
    small = persona_space_config.RealTraitsConfig(seeds=2, questions=4, max_new_tokens=8)
    monkeypatch.setattr(persona_space_config, "REAL_PRESETS", {"quick": small})
    run, model = tmp_path / "run", tiny_chat_model(tmp_path / "model")
    command = ["study", "persona-space", "--model", str(model), "--run", str(run), "--json"]
    assert run_command(command) == 0
    printed = json.loads(capsys.readouterr().out)
    together = [claim for claim in printed["claims"] if claim["subject"] == "traits together"]
    assert [claim["holds"] for claim in together] == [None]
    study = RealTraitsStudy.load(run / "persona-traits.json")
    assert len(study.voices) == 41
    assert (run / "report.html").read_text().count("<svg") == 1
    (run / "geometry.json").unlink()
    assert run_command(command) == 0
    assert RealTraitsStudy.load(run / "persona-traits.json") == study


def test_dictionaries_of_a_model_are_scaled(tmp_path, capsys, monkeypatch):
    """Names and clamped latents need the organism's truth: they are left out, and the page says so."""
    small = study_kit.TINY["scaling"].model_copy(update={"tokens": 400, "held_tokens": 150})
    monkeypatch.setattr(scaling_config, "MODEL_PRESETS", {"quick": small})
    run, model = tmp_path / "run", tiny_chat_model(tmp_path / "model")
    command = ["study", "scaling", "--model", str(model), "--run", str(run), "--json"]
    assert run_command(command) == 0
    printed = json.loads(capsys.readouterr().out)
    subjects = {claim["subject"] for claim in printed["claims"]}
    assert "loss against compute" in subjects
    assert not {"threshold frequency", "clamped"} & subjects
    page = (run / "report.html").read_text()
    assert "are left out" in page
    assert page.count("<svg") == 2
    study = ModelScalingStudy.load(run / "scaling-model.json")
    (run / "near" / "0.json").unlink()
    assert run_command(command) == 0
    assert ModelScalingStudy.load(run / "scaling-model.json") == study


@pytest.mark.long
@pytest.mark.parametrize("name", LOST)
def test_the_claims_of_the_quick_preset_hold(name, tmp_path: Path):
    """The figures of docs/studies.md; minutes on one core."""
    report = study_kit.run_quick(name, tmp_path / "run")
    assert {claim.subject for claim in report.claims if claim.holds is False} == UNSHOWN[name]
