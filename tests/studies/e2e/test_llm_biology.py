"""`mindscope circuit cases`, end to end on the organism."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mindscope import organism
from mindscope.cli.app import app
from mindscope.studies.llm_biology import QUICK, book
from mindscope.studies.llm_biology.workbench import CaseContext


def _run(folder: Path, *arguments: str):
    return CliRunner().invoke(app, ["circuit", "cases", "--quick", "--run", str(folder), *arguments])


def test_a_family_from_the_command_to_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "book"
    made = _run(folder, "--family", "two-hop", "--json")
    assert made.exit_code == 0, made.output
    (case,) = json.loads(made.stdout)["cases"]
    verdicts = case["verdicts"]
    assert [verdict["rate"]["n"] for verdict in verdicts] == [QUICK.held] * 6
    for upstream, late in zip(verdicts[::2], verdicts[1::2], strict=True):
        # The organism reads a city's name where the answer is made: no feature before reaches it. There its
        # state is exchanged in nearly every prompt, and never by random features of the same size.
        assert (upstream["needed"], upstream["rate"]["hits"]) == (0.8, 0)
        assert late["needed"] is None
        assert late["rate"]["hits"] >= 0.8 * late["rate"]["n"]
        assert upstream["size"] > 0
    for verdict in verdicts:
        assert verdict["control"]["hits"] <= 1
        assert verdict["control_size"] == pytest.approx(verdict["size"], rel=1e-3)
        assert verdict["before"]["hits"] == 0
    assert "changes in 0%" in case["facts"][0]
    drawn = case["drawn"]
    assert drawn["completeness"] >= 0.8
    assert drawn["checks"]["frozen_norms"]["r"] > 0.8
    assert (folder / drawn["graph"]).is_file()
    assert (folder / drawn["page"]).is_file()
    page = (folder / "report.html").read_text("utf-8")
    assert "Two-step facts" in page
    assert "<svg" in page
    assert "100%" in page

    def computed(bench: CaseContext) -> None:
        raise AssertionError("a finished family is computed again")

    monkeypatch.setattr(book, "FAMILIES", {**book.FAMILIES, "two-hop": computed})
    again = _run(folder, "--family", "two-hop", "--json")
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout) == json.loads(made.stdout)


@pytest.mark.long
def test_in_the_second_world_a_planned_rhyme_is_exchanged_at_the_line_break(tmp_path: Path) -> None:
    made = _run(tmp_path / "book", "--world", "second", "--family", "rhyme", "--json")
    assert made.exit_code == 0, made.output
    (case,) = json.loads(made.stdout)["cases"]
    assert len(case["verdicts"]) == 2
    for verdict in case["verdicts"]:
        # Features at the break rewrite the line; random ones of their size and its first word do not.
        assert verdict["rate"]["hits"] >= 0.75 * verdict["rate"]["n"]
        assert (verdict["control"]["hits"], verdict["forced"]["hits"], verdict["pushed"]["hits"]) == (0, 0, 0)
        assert verdict["before"]["hits"] == 0


def test_a_family_of_another_world_is_one_line(tmp_path: Path) -> None:
    made = _run(tmp_path / "book", "--world", "second", "--family", "characters")
    assert made.exit_code != 0
    assert not (tmp_path / "book").exists()
    assert "no family 'characters' in the second world" in str(made.exception or made.output)


def test_an_unknown_family_is_one_line(tmp_path: Path) -> None:
    made = _run(tmp_path / "book", "--family", "poems")
    assert made.exit_code != 0
    assert not (tmp_path / "book").exists()
    assert "no family 'poems'" in str(made.exception or made.output)


def test_saes_that_are_not_there_or_not_of_every_block_are_one_line(tmp_path: Path) -> None:
    some = tmp_path / "some"
    some.mkdir()
    for block in (0, 1):
        shutil.copy(organism.dictionary_path(f"sae.{block}"), some)
    for name, said in ((tmp_path / "none", "there is no dictionary"), (some, "SAEs of 2 blocks")):
        made = _run(tmp_path / "book", "--streams", str(name))
        assert made.exit_code != 0
        assert not (tmp_path / "book").exists()
        assert said in str(made.exception or made.output)
