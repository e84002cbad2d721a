"""`mindscope library`: graphs, steering and dictionaries packed, opened, changed and measured again."""

import json
import shutil
from pathlib import Path

import circuit_kit
import persona_kit
import pytest
import torch

from mindscope import organism
from mindscope.circuits import (
    AttributionGraph,
    GraphView,
    Supernode,
    prune_graph,
    read_page_content,
    write_graph_json,
)
from mindscope.cli import main
from mindscope.dictionaries import Dictionary
from mindscope.errors import DataError
from mindscope.library import open_case, write_case
from mindscope.models import load
from mindscope.personas import PersonaVectors


def mindscope(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


def printed(capsys, *arguments: object, code: int = 0) -> dict:
    capsys.readouterr()
    assert mindscope(*arguments, "--json") == code
    return json.loads(capsys.readouterr().out)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return persona_kit.tiny_chat_model(tmp_path_factory.mktemp("tiny"), n_layers=3)


@pytest.fixture(scope="module")
def other(tmp_path_factory) -> Path:
    """The same architecture with other weights."""
    return persona_kit.tiny_chat_model(tmp_path_factory.mktemp("other"), n_layers=3, seed=1)


@pytest.fixture(scope="module")
def traced(model, tmp_path_factory) -> Path:
    """A run whose graph was validated, an intervention, and what a person made of the graph."""
    folder = tmp_path_factory.mktemp("traced")
    graph_run = folder / "run"
    assert mindscope("circuit", "trace", model, "ab cd", "--max-features", 60, "--run", graph_run) == 0
    assert mindscope("circuit", "validate", model, graph_run, "--top", 5) == 0
    graph = AttributionGraph.load(graph_run / "graph.safetensors")
    change = f"{graph.id(0)}=0"
    words = ("--scale", change, "--generate", 4, "--save", folder / "change.json")
    assert mindscope("circuit", "intervene", model, graph_run, *words) == 0
    view = GraphView(
        supernodes=(Supernode(label="pair", members=(graph.id(0), graph.id(1))),),
        labels={graph.id(2): "a name"},
        pinned=(graph.id(2),),
    )
    write_graph_json(folder / "json", graph, prune_graph(graph, 1.0, 1.0), slug="mine", view=view)
    return folder


@pytest.fixture(scope="module")
def case(traced) -> Path:
    words = ("--view", traced / "json" / "mine.json", "--intervention", traced / "change.json")
    verdict = ("--verdict", "open", "--reason", "one prompt is few", "--note", "a tiny model")
    for name in ("one", "again"):
        assert mindscope("library", "pack", traced / "run", traced / f"{name}.case", *words, *verdict) == 0
    return traced / "one.case"


def test_the_same_run_gives_the_same_bytes_and_nothing_of_the_machine(case, traced, tmp_path):
    assert case.read_bytes() == (traced / "again.case").read_bytes()
    manifest = open_case(case).manifest
    assert {*manifest.provenance["run"]} == {"kind", "config", "seed", "started", "libraries"}
    assert [member.name for member in manifest.members] == [
        *("details.json", "graph.safetensors", "interventions/000.json", "view.json")
    ]
    assert str(Path.cwd()) not in json.dumps(manifest.to_json())
    assert manifest.title == "ab cd"  # as it was typed, without the token that begins a text


def test_a_case_with_what_was_said_of_it_is_not_written_over(case, traced, tmp_path, capsys):
    own = tmp_path / "own.case"
    shutil.copy(case, own)
    before = own.read_bytes()
    (tmp_path / "shelf").mkdir()
    shutil.copy(case, tmp_path / "shelf" / "theirs.case")
    for words in (
        ("pack", traced / "run", own),
        ("fetch", tmp_path / "shelf", "theirs.case", own),
        ("annotate", case, "--note", "more", "--to", own),
    ):
        assert mindscope("library", *words) == 2
        told = "is there already: name a new file; `mindscope library annotate` adds to a case"
        assert told in capsys.readouterr().err
    assert own.read_bytes() == before
    assert mindscope("library", "annotate", own, "--note", "more", "--to", own) == 0
    assert open_case(own).manifest.notes == ("a tiny model", "more")


def test_a_case_is_shown_and_opened_with_its_page(case, traced, tmp_path, capsys):
    shown = printed(capsys, "library", "show", case)
    graph = AttributionGraph.load(traced / "run" / "graph.safetensors")
    assert shown["labels"] == {graph.id(2): "a name"}
    assert shown["supernodes"][0]["members"] == [graph.id(0), graph.id(1)]
    assert shown["verdict"] == {"judgement": "open", "reason": "one prompt is few"}
    (record,) = shown["interventions"]
    assert record["request"]["changes"][0] | {"value": 0.0} == record["request"]["changes"][0]

    assert mindscope("library", "open", case, tmp_path / "opened") == 0
    opened = tmp_path / "opened"
    assert (opened / "graph.safetensors").read_bytes() == (traced / "run" / "graph.safetensors").read_bytes()
    content = read_page_content((opened / "report.html").read_text())
    assert content["qParams"]["supernodes"] == [["pair", graph.id(0), graph.id(1)]]
    assert content["details"]
    assert content["validation"]["predicted"]
    assert mindscope("library", "open", case, opened) == 2
    assert "is there already" in capsys.readouterr().err


def test_a_graph_is_measured_again_and_another_model_is_told(case, model, other, traced, capsys):
    report = printed(capsys, "library", "reproduce", case, "--model", model)
    assert [(part["part"], part["same"]) for part in report["parts"]] == [
        *(("model", True), ("dictionary", True), ("graph", True)),
        *(("intervention 1", True), ("validation", True)),
    ]
    assert [part["difference"] for part in report["parts"][2:]] == [0.0, 0.0, 0.0]
    capsys.readouterr()
    assert mindscope("library", "reproduce", case, "--model", model) == 0
    assert "interventions 1/1" in capsys.readouterr().err
    report = printed(capsys, "library", "reproduce", case, "--model", other, code=1)
    assert [(part["part"], part["same"]) for part in report["parts"]] == [("model", False), ("graph", None)]
    assert mindscope("library", "reproduce", case) == 2
    assert "name the model with --model" in capsys.readouterr().err


def spoil(case: Path, to: Path, name: str, content: bytes | Path) -> Path:
    """A case with one member of another content, and right digests."""
    opened = open_case(case)
    scratch = to.with_suffix("")
    scratch.mkdir()
    opened.extract(scratch)
    files: dict[str, Path | bytes] = {m.name: scratch / m.name for m in opened.manifest.members}
    write_case(to, opened.manifest, files | {name: content})
    return to


def test_what_was_changed_by_hand_does_not_come_out_again(case, model, traced, tmp_path, capsys):
    """Numbers that were made up, with digests that fit: the model is asked."""
    from dataclasses import replace

    graph = AttributionGraph.load(traced / "run" / "graph.safetensors")
    edges = graph.edges.clone()
    row = int(edges[-1].abs().argmax())
    edges[-1, row] *= 1.05
    changed = replace(graph, edges=edges, preactivations=graph.preactivations)
    changed.save(tmp_path / "graph.safetensors")
    forged = spoil(case, tmp_path / "edge.case", "graph.safetensors", tmp_path / "graph.safetensors")
    report = printed(capsys, "library", "reproduce", forged, "--model", model, code=1)
    assert {part["part"]: part["same"] for part in report["parts"]}["graph"] is False

    record = json.loads((traced / "change.json").read_text())
    record["report"]["tokens"][0]["after"] += 0.01
    forged = spoil(case, tmp_path / "change.case", "interventions/000.json", json.dumps(record).encode())
    report = printed(capsys, "library", "reproduce", forged, "--model", model, code=1)
    parts = {part["part"]: part for part in report["parts"]}
    assert (parts["graph"]["same"], parts["intervention 1"]["same"]) == (True, False)
    assert parts["intervention 1"]["difference"] == pytest.approx(0.01, rel=1e-3)

    assert graph.validation is not None
    actual = (
        graph.validation.actual[0] + max(map(abs, graph.validation.actual)),
        *graph.validation.actual[1:],
    )
    validation = graph.validation.model_copy(update={"actual": actual})
    replace(graph, validation=validation).save(tmp_path / "graph.safetensors")
    forged = spoil(case, tmp_path / "checked.case", "graph.safetensors", tmp_path / "graph.safetensors")
    report = printed(capsys, "library", "reproduce", forged, "--model", model, code=1)
    parts = {part["part"]: part["same"] for part in report["parts"]}
    assert (parts["graph"], parts["validation"]) == (True, False)


def test_names_groups_and_a_verdict_are_added_and_compared(case, traced, tmp_path, capsys):
    graph = AttributionGraph.load(traced / "run" / "graph.safetensors")
    words = ("--label", f"{graph.id(3)}=two=2", "--label", f"{graph.id(2)}=", "--supernode", "pair=")
    more = ("--supernode", f"both={graph.id(3)}, {graph.id(4)}", "--verdict", "refuted", "--pin", graph.id(4))
    shown = printed(capsys, "library", "annotate", case, *words, *more, "--to", tmp_path / "new.case")
    assert shown["labels"] == {graph.id(3): "two=2"}
    assert [(group["label"], len(group["members"])) for group in shown["supernodes"]] == [("both", 2)]
    assert mindscope("library", "annotate", case, "--label", "9_9_9=x", "--to", tmp_path / "bad.case") == 2
    assert not (tmp_path / "bad.case").exists()

    compared = printed(capsys, "library", "compare", case, tmp_path / "new.case")
    fields = {field["field"]: (field["first"], field["second"]) for field in compared["fields"]}
    assert fields["verdict.judgement"] == ("open", "refuted")
    assert fields[f"label.{graph.id(2)}"] == ("a name", None)
    assert compared["graphs"]["overlap"] == 1.0
    assert (compared["graphs"]["changed"], compared["graphs"]["edges"]) == ([], [])
    assert mindscope("library", "compare", case, tmp_path / "new.case") == 0
    assert "what both have did not change" in capsys.readouterr().out
    assert compared["same_members"] == ["details.json", "graph.safetensors", "interventions/000.json"]
    assert compared["other_members"] == ["view.json"]


def test_an_annotated_case_replaces_the_old_one_only_whole(case, tmp_path, monkeypatch):
    own = shutil.copy(case, tmp_path / "own.case")
    before = own.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("mindscope.library.archive._fill", fail)
        assert mindscope("library", "annotate", own, "--note", "more") == 2
    assert own.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["own.case"]
    assert mindscope("library", "annotate", own, "--note", "more") == 0
    assert open_case(own).manifest.notes == ("a tiny model", "more")


def test_a_public_graph_of_another_tool_is_packed_and_cannot_be_traced_again(traced, tmp_path, capsys):
    public = json.loads((traced / "json" / "mine.json").read_text())
    del public["mindscope"]
    (tmp_path / "theirs.json").write_text(json.dumps(public))
    assert mindscope("library", "pack", tmp_path / "theirs.json", tmp_path / "a.case") == 0
    assert open_case(tmp_path / "a.case").manifest.models == {}
    assert mindscope("library", "open", tmp_path / "a.case", tmp_path / "opened") == 0
    assert mindscope("library", "reproduce", tmp_path / "a.case") == 2
    assert "name the model with --model" in capsys.readouterr().err


def test_an_intervention_of_another_prompt_is_refused(model, traced, tmp_path, capsys):
    trace = ("circuit", "trace", model, "cd ab", "--max-features", 20, "--run", tmp_path / "run")
    assert mindscope(*trace) == 0
    words = ("--intervention", traced / "change.json")
    assert mindscope("library", "pack", tmp_path / "run", tmp_path / "a.case", *words) == 2
    assert "made with another prompt" in capsys.readouterr().err
    assert not (tmp_path / "a.case").exists()


def test_steering_comes_with_its_own_test(model, other, tmp_path, capsys):
    loaded = load(str(model))
    matrix = torch.randn(3, loaded.d_model, generator=torch.Generator().manual_seed(0))
    PersonaVectors("loud", loaded.fingerprint, {"answer_mean": matrix}, (0, 1, 2), model=loaded.name).save(
        tmp_path / "loud.safetensors"
    )
    for name, factor in (("one", 1.5), ("two", 3)):
        steer = f"{factor} {tmp_path / 'loud.safetensors'}@1[all]"
        file = tmp_path / f"{name}.safetensors"
        assert mindscope("vectors", "write", model, file, "--steer", steer) == 0
        assert mindscope("library", "pack", file, tmp_path / f"{name}.case") == 0
    edit = {"operation": "add", "address": "resid_post.1", "value": 1.5, "where": "all"}
    assert printed(capsys, "library", "show", tmp_path / "one.case")["edits"] == [edit]
    assert mindscope("library", "show", tmp_path / "one.case") == 0
    assert "steers: add 1.5 at resid_post.1, tokens: all" in capsys.readouterr().out
    report = printed(capsys, "library", "reproduce", tmp_path / "one.case", "--model", model)
    assert {part["same"] for part in report["parts"]} == {True}
    report = printed(capsys, "library", "reproduce", tmp_path / "one.case", "--model", other, code=1)
    assert {part["part"]: part["same"] for part in report["parts"]}["model"] is False
    compared = printed(capsys, "library", "compare", tmp_path / "one.case", tmp_path / "two.case")
    (row,) = compared["directions"]
    assert row["cosine"] == pytest.approx(1.0)
    assert row["values"] == [1.5, 3.0]
    vectors = ("library", "pack", tmp_path / "loud.safetensors", tmp_path / "loud.case")
    assert mindscope(*vectors) == 2
    assert "neither a graph nor a steering file nor a dictionary" in capsys.readouterr().err


@pytest.mark.parametrize("cross", [False, True])
def test_a_dictionary_comes_with_a_test_that_finds_what_was_changed(model, tmp_path, capsys, cross):
    loaded = load(str(model), dtype="float32")
    dictionary = circuit_kit.dictionary(loaded, cross=cross, skip=True).bind(loaded)
    dictionary.save(tmp_path / "dictionary")
    pack = ("library", "pack", tmp_path / "dictionary")
    assert mindscope(*pack, tmp_path / "bare.case") == 0
    assert mindscope("library", "reproduce", tmp_path / "bare.case", "--model", model) == 2
    assert "holds no test" in capsys.readouterr().err
    for name in ("a", "b"):
        assert mindscope(*pack, tmp_path / f"{name}.case", "--model", model) == 0
    assert (tmp_path / "a.case").read_bytes() == (tmp_path / "b.case").read_bytes()
    report = printed(capsys, "library", "reproduce", tmp_path / "a.case", "--model", model)
    assert [(part["part"], part["same"]) for part in report["parts"]] == [
        *(("model", True), ("dictionary", True), ("latents", True), ("reconstruction", True))
    ]
    opened = tmp_path / "opened"
    assert mindscope("library", "open", tmp_path / "a.case", opened) == 0
    assert Dictionary.load(opened / "dictionary").digest() == dictionary.digest()

    # A test of these weights beside other weights
    weaker = [coder.to() for coder in dictionary.coders]
    from dataclasses import replace

    weaker[0] = replace(weaker[0], W_enc=weaker[0].W_enc * 0.9)
    replace(dictionary, coders=tuple(weaker)).save(tmp_path / "weaker")
    assert mindscope("library", "pack", tmp_path / "weaker", tmp_path / "weaker.case") == 0
    theirs = open_case(tmp_path / "weaker.case")
    theirs.extract(tmp_path / "scratch")
    files = {m.name: tmp_path / "scratch" / m.name for m in theirs.manifest.members}
    test = (opened / "self_test.json").read_bytes()
    write_case(tmp_path / "mixed.case", theirs.manifest, files | {"self_test.json": test})
    report = printed(capsys, "library", "reproduce", tmp_path / "mixed.case", "--model", model, code=1)
    parts = {part["part"]: part["same"] for part in report["parts"]}
    assert (parts["dictionary"], parts["latents"]) == (False, False)


def test_a_bundled_dictionary_is_measured_on_the_bundled_model_without_a_word(tmp_path, capsys):
    """The dictionaries of the package know their model by its weights alone; the case has its name too."""
    case = tmp_path / "sae.case"
    file = organism.dictionary_path("sae.3", "first")
    assert mindscope("library", "pack", file, case, "--model", "organism") == 0
    assert [model.name for model in open_case(case).manifest.models.values()] == ["organism"]
    report = printed(capsys, "library", "reproduce", case)
    assert report["model"] == "organism"
    assert {part["same"] for part in report["parts"]} == {True}


@pytest.mark.parametrize("name", ["organism", "second-organism", "somewhere/else", "organism2"])
def test_only_a_bundled_model_is_loaded_because_a_case_names_it(name, case, tmp_path, monkeypatch):
    opened = open_case(case)
    opened.extract(tmp_path / "members")
    (identity,) = opened.manifest.models.values()
    models = {"": identity.model_copy(update={"name": name})}
    files = {m.name: tmp_path / "members" / Path(*m.name.split("/")) for m in opened.manifest.members}
    write_case(tmp_path / "named.case", opened.manifest.model_copy(update={"models": models}), files)
    loaded: list[str] = []

    def load_model(name: str, *_: object) -> None:
        loaded.append(name)
        raise DataError("it is enough to know which")

    monkeypatch.setattr("mindscope.jobs.library.reproducing.load_model", load_model)
    assert mindscope("library", "reproduce", tmp_path / "named.case") == 2
    assert loaded == ([name] if name in ("organism", "second-organism") else [])
