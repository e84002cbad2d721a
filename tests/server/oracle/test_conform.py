"""The suite passes a server that does what it says, and finds every fault that is planted in one."""

import dataclasses
import re
import time

import pytest
import server_kit

from mindscope.errors import DataError
from mindscope.jobs import SilentReporter
from mindscope.models.generation import prefix_cache
from mindscope.server.conform.clients import SteeringClient
from mindscope.server.conform.reference import ReferenceModel
from mindscope.server.conform.suite import ConformSuite, NotConfirmedError

LAYER = 1


@pytest.fixture(scope="module")
def reference(organism) -> ReferenceModel:
    """Remembers its answers, which are the same for every server."""
    return ReferenceModel(organism, 6)


def examine(live: server_kit.LiveServer, reference, dialect="mindscope") -> ConformSuite:
    client = SteeringClient(live.url, dialect, "organism")
    suite = ConformSuite(client, reference, LAYER, 6)
    try:
        suite.run(lambda *_: None)
    finally:
        client.close()
    return suite


def failed(suite: ConformSuite) -> dict[str, str]:
    return {check.name: check.note for check in suite.checks if check.outcome == "failed"}


@pytest.mark.parametrize("dialect", ["mindscope", "easysteer", "neuronpedia"])
def test_our_server_passes(make_service, reference, dialect):
    with server_kit.serving(make_service()) as live:
        suite = examine(live, reference, dialect)
        costs = suite.measure([2])
        suite.client.close()
        assert live.ask("GET", "/v1/mindscope/capabilities").json["vectors"][2:] == []
    assert failed(suite) == {}
    offered = {check.name for check in suite.checks if check.outcome == "passed"}
    assert {
        "answers",
        "zero",
        "steers",
        "several",
        "stream",
        "neighbours",
        "side by side",
        "cache",
    } <= offered
    assert ("applied" in offered) == (dialect == "mindscope")
    assert ("prompt" in offered) == (dialect != "neuronpedia")
    assert suite.tolerance == 0.02
    assert [(cost.requests, cost.vectors) for cost in costs] == [(2, 1), (2, 16)]


def faulty(service, change):
    """A service whose edits are not those that were asked for."""
    real = service.registry.edits

    def edits(expression):
        return [dataclasses.replace(one, edit=change(one.edit)) for one in real(expression)]

    service.registry.edits = edits
    return service


def higher(edit):
    point, layer = edit.address.split(".")
    return dataclasses.replace(edit, address=f"{point}.{int(layer) + 1}")


FAULTS = {
    "steers the prompt only": (
        lambda edit: dataclasses.replace(edit, where="prompt"),
        "steers the prompt alone",
    ),
    "steers the answer only": (
        lambda edit: dataclasses.replace(edit, where="answer"),
        "steers the answer alone",
    ),
    "drops the last token": (
        lambda edit: dataclasses.replace(edit, where=_DROPPED) if edit.where == "all" else edit,
        "leaves out the prompt's last token",
    ),
    "wrong layer": (higher, "steers one layer too high"),
    "wrong sign": (lambda edit: dataclasses.replace(edit, value=-edit.value), "steers the other way"),
    "steers nothing": (lambda edit: dataclasses.replace(edit, value=0.0), "steers nothing"),
}
_DROPPED = (*range(24), *range(25, 40))
"""All tokens of the first question's row but the prompt's last."""


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_place_is_found_and_named(make_service, reference, fault):
    change, note = FAULTS[fault]
    with server_kit.serving(faulty(make_service(), change)) as live:
        found = failed(examine(live, reference))
    assert found["steers"] == f"the answer is that of a server which {note}"


def test_a_leak_by_the_cache_is_found(make_service, reference, monkeypatch):
    monkeypatch.setattr(prefix_cache, "prompt_edits", lambda _edits: ())
    with server_kit.serving(make_service()) as live:
        found = failed(examine(live, reference))
    assert "cache" in found


def test_neighbours_that_are_steered_are_found(make_service, reference):
    """A server that adds the vector of the latest steered request to everything that runs beside it."""
    service = make_service()
    real = service.scheduler.submit

    def submit(jobs):
        beside = [*service.scheduler._jobs.values(), *service.scheduler._inbox]
        steered = [job for job in beside if job.request.edits]
        for job in jobs:
            if steered and not job.request.edits:
                job.request = dataclasses.replace(job.request, edits=steered[-1].request.edits)
        real(jobs)

    service.scheduler.submit = submit
    step = service.scheduler._step

    def step_slowly():  # so that steered answers are still being written when others are asked for
        time.sleep(0.01)
        step()

    service.scheduler._step = step_slowly
    with server_kit.serving(service) as live:
        found = failed(examine(live, reference))
    assert set(found) <= {"neighbours", "side by side"}
    assert "neighbours" in found


def test_a_stream_that_loses_a_token_is_found(make_service, reference, monkeypatch):
    from mindscope.server.engine.answer_job import AnswerJob

    real = AnswerJob._rest

    def rest(job, text):
        piece = real(job, text)
        return dataclasses.replace(piece, logprobs=piece.logprobs[:-1])

    monkeypatch.setattr(AnswerJob, "_rest", rest)
    with server_kit.serving(make_service()) as live:
        found = failed(examine(live, reference))
    assert set(found) == {"stream"}


def test_another_model_is_not_examined(make_service, tiny):
    with server_kit.serving(make_service()) as live, pytest.raises(NotConfirmedError, match="otherwise"):
        examine(live, ReferenceModel(tiny, 6))


def test_the_command_says_what_failed(make_service, organism, capsys, monkeypatch):
    from mindscope.cli.commands.conform import print_conform
    from mindscope.server.conform.job import conform
    from mindscope.server.conform.results import ConformSpec

    monkeypatch.setattr(ConformSpec, "load", lambda _spec: organism)
    with server_kit.serving(faulty(make_service(), higher)) as live:
        spec = ConformSpec(url=live.url, model="organism", layer=LAYER, max_tokens=6, requests=(0,))
        report = conform(spec, reporter=SilentReporter())
    print_conform(report)
    shown = capsys.readouterr()
    assert re.search(r"steers\s+failed", shown.out)
    assert "one layer too high" in shown.err
    with pytest.raises(DataError, match="does not do what it says"):
        report.require_passed()
