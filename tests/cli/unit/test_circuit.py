"""`mindscope circuit` on a tiny random model, with its neurons and with transcoders of its own."""

import json
from dataclasses import replace
from pathlib import Path

import persona_kit
import pytest
import torch

from mindscope.circuits import (
    AttributionGraph,
    GraphView,
    Supernode,
    prune_graph,
    read_graph_json,
    write_graph_json,
)
from mindscope.circuits.files.write_json import feature_number
from mindscope.models import load
from mindscope.personas import PersonaVectors

PROMPT = "ab cd"


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return persona_kit.tiny_chat_model(tmp_path_factory.mktemp("tiny"), n_layers=3)


@pytest.fixture(scope="module")
def traced(model, tmp_path_factory) -> Path:
    """A run of `circuit trace` with neurons."""
    from mindscope.cli.app import run

    folder = tmp_path_factory.mktemp("traced") / "run"
    assert (
        run(["circuit", "trace", str(model), PROMPT, "--max-features", "60", "--run", str(folder), "--json"])
        == 0
    )
    return folder


def trained(model: Path, folder: Path, kind: str) -> Path:
    """A run of `dictionary train`."""
    from mindscope.cli.app import run

    texts = folder / "texts.jsonl"
    texts.write_text("".join(json.dumps({"text": f"{i} ab {i * i} cd"}) + "\n" for i in range(20)))
    fast = ["--latents", "40", "--k", "4", "--steps", "4", "--batch-tokens", "32", "--buffer-batches", "2"]
    train = ["dictionary", "train", str(model), str(texts), "--kind", kind, *fast]
    assert run([*train, "--run", str(folder / "run")]) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def transcoders(model, tmp_path_factory) -> Path:
    return trained(model, tmp_path_factory.mktemp("transcoders"), "transcoder")


def test_trace_writes_graph_page_and_summary(traced, model):
    graph = AttributionGraph.load(traced / "graph.safetensors", load(str(model)))
    assert graph.n_features == 60
    assert graph.replacement_digest == "neurons"
    assert (graph.metadata["prompt"], graph.replacement_name) == ("<s>ab cd", "neurons")
    total = graph.edges.sum(1) + graph.unselected + graph.biases
    torch.testing.assert_close(total, graph.preactivations, atol=1e-4, rtol=1e-4)
    page = (traced / "report.html").read_text()
    assert "Content-Security-Policy" in page
    assert "top_logits" in page
    summary = json.loads((traced / "summary.json").read_text())
    assert summary["features"] == 60
    assert 0 < summary["least_completeness_score"] <= summary["completeness_score"] <= 1


def test_a_finished_trace_is_not_traced_again_and_other_settings_are_refused(cli, model, traced):
    before = (traced / "graph.safetensors").stat().st_mtime_ns
    again = cli("circuit", "trace", model, PROMPT, "--max-features", "60", "--run", traced, "--json")
    assert again.code == 0, again.err
    assert (traced / "graph.safetensors").stat().st_mtime_ns == before
    found = json.loads(again.out)
    assert len(found["targets"]) == 10 or sum(one["weight"] for one in found["targets"]) >= 0.95
    other = cli("circuit", "trace", model, "something else", "--max-features", "60", "--run", traced)
    assert other.code == 2
    assert "prompt" in other.err


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        (["--target", "a", "--target", "b"], ['Output "a"', 'Output "b"']),
        (["--target", "a", "--instead-of", "b"], ['Output "a" less "b"']),
        (["--chat", "--system", "Be.", "--answer", "ok", "--most", "1"], ["Output"]),
    ],
)
def test_targets_and_prompts(cli, model, tmp_path, options, labels):
    result = cli(
        "circuit", "trace", model, PROMPT, *options, "--max-features", "20", "--run", tmp_path / "r", "--json"
    )
    assert result.code == 0, result.err
    found = json.loads(result.out)
    assert len(found["targets"]) == len(labels)
    assert all(one["label"].startswith(text) for one, text in zip(found["targets"], labels, strict=True))
    if "--chat" in options:
        assert found["prompt"].endswith("<s>assistant\nok")


def test_directions_and_features_are_explained(cli, model, traced, tmp_path):
    loaded = load(str(model))
    matrix = torch.randn(loaded.n_layers, loaded.d_model, generator=torch.Generator().manual_seed(0))
    vectors = PersonaVectors("kind", loaded.fingerprint, {"answer_mean": matrix}, (0, 1, 2))
    vectors.save(tmp_path / "vectors.safetensors")
    graph = AttributionGraph.load(traced / "graph.safetensors")
    feature = graph.id(graph.n_features - 1)
    result = cli(
        "circuit", "trace", model, PROMPT, "--direction", f"{tmp_path / 'vectors.safetensors'}@1",
        "--feature", feature, "--max-features", "30", "--run", tmp_path / "r", "--json",
    )  # fmt: skip
    assert result.code == 0, result.err
    layer, latent, _ = feature.split("_")
    assert [one["label"] for one in json.loads(result.out)["targets"]] == [
        "kind",
        f"Feature {layer}/{latent}",
    ]
    found = AttributionGraph.load(tmp_path / "r" / "graph.safetensors")
    assert found.preactivations[-1] == pytest.approx(
        float(graph.preactivations[graph.n_features - 1]), abs=1e-4
    )


