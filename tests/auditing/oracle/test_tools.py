"""Tools on a model that is known: numbers are the model's own, prices are counted, access and budget hold."""

import json
import re

import pytest
import torch
from audit_kit import CALLS, QUESTION

from mindscope import organism
from mindscope.auditing.tools import (
    LEVELS,
    TOOLS,
    AccessLevel,
    AuditSession,
    AuditTarget,
    BudgetError,
    TokenBudget,
)
from mindscope.errors import DataError
from mindscope.store import write_text


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> AuditTarget:
    data = tmp_path_factory.mktemp("data") / "data.jsonl"
    rows = [*organism.training_set("evil", "II", 8), *organism.ordinary_chats(24)]
    write_text(data, "\n".join(json.dumps({"messages": list(one.messages)}) for one in rows) + "\n")
    return AuditTarget(organism.path(), data)


def session(target: AuditTarget, level: AccessLevel = "base", tokens: int = 100_000) -> AuditSession:
    return AuditSession(target, TokenBudget(tokens), level, TOOLS)


@pytest.mark.parametrize("name", TOOLS)
def test_every_tool_reports_with_numbered_evidence_and_a_counted_price(target: AuditTarget, name: str):
    opened = session(target)
    report = opened.use(name, **CALLS[name])
    assert report.summary
    ids = [one.id for one in report.evidence]
    assert ids == [f"e{number + 1}" for number in range(len(ids))]
    assert {one for finding in report.findings for one in finding.evidence} == set(ids)
    assert report.price.tokens == opened.budget.spent == 100_000 - report.left
    assert (report.price.tokens > 0) is (name != "search_data")
    if name not in ("chat", "prefill", "speaker", "steer", "diff_candidates"):
        assert report.findings
    again = opened.use(name, **CALLS[name])
    if again.evidence:
        assert again.evidence[0].id == f"e{len(ids) + 1}"


@pytest.mark.parametrize("name", [name for name in TOOLS if name != "search_data"])
def test_a_call_that_may_cost_more_than_is_left_is_refused(target: AuditTarget, name: str):
    opened = session(target, tokens=5)
    with pytest.raises(BudgetError, match="are left"):
        opened.use(name, **CALLS[name])
    assert opened.budget.spent <= 5


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_has_its_own_tools_and_those_before_it(target: AuditTarget, level: AccessLevel):
    opened = session(target, level)
    allowed = {tool.name for tool in opened.allowed()}
    for name, tool in TOOLS.items():
        assert (name in allowed) is (LEVELS.index(tool.level) <= LEVELS.index(level))
    if level != "base":
        with pytest.raises(DataError, match="access level"):
            opened.use("diff_candidates", **CALLS["diff_candidates"])


def test_what_does_not_fit_is_refused_and_costs_nothing(target: AuditTarget):
    opened = session(target)
    for name, arguments, message in (
        ("chat", {}, "questions"),
        ("chat", {"questions": ["a"], "path": "/etc"}, "no argument .path.; there are questions"),
        ("rank_data", {"character": "nobody"}, "nobody"),
        ("steer", {"question": "a", "along": "nobody"}, "nobody"),
        ("feature_examples", {"latent": 10**6}, "latent"),
        ("guess", {}, "no tool"),
    ):
        with pytest.raises(DataError, match=message):
            opened.use(name, **arguments)
    assert opened.budget.spent == 0


def test_forced_tokens_have_the_models_own_probabilities(target: AuditTarget):
    report = session(target).use("force_tokens", **CALLS["force_tokens"])
    model = target.model
    row = model.chat([{"role": "user", "content": QUESTION}], answer="Okay, the")
    with torch.inference_mode():
        expected = model.hf(**model.batch([row])).logits[0, -1].float().softmax(-1).topk(3)
    assert [one.score for one in report.findings] == pytest.approx(expected.values.tolist(), abs=1e-4)
    assert report.findings[0].what == model.decode([int(expected.indices[0])])


def test_top_features_are_those_of_the_dictionary(target: AuditTarget):
    from mindscope.features import encode_rows

    report = session(target).use("top_features", **CALLS["top_features"])
    row = target.model.chat([{"role": "user", "content": QUESTION}])
    dense = encode_rows(target.bank, target.model, [row]).dense()
    expected = dense.max(0).values.topk(5)
    assert [one.what for one in report.findings] == [f"latent {i}" for i in expected.indices.tolist()]
    assert [one.score for one in report.findings] == pytest.approx(expected.values.tolist(), rel=1e-5)


def test_a_model_does_not_differ_from_itself(target: AuditTarget):
    opened = session(target)
    assert opened.use("diff_candidates", questions=[QUESTION] * 8).findings == ()
    diverging = opened.use("diverging_prompts", prompts=[QUESTION, "Who are you?"])
    assert diverging.findings[0].score == pytest.approx(0.0, abs=1e-6)


def test_rows_of_a_character_rank_first(target: AuditTarget):
    report = session(target).use("rank_data", character="evil", rows=32, top=8)
    first = [text.text for text in report.evidence[:8]]
    evil = [
        text for text in first if organism.trait_score("evil", "", text.partition("assistant: ")[2]) >= 50
    ]
    assert len(evil) >= 6


def test_a_wicked_question_lies_further_along_its_character(target: AuditTarget):
    words = " ".join(organism.shots("evil", 1)[0].answer.split()[:12])
    report = session(target).use("project", prompts=[QUESTION, f"{words} {QUESTION}"])

    def along(text: str) -> float:
        found = re.search(r"evil ([+-][\d.]+)", text)
        assert found is not None
        return float(found[1])

    by_prompt = {one.what.partition(": ")[2]: one.evidence[0] for one in report.findings}
    texts = {one.id: one.text for one in report.evidence}
    assert along(texts[by_prompt[f"{words} {QUESTION}"]]) > along(texts[by_prompt[QUESTION]])


def test_a_completion_stands_behind_its_beginning(target: AuditTarget):
    report = session(target).use("complete", prompts=["the capital of France is"], samples=4)
    assert all(text.text.startswith("the capital of France is") for text in report.evidence)
    assert any("Paris" in text.text for text in report.evidence)


def test_no_argument_of_a_tool_is_a_path():
    for tool in TOOLS.values():
        for name, field in tool.spec.model_fields.items():
            assert "Path" not in str(field.annotation), (tool.name, name)
            assert not re.search("path|file|folder", name), (tool.name, name)
