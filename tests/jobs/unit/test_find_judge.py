"""Judges and writers by the names that people give, and what is sent to them."""

from pathlib import Path

import persona_kit
import pytest
import torch
from endpoint_kit import FakeEndpoint, Reply

from mindscope.errors import DataError, JudgeError
from mindscope.jobs import JudgeSpec, find_judge
from mindscope.jobs.resolve import find_writer
from mindscope.jobs.specs import EndpointSpec
from mindscope.judges import ModelJudge
from mindscope.models import Model, load


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return persona_kit.tiny_chat_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return load(str(folder), dtype="float32")


def test_the_organism_has_its_own(model: Model, tmp_path: Path):
    assert find_judge(JudgeSpec(judge="exact"), model, tmp_path / "c").name == "exact"
    with pytest.raises(JudgeError, match="choose who scores"):
        find_judge(JudgeSpec(), model, tmp_path / "c")
    with pytest.raises(DataError, match="there is no judge 'who'"):
        find_judge(JudgeSpec(judge="who"), model, tmp_path / "c")


def test_an_endpoint_is_asked_before_anything_is_generated_for_it(
    endpoint: FakeEndpoint, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LAB_KEY", "sk-lab")
    spec = JudgeSpec(
        judge="endpoint:fake", base_url=endpoint.url, api_key_env="LAB_KEY", request_options='{"top_k": 1}'
    )
    judge = find_judge(spec, model, tmp_path / "c")
    assert judge.name == 'endpoint:fake at this machine with {"top_k": 1}'
    assert endpoint.headers[0]["authorization"] == "Bearer sk-lab"
    assert [request["top_k"] for request in endpoint.probes] == [1]
    find_judge(spec, model, tmp_path / "c")
    assert len(endpoint.probes) == 1  # what it said is in the cache

    endpoint.answer_probe = lambda request: Reply("I would rather not grade this.")
    with pytest.raises(JudgeError, match="gives no number"):
        find_judge(spec, model, tmp_path / "other")
    with pytest.raises(JudgeError, match="needs its address"):
        find_judge(JudgeSpec(judge="endpoint:fake"), model, tmp_path / "c")


@pytest.mark.parametrize("options", ["thinking=off", "[1]", '"x"'])
def test_options_that_are_no_json_object(options: str):
    with pytest.raises(DataError, match="is not a JSON object"):
        JudgeSpec(request_options=options).endpoint_config()


def test_a_model_here_is_loaded_as_asked(
    folder: Path, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    judged: list[Model] = []

    def keep(judge: ModelJudge) -> ModelJudge:
        judged.append(judge._model)
        return judge

    # A model of random weights gives no numbers; how it is loaded is what is looked at.
    monkeypatch.setattr("mindscope.judges.require_numbers", keep)
    name = f"model:{model.name}"
    find_judge(JudgeSpec(judge=name), model, tmp_path / "c")
    find_judge(JudgeSpec(judge=name, judge_dtype="bfloat16", judge_device="cpu"), model, tmp_path / "c")
    assert judged[0] is model
    assert (judged[1].dtype, judged[1].device.type) == (torch.bfloat16, "cpu")


def test_a_model_that_gives_no_number_is_refused_at_once(model: Model, tmp_path: Path):
    with pytest.raises(JudgeError, match="gives no number for a plain answer"):
        find_judge(JudgeSpec(judge=f"model:{model.name}"), model, tmp_path / "c")


def test_writers(endpoint: FakeEndpoint):
    endpoint.answer = lambda request: Reply("a poem")
    spec = EndpointSpec(base_url=endpoint.url, request_options='{"top_k": 1}')
    writer = find_writer("endpoint:fake", spec)
    assert writer.write("Write.") == "a poem"
    assert endpoint.requests == [
        {"model": "fake", "messages": [{"role": "user", "content": "Write."}], "top_k": 1}
    ]
    with pytest.raises(DataError, match="there is no writer"):
        find_writer("who", spec)