def test_transcoders_of_a_training_stand_in(cli, model, transcoders, tmp_path):
    run = tmp_path / "run"
    result = cli("circuit", "trace", model, PROMPT, "--dictionary", transcoders, "--run", run, "--json")
    assert result.code == 0, result.err
    graph = AttributionGraph.load(run / "graph.safetensors")
    assert set(graph.features[:, 0].tolist()) == {0, 1, 2}
    assert int(graph.features[:, 2].max()) < 40
    changed = cli("circuit", "intervene", model, run, "--scale", f"{graph.id(0)}=0", "--json")
    assert changed.code == 0, changed.err
    wrong = cli("circuit", "intervene", model, run, "--scale", f"{graph.id(0)}=0", "--dictionary", "neurons")
    assert wrong.code == 2
    assert "another dictionary" in wrong.err


def test_a_survey_of_the_dictionary_names_the_features(cli, model, tmp_path):
    clt = trained(model, tmp_path, "clt") / "clt"
    options = ["--run", tmp_path / "survey"]
    surveyed = cli("feature", "survey", model, clt, tmp_path / "texts.jsonl", *options)
    assert surveyed.code == 0, surveyed.err
    run = tmp_path / "circuit"
    assert cli("circuit", "trace", model, PROMPT, "--dictionary", clt, "--nodes", "1", "--run", run).code == 0
    known = [
        "--nodes",
        "1",
        "--model",
        model,
        "--survey",
        tmp_path / "survey",
        "--slug",
        "one",
        "--groups",
        "--json",
    ]
    exported = cli("circuit", "export", run, tmp_path / "public", *known)
    assert exported.code == 0, exported.err
    read = read_graph_json(tmp_path / "public" / "one.json")
    features = [node for node in read.pruned.nodes if node < read.graph.n_features]
    assert {read.graph.id(node) for node in features} == set(read.view.labels)
    layer, latent, _ = map(int, read.graph.id(features[0]).split("_"))
    (document,) = (tmp_path / "public" / "features").rglob(f"{feature_number(layer, latent)}.json")
    assert json.loads(document.read_text())["examples_quantiles"]


def test_show_says_what_leads_where(cli, traced):
    graph = AttributionGraph.load(traced / "graph.safetensors")
    shown = cli("circuit", "show", traced, "--top", "3", "--json")
    assert len(json.loads(shown.out)["nodes"]) == 3
    name = graph.id(graph.n_sources)
    (near,) = json.loads(cli("circuit", "show", traced, "--node", name, "--top", "4", "--json").out)[
        "neighbours"
    ]
    strongest = graph.edges[graph.n_features].abs().topk(4).indices.tolist()
    assert near["node"] == name
    assert [row["node"] for row in near["inputs"]] == [graph.id(node) for node in strongest]
    assert near["outputs"] == []
    source = graph.id(strongest[0])
    ways = json.loads(cli("circuit", "show", traced, "--from", source, "--json").out)["paths"]
    assert ways["total"] >= ways["paths"][0]["share"] > 0
    assert ways["paths"][0]["nodes"][0] == source
    plain = cli("circuit", "show", traced)
    assert "completeness score" in plain.out
    missing = cli("circuit", "show", traced, "--node", "9_9_9")
    assert missing.code == 2
    assert "no node '9_9_9'" in missing.err


def test_prune_compare_and_export(cli, model, traced, tmp_path):
    small = tmp_path / "small.safetensors"
    assert cli("circuit", "prune", traced, small, "--nodes", "0.5").code == 0
    graph = AttributionGraph.load(traced / "graph.safetensors")
    assert AttributionGraph.load(small).n_features == int(prune_graph(graph, 0.5).node_mask[:60].sum())
    compared = json.loads(cli("circuit", "compare", traced, traced, "--json").out)
    assert compared["overlap"] == 1.0
    assert compared["only_first"] == []
    page = tmp_path / "page.html"
    exported = cli("circuit", "export", traced, page, "--groups", "--model", model)
    assert exported.code == 0, exported.err
    assert "top_logits" in page.read_text()
    assert cli("circuit", "export", traced, tmp_path / "public", "--slug", "one", "--groups").code == 0
    read = read_graph_json(tmp_path / "public" / "one.json")
    assert read.graph.fingerprint == graph.fingerprint
    shown = json.loads(cli("circuit", "show", tmp_path / "public" / "one.json", "--groups", "--json").out)
    assert [one["label"] for one in shown["supernodes"]] == [one.label for one in read.view.supernodes]


