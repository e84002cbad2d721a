"""`mindscope chat`: the dial, the projections, and slash commands, on a tiny random model."""

import io
import json
import sys

import persona_kit
import pytest
from persona_kit import random_vectors

from mindscope.cli.commands import chat
from mindscope.errors import DataError
from mindscope.features import SteerExpression
from mindscope.jobs.chat import SteeredChat
from mindscope.jobs.steering import SteeringNames
from mindscope.models import Edit, Mean, Model, Read, Sampling, load
from mindscope.personas import ArmScores, SweepConfig, SweepPoint, SweepResult


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return persona_kit.tiny_chat_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def model(folder) -> Model:
    return load(str(folder), dtype="float32")


@pytest.fixture
def talk(model) -> SteeredChat:
    known = {name: random_vectors(model, name, seed) for seed, name in enumerate(("evil", "loud"))}
    names = SteeringNames(model, known, layer=1)
    steering = SteerExpression.parse("evil")
    return SteeredChat(model, names, Sampling(max_new_tokens=8), steering=steering, dial=0.0)


def test_an_unsteered_answer_and_its_projections(talk, model):
    pieces: list[str] = []
    turn = talk.answer("Hello", pieces.append)
    expected = model.generate([model.chat([{"role": "user", "content": "Hello"}])], talk.sampling, seeds=[0])[
        0
    ]
    assert turn.answer == expected.text == "".join(pieces)
    mean = model.read([expected.row], {"m": Read("resid_post.1", Mean("answer"))})["m"].values[0]
    for name, each in talk.names.vectors.items():
        vector = each.answer_mean[1].double()
        assert turn.projections[name] == pytest.approx(
            float(mean.double() @ vector / vector.norm()), abs=1e-4
        )
    assert turn.pushed == {"evil": 0.0, "loud": 0.0}
    assert talk.messages == [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": turn.answer},
    ]


def test_the_dial_steers_and_its_share_is_told(talk):
    before = talk.answer("Hello")
    talk.obey("/reset")
    assert talk.messages == []
    talk.obey("/dial 4")
    after = talk.answer("Hello")
    assert after.answer != before.answer
    evil = talk.names.vectors["evil"].answer_mean[1]
    assert after.pushed["evil"] == pytest.approx(4 * evil.norm().item(), rel=1e-5)
    loud = talk.names.vectors["loud"].answer_mean[1]
    assert after.pushed["loud"] == pytest.approx(4 * (evil @ loud / loud.norm()).item(), rel=1e-4)
    assert "by the dial" in str(after)


def test_two_vectors_steer_at_once_at_several_layers(talk, model):
    talk.obey("/dial 4")
    status = talk.obey("/steer evil - 0.5 loud@0-1")
    assert status == "steering evil - 0.5 loud@0-1, dial 4, layer 1"
    turn = talk.answer("Hello")
    evil, loud = (talk.names.vectors[name].answer_mean for name in ("evil", "loud"))
    pushes = ((1, evil[1], 4), (0, loud[0], -2), (1, loud[1], -2))
    edits = [Edit(f"resid_post.{layer}", "add", vector, value, "response") for layer, vector, value in pushes]
    row = model.chat([{"role": "user", "content": "Hello"}])
    assert turn.answer == model.generate([row], talk.sampling, edits=edits, seeds=[0])[0].text
    added = 4 * evil[1] - 2 * loud[1]
    for name, vector in (("evil", evil[1]), ("loud", loud[1])):
        assert turn.pushed[name] == pytest.approx(float(added @ vector / vector.norm()), rel=1e-4)
    assert turn.steering == "4 evil - 2 loud@0-1"


def test_slash_commands(talk):
    assert talk.obey("/steer loud") == "steering loud, dial 0, layer 1"
    assert talk.obey("/dial -1.5") == "steering loud, dial -1.5, layer 1"
    assert talk.obey("/layer 2") == "steering loud, dial -1.5, layer 2"
    assert talk.obey("/system Be brief.") == "system: Be brief."
    assert talk.obey("/system") == "no system prompt"
    assert "/dial" in str(talk.obey("/help"))
    assert talk.obey("/quit") is None


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("/dial much", "'much' is not a number"),
        ("/dial", "'' is not a number"),
        ("/layer 1.5", "'1.5' is not a number"),
        ("/layer 9", "there is no layer 9"),
        ("/steer kind", "column 1, before 'kind': there is no vector 'kind'; loaded: evil, loud"),
        ("/steer 2 * evil@7", "column 5, before 'evil@7': there is no layer 7"),
        ("/steer", "nothing to steer with"),
        ("/nonsense", "unknown command /nonsense"),
    ],
)
def test_bad_commands_change_nothing(talk, line, says):
    before = (talk.layer, talk.dial, talk.steering)
    with pytest.raises(DataError, match=says):
        talk.obey(line)
    assert (talk.layer, talk.dial, talk.steering) == before


