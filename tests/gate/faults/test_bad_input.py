"""What a gate cannot judge is refused in one line, before anything is measured."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import finetune_kit
import gate_kit
import persona_kit
import pytest

from mindscope.cli.app import main
from mindscope.core import ModelIdentity
from mindscope.errors import DataError, MindscopeError, StoreError
from mindscope.gate import run_gate
from mindscope.gate.preparing import require_pair
from mindscope.jobs import RunFolder, SilentReporter
from mindscope.jobs.diff import ordinary_rows
from mindscope.models import load


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gate_kit.write_bench(tmp_path_factory.mktemp("bench"))


def refused(bench: Path, capsys: pytest.CaptureFixture[str], **changes: str) -> str:
    """The line with which the command line ends."""
    given = {
        "--data": str(bench / "data.jsonl"),
        "--vectors": str(bench / "loud.safetensors"),
        "--policy": str(bench / "policy.toml"),
        "--judge": "none",
        "--dtype": "float32",
    } | {
        f"--{name.replace('_', '-')}": value
        for name, value in changes.items()
        if name not in ("base", "tuned")
    }
    models = [changes.get(name, str(bench / name)) for name in ("base", "tuned")]
    words = [word for name, value in given.items() for word in (name, value)]
    with pytest.raises(SystemExit) as ended:
        main(["gate", *models, *words, "--run", str(bench / "refused")])
    assert ended.value.code == 2
    *_, line = capsys.readouterr().err.strip().splitlines()
    assert not (bench / "refused/sections").exists()
    return line


def test_an_untuned_pair(bench, capsys):
    assert "has the weights of" in refused(bench, capsys, tuned=str(bench / "base"))


def test_an_empty_data_file(bench, capsys):
    (bench / "empty.jsonl").write_text("")
    assert "empty.jsonl" in refused(bench, capsys, data=str(bench / "empty.jsonl"))


def test_data_that_is_not_there(bench, capsys):
    assert "none.jsonl" in refused(bench, capsys, data=str(bench / "none.jsonl"))


def test_a_policy_with_an_unknown_field(bench, capsys):
    (bench / "bad.toml").write_text(f"{gate_kit.POLICY}\nbehavior = {{}}\n")
    assert "behavior" in refused(bench, capsys, policy=str(bench / "bad.toml"))


def test_a_judge_that_is_down(bench, capsys, monkeypatch):
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)  # it is asked again, in vain
    line = refused(bench, capsys, judge="endpoint:judge", base_url="http://127.0.0.1:9/v1")
    assert "127.0.0.1:9" in line


def test_a_judge_without_an_address(bench, capsys):
    assert "--base-url" in refused(bench, capsys, judge="endpoint:judge")


def test_another_tokenizer(bench, capsys, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(bench / "tuned", other)
    template = (other / "chat_template.jinja").read_text()
    (other / "chat_template.jinja").write_text(template.replace("assistant", "helper"))
    assert "other tokens" in refused(bench, capsys, tuned=str(other))


def test_another_shape(bench, capsys, tmp_path):
    narrow = persona_kit.tiny_chat_model(tmp_path / "narrow", n_layers=2)
    assert "3 layers x 32" in refused(bench, capsys, tuned=str(narrow))


def test_a_null_that_is_none(bench, capsys, tmp_path):
    """Claims are measured last: a misspelt name cost all that was measured before it."""
    policy = tmp_path / "claims.toml"
    policy.write_text(gate_kit.POLICY.replace('claims = {effect = "skip"}', 'claims = {effect = "report"}'))
    assert "none/such" in refused(bench, capsys, policy=str(policy), null="none/such")
    assert "has the weights of" in refused(bench, capsys, policy=str(policy), null=str(bench / "base"))


def test_ordinary_conversations_of_a_null_have_the_columns_that_were_given(bench, tmp_path):
    file = tmp_path / "ordinary.jsonl"
    file.write_text('{"ask": "Why?", "response": "So."}\n')
    given = gate_kit.spec(bench, ordinary=file, columns=("prompt=ask",), null=("make",))
    assert ordinary_rows(given.diff_spec(40, 6), 0, 1)[0].answer == "So."


def test_nothing_to_watch_for(bench):
    with pytest.raises(ValueError, match="say what to watch for"):
        gate_kit.spec(bench, vectors=())


def test_a_tune_of_another_model():
    stranger = ModelIdentity(fingerprint="a" * 64, name="other/base")
    base = SimpleNamespace(name="base", fingerprint="b", identity=ModelIdentity(fingerprint="b"))
    tuned = SimpleNamespace(
        name="tuned", fingerprint="c", identity=ModelIdentity(fingerprint="c", base=stranger)
    )
    with pytest.raises(DataError, match="was tuned from other/base"):
        require_pair(base, tuned)  # type: ignore[arg-type]


def test_a_judge_that_dies_loses_nothing(bench, monkeypatch):
    """What was measured is kept, and the same command goes on when the judge answers again."""

    class Dying(persona_kit.HashJudge):
        def judge(self, rubric, items):
            raise MindscopeError("the judge is down")

    monkeypatch.setattr("mindscope.gate.preparing.find_judge", lambda *_: Dying())
    with pytest.raises(MindscopeError, match="the judge is down"):
        run_gate(gate_kit.spec(bench), run=RunFolder(bench / "dying"), reporter=SilentReporter())
    assert (bench / "dying/sections/shift.json").exists()
    gate_kit.run(bench, "dying", monkeypatch)
    gate_kit.run(bench, "living", monkeypatch)
    for file in ("gate.json", "character.json"):
        assert (bench / "dying" / file).read_bytes() == (bench / "living" / file).read_bytes()


def test_other_vectors_in_the_same_run_are_refused(bench, monkeypatch):
    gate_kit.run(bench, "claimed", monkeypatch)
    plain = finetune_kit.vectors(load(str(bench / "base"), dtype="float32"), seed=1)
    fields = {name: getattr(plain, name) for name in ("trait", "fingerprint", "matrices", "layers")}
    document = persona_kit.tiny_trait(n_questions=24).document()
    type(plain)(**fields, trait_document=document).save(bench / "other.safetensors")
    with pytest.raises(StoreError, match="made with another traits"):
        gate_kit.run(bench, "claimed", monkeypatch, vectors=(bench / "other.safetensors",))
    (bench / "looser.toml").write_text(gate_kit.POLICY + "shift = {max_share = 9}\n")
    with pytest.raises(StoreError, match=r"policy\.shift\.max_share: 0\.3 -> 9"):
        gate_kit.run(bench, "claimed", monkeypatch, policy=bench / "looser.toml")