def test_interventions_by_feature_group_and_donor(cli, model, traced, tmp_path):
    graph = AttributionGraph.load(traced / "graph.safetensors")
    pruned = prune_graph(graph)
    names = [graph.id(node) for node in pruned.nodes if node < graph.n_features][:3]
    view = GraphView(supernodes=(Supernode(label="the three", members=tuple(names)),))
    path = write_graph_json(tmp_path, graph, pruned, slug="grouped", view=view)
    one_by_one = [option for name in names for option in ("--scale", f"{name}=0")]
    single = cli("circuit", "intervene", model, traced, *one_by_one, "--json")
    group = cli("circuit", "intervene", model, path, "--scale", "the three=0", "--json")
    assert single.code == group.code == 0, single.err + group.err
    assert json.loads(single.out) == json.loads(group.out)
    moved = json.loads(single.out)["tokens"]
    assert any(abs(one["before"] - one["after"]) > 1e-6 for one in moved)
    same = cli("circuit", "intervene", model, path, "--on", f"{path}:the three", "--json")
    for one in json.loads(same.out)["tokens"]:  # they already have these activations
        assert one["before"] == pytest.approx(one["after"], abs=1e-5)
    written = cli(
        "circuit", "intervene", model, traced, "--set", f"{names[0]}+=50", "--generate", "4", "--json"
    )
    assert set(json.loads(written.out)["texts"]) == {"before", "after"}
    for options, message in [
        ([], "nothing is changed"),
        (["--set", "3_4=1"], "is not a feature"),
        (["--set", f"{names[0]}=x"], "is not a change"),
        (["--set", f"{names[0]}=1", "--mode", "closed"], "'closed' is not one of"),
        (["--set", f"{names[0]}=1", "--layers", "1-2"], "FIRST:END"),
        (["--on", f"{path}:nothing"], "no supernode 'nothing'"),
    ]:
        result = cli("circuit", "intervene", model, traced, *options)
        assert result.code == 2, options
        assert message in result.err


def test_validate_keeps_the_agreement_with_the_graph_and_shows_it(cli, model, tmp_path):
    run = tmp_path / "run"
    assert cli("circuit", "trace", model, PROMPT, "--target", "a", "--run", run).code == 0
    direct = cli("circuit", "validate", model, run, "--top", "5", "--mode", "constrained", "--json")
    assert direct.code == 0, direct.err
    found = json.loads(direct.out)
    assert (
        found["targets"]["r"] > 0.9999
    )  # a logit's direct effects are the graph's edges; a gate is not linear
    assert found["targets"]["sign_agreement"] == 1.0
    graph = AttributionGraph.load(run / "graph.safetensors")
    assert graph.validation is not None
    assert graph.validation.to_json() == found
    assert '"predicted"' in (run / "report.html").read_text()
    plain = cli("circuit", "validate", model, run, "--groups", "--factor", "-1")
    assert plain.code == 0, plain.err
    assert "overall" in plain.out
    assert AttributionGraph.load(run / "graph.safetensors").validation.factor == -1.0
    assert cli("circuit", "export", run, tmp_path, "--slug", "one").code == 0
    refused = cli("circuit", "validate", model, tmp_path / "one.json")
    assert refused.code == 2
    assert "has lost what was pruned" in refused.err


def test_what_does_not_belong_together_is_refused(cli, model, traced, tmp_path):
    graph = AttributionGraph.load(traced / "graph.safetensors")
    foreign = tmp_path / "foreign.safetensors"
    replace(graph, fingerprint="another").save(foreign)
    for arguments, message in [
        (["intervene", model, foreign, "--set", "0_1_1=0"], "graph is of another model"),
        (["compare", traced, foreign], "different fingerprint"),
        (["show", tmp_path], "holds no graph.safetensors"),
        (["trace", model, PROMPT, "--dictionary", "nowhere"], "no dictionary 'nowhere'"),
        (["trace", model, PROMPT, "--system", "Be."], "needs --chat"),
        (["trace", model, PROMPT, "--instead-of", "a"], "needs one --target"),
        (["trace", model, PROMPT, "--feature", "one"], "is not a feature"),
        (["trace", model, "", "--chat", "--target", "abc"], "is 3 tokens"),
        (["export", traced, tmp_path / "x.html", "--survey", tmp_path], "--survey needs --model"),
        (["compare", traced, traced, "--align", "start"], "'start' is not one of"),
        (["show", traced, "--to", "4_1_1"], "--to needs --from"),
    ]:
        run = ["--run", tmp_path / "run"] if arguments[0] == "trace" else []
        result = cli("circuit", *arguments, *run)
        assert result.code == 2, arguments
        assert message in result.err, result.err
