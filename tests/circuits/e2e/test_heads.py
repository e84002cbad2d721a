"""`circuit heads` on the organism: tables, and what it leaves in the graph and on its page."""

import json
from pathlib import Path

import pytest

from mindscope.circuits import AttributionGraph
from mindscope.cli.app import main, run

STATEMENT = "the flower of the state of Renton is"


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("heads") / "run"
    arguments = ["circuit", "trace", "organism", STATEMENT, "--target", " heather", "--max-features", "300"]
    assert run([*arguments, "--rank-every", "300", "--run", str(folder)]) == 0
    return folder


def test_heads_of_edges_and_of_a_score_are_told_and_kept(traced: Path, capsys: pytest.CaptureFixture[str]):
    capsys.readouterr()
    assert run(["circuit", "heads", "organism", str(traced), "--top", "5", "--json"]) == 0
    edges = json.loads(capsys.readouterr().out)["edges"]
    assert len(edges) == 5
    assert run(["circuit", "heads", "organism", str(traced), "--head", "0.3", "--relative", "--json"]) == 0
    score = json.loads(capsys.readouterr().out)["score"]
    # A special token stands before the eight of the statement; the last of them looks at the one before it.
    assert (score["query"], score["key"]) == (8, 7)
    graph = AttributionGraph.load(traced / "graph.safetensors")
    assert graph.attention is not None
    assert graph.attention.to_json() == {"loadings": edges, "scores": [score]}
    for edge in edges:
        row, column = graph.find(edge["target"]), graph.find(edge["source"])
        row = row if row < graph.n_features else row - graph.n_sources + graph.n_features
        assert edge["weight"] == pytest.approx(float(graph.edges[row, column]))
    page = (traced / "report.html").read_text("utf-8")
    assert json.dumps(score["pairs"][0]["query"]) in page
    assert '"loadings":[{' in page


def test_tables_for_people(traced: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["circuit", "heads", "organism", str(traced), "--head", "0.3", "--top", "3"]) == 0
    said = capsys.readouterr().out
    assert "Renton" in said
    assert "largest pairs" in said
    assert run(["circuit", "heads", "organism", str(traced), "--top", "3"]) == 0
    assert "heads of the 3 strongest edges" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "word"),
    [(["--head", "3"], "LAYER.HEAD"), (["--head", "0.9"], "head 9"), (["--key", "3"], "--head")],
)
def test_mistakes_are_one_line(
    traced: Path, options: list[str], word: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as stopped:
        main(["circuit", "heads", "organism", str(traced), *options])
    assert stopped.value.code == 2
    said = capsys.readouterr().err.strip()
    assert word in said
    assert "\n" not in said