def test_a_system_prompt_reaches_the_model(talk, model):
    talk.obey("/system Shout.")
    answer = talk.answer("Hello").answer
    messages = [{"role": "system", "content": "Shout."}, {"role": "user", "content": "Hello"}]
    assert answer == model.generate([model.chat(messages)], talk.sampling, seeds=[0])[0].text


def test_an_interrupted_answer_leaves_no_turn_and_no_hook(talk, model):
    def interrupt(_text):
        raise KeyboardInterrupt

    talk.obey("/dial 4")
    with pytest.raises(KeyboardInterrupt):
        talk.answer("Hello", interrupt)
    assert talk.messages == []
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.hf.modules())


def run(cli, monkeypatch, lines, *arguments):
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(lines) + "\n"))
    return cli("chat", *arguments)


def test_piped_in(cli, monkeypatch, folder, model, tmp_path):
    file = tmp_path / "evil.safetensors"
    random_vectors(model, "evil", 0).save(file)
    lines = ["Hello", "/dial 0", "", "/nonsense", "Again", "/quit", "Never"]
    options = ["--vectors", file, "--layer", "2", "-c", "1.5", "--max-new-tokens", "5", "--dtype", "float32"]
    result = run(cli, monkeypatch, lines, folder, *options)
    assert result.code == 0, result.err
    assert result.out.count("projection at layer 2: evil") == 2
    assert result.out.count("by the dial") == 1
    assert "steering evil, dial 0, layer 2" in result.err
    assert "error: unknown command /nonsense" in result.err


def test_as_json(cli, monkeypatch, folder):
    result = run(cli, monkeypatch, ["Hello"], folder, "--json", "--max-new-tokens", "5")
    turn = json.loads(result.out)
    assert turn["question"] == "Hello"
    assert turn["projections"] == {}
    assert turn["steering"] is None


def test_the_dial_begins_where_a_sweep_chose(cli, monkeypatch, folder, model, tmp_path):
    random_vectors(model, "evil", 0).save(tmp_path / "extract/evil/vectors.safetensors")
    nothing = ArmScores(trait=None, coherence=None, answers=1, unscored=1, by_question=(None,))
    SweepResult(
        trait="evil",
        fingerprint=model.fingerprint,
        config=SweepConfig(),
        questions=("Why?",),
        unsteered=nothing,
        points=(SweepPoint(layer=2, coefficient=0.5, scores=nothing),),
        chosen=0,
    ).save(tmp_path / "sweep/evil/sweep.json")
    options = [folder, "--vectors", tmp_path, "--json", "--max-new-tokens", "5"]
    turn = json.loads(run(cli, monkeypatch, ["Hello"], *options).out)
    assert (turn["layer"], turn["steering"]) == (2, "0.5 evil")
    turn = json.loads(run(cli, monkeypatch, ["Hello"], *options, "-c", "0", "--layer", "1").out)
    assert (turn["layer"], turn["steering"]) == (1, None)
    turn = json.loads(run(cli, monkeypatch, ["Hello"], *options, "--steer", "-2 evil@0").out)
    assert (turn["layer"], turn["steering"], turn["dial"]) == (2, "-2 evil@0", 1.0)


def test_a_conversation_that_fills_the_context_goes_on_after_reset(cli, monkeypatch, folder):
    result = run(cli, monkeypatch, ["x" * 2000, "Hello"], folder, "--max-new-tokens", "5")
    assert result.code == 0
    assert result.err.count("error: ") == 1
    assert result.out.strip()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--layer", "9"], "there is no layer 9"),
        (["--vectors", "nowhere.safetensors"], "no such file"),
        (["--steer", "evil -"], "column 7, at the end: a name is missing"),
        (["--steer", "evil + loud"], "column 8, before 'loud': there is no vector 'loud'"),
    ],
)
def test_refused_before_anything_is_typed(cli, monkeypatch, folder, model, tmp_path, options, says):
    file = tmp_path / "evil.safetensors"
    random_vectors(model, "evil", 0).save(file)
    result = run(cli, monkeypatch, ["Hello"], folder, "--vectors", file, *options)
    assert result.code == 2
    assert says in result.err
    assert result.out == ""


def test_vectors_of_another_model(cli, monkeypatch, folder, tmp_path):
    other = load(str(persona_kit.tiny_chat_model(tmp_path / "other", seed=1)), dtype="float32")
    random_vectors(other, "evil", 0).save(tmp_path / "evil.safetensors")
    result = run(cli, monkeypatch, ["Hello"], folder, "--vectors", tmp_path / "evil.safetensors")
    assert result.code == 2
    assert "another model" in result.err


def test_typed_at_a_terminal(talk, monkeypatch, capsys):
    typed = iter(["Hello ", "", "/quit"])
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda prompt: next(typed))
    lines = chat._read_lines(talk)
    assert [next(lines), next(lines)] == ["Hello", "/quit"]
    assert "steering evil, dial 0, layer 1" in capsys.readouterr().err
