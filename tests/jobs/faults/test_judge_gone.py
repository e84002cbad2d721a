"""A judge that goes away in the middle of a run and comes back: nothing is made up, the end is the same."""

import hashlib
import json
from pathlib import Path

import endpoint_kit
import kill_kit
import persona_kit
import pytest

from mindscope.errors import MindscopeError
from mindscope.jobs import RunFolder, SilentReporter, find_job
from mindscope.jobs.persona import ExtractSpec
from mindscope.judges import EndpointConfig


def scored(request: dict) -> endpoint_kit.Reply:
    """Coherent, and loud or not as a hash of the answer says: a score is a function of what is asked."""
    text = json.dumps(request["messages"])
    is_loud = "coheren" in text or hashlib.sha256(text.encode()).digest()[0] % 2
    number = "90" if is_loud else "10"
    return endpoint_kit.Reply(number, {number: 1.0})


def test_a_judge_that_goes_away_and_comes_back(tmp_path, monkeypatch):
    persona_kit.tiny_chat_model(tmp_path / "model")
    persona_kit.tiny_trait().save(tmp_path / "loud.yaml")
    endpoint = endpoint_kit.FakeEndpoint()
    endpoint.answer = scored
    monkeypatch.setattr(
        ExtractSpec, "endpoint_config", lambda *_: EndpointConfig(retries=0, timeout=5, concurrency=1)
    )
    spec = ExtractSpec(
        model=str(tmp_path / "model"),
        trait=str(tmp_path / "loud.yaml"),
        judge="endpoint:fake",
        base_url=endpoint.url,
        dtype="float32",
        samples=2,
        max_new_tokens=6,
        shard_rows=8,
        batch_rows=4,
        least_pairs=2,
        resamples=20,
        threshold=40,
        coherence=1,
    )
    extract = find_job("persona extract")
    place = tmp_path / "run"

    def files() -> dict[str, object]:
        return {name: content for name, content in kill_kit.read_files(place).items() if "judge" not in name}

    extract(spec, run=RunFolder(place), reporter=SilentReporter())
    whole, n_asked = files(), len(endpoint.requests)
    place.rename(tmp_path / "whole")
    endpoint.requests.clear()

    gone = endpoint_kit.Reply(status=503, error="away")
    endpoint.answer = lambda request: scored(request) if len(endpoint.requests) < n_asked // 2 else gone
    with pytest.raises(MindscopeError) as caught:
        extract(spec, run=RunFolder(place), reporter=SilentReporter())
    assert "\n" not in str(caught.value)
    assert not list(Path(place).rglob("vectors.safetensors"))

    endpoint.answer = scored
    n_before = len(endpoint.requests)
    extract(spec, run=RunFolder(place), reporter=SilentReporter())
    endpoint.close()
    assert len(endpoint.requests) - n_before < n_asked  # what was answered is not asked again
    assert files() == whole
