"""`mindscope feature` from a survey to a page, on the organism and a dictionary of a few latents."""

import json
from pathlib import Path

import pytest
import torch

from mindscope.cli.app import main
from mindscope.cli.commands.feature.tables import print_labels, print_survey
from mindscope.dictionaries import Coder, Dictionary, Site
from mindscope.jobs.feature import SurveyReport
from mindscope.jobs.feature.inputs import LabelRow
from mindscope.jobs.feature.labelling import LabelsReport
from mindscope.models import load
from mindscope.store import hold_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("feature")
    model = load("organism")
    weights = torch.randn(24, model.d_model, generator=torch.Generator().manual_seed(0))
    site = [Site("resid_post.1", model.d_model)]
    coder, b_dec = Coder(weights, torch.zeros(24), weights), torch.zeros(model.d_model)
    Dictionary.single(
        coder, b_dec, reads=site, writes=site, activation="topk", k=2, models={"0": model.fingerprint}
    ).save(folder / "sae.safetensors")
    places = ["France", "Kenya", "Peru", "Japan"]
    for name, words in (("a", "capital"), ("b", "currency")):
        lines = [
            {"question": f"What is the {words} of {place}, number {i}?", "answer": f"It is {i}."}
            for i in range(4)
            for place in places
        ]
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder


def run(capsys: pytest.CaptureFixture[str], *arguments: object):
    with pytest.raises(SystemExit) as stopped:
        main(["feature", *map(str, arguments), "--json"])
    out, err = capsys.readouterr()
    assert stopped.value.code == 0, err
    return json.loads(out)


def test_from_survey_to_page(folder: Path, capsys: pytest.CaptureFixture[str]):
    sae, kept = folder / "sae.safetensors", ("--run", folder / "run")
    made = run(capsys, "survey", "organism", sae, folder / "a.jsonl", *kept)
    assert (made["features"], made["rows"]) == (24, 16)
    labels = run(capsys, "label", "organism", sae, *kept)
    assert len(labels) == 24 - made["dead"]
    with hold_run(folder / "run"), pytest.raises(SystemExit):
        main(["feature", "label", "organism", str(sae), *map(str, kept)])
    assert "is in use by process" in capsys.readouterr().err
    alive = labels[0]["feature"]
    shown = run(capsys, "show", "organism", sae, alive, *kept)
    assert shown["label"] == labels[0]
    assert Path(shown["page"]).read_text().startswith("<!doctype html>")
    assert run(capsys, "search", "organism", sae, "capital", *kept)
    assert run(capsys, "search", "organism", sae, "--token", "France", *kept)
    fired = run(capsys, "search", "organism", sae, "--chat", "What is the capital of Peru?", *kept)
    assert all(one["activation"] > 0 for one in fired)
    mapped = run(capsys, "map", "organism", sae, "--method", "pca", *kept)
    assert len(mapped["features"]) == len(labels)
    found = run(
        capsys, "classify", "organism", sae, folder / "a.jsonl", folder / "b.jsonl", "--ablate", alive
    )
    assert found["scores"]["raw, mean/l2"]["auroc"]["value"] > 0.9


def test_a_survey_is_shown_in_words_and_with_the_command_that_is_next(capsys):
    print_survey(
        SurveyReport(features=24, rows=16, tokens=90, outliers=0, dead=3, dense=1, run="runs/features")
    )
    out = capsys.readouterr().out
    assert "borrowed" not in out
    assert "feature show MODEL DICTIONARY FEATURE --run runs/features" in out


def test_a_table_that_leaves_labels_out_says_of_how_many(capsys):
    def listed(n: int) -> str:
        labels = [LabelRow(feature=i, text="words", source="contexts", scores={}) for i in range(n)]
        print_labels(LabelsReport(root=tuple(labels)))
        return " ".join(capsys.readouterr().out.split())

    assert "the first 40 of 1,041 labels" in listed(1041)
    assert "of" not in listed(40)


def test_refusals(folder: Path, capsys: pytest.CaptureFixture[str]):
    for arguments, said in (
        (["search", "organism", folder / "sae.safetensors"], "one of them"),
        (["show", "organism", folder / "sae.safetensors", 1, "--run", folder / "none"], "no finished survey"),
        (["map", "organism", folder / "sae.safetensors", "--method", "ball"], "ball"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main(["feature", *map(str, arguments)])
        assert stopped.value.code == 2
        assert said in capsys.readouterr().err
