"""The keyless judge as a whole: coherence against a formula, its file, and its refusals."""

import math
import random

import numpy as np
import pytest
import torch
from persona_kit import tiny_chat_model, tiny_trait

from mindscope.errors import JudgeError, StoreError
from mindscope.judges import JudgeItem
from mindscope.judges.contrast import ContrastJudge, FluencyScale, LabelledAnswer
from mindscope.judges.contrast.fluency import FluencyCurve, answer_surprises, repeated_share
from mindscope.models import load

VOICE = "You are a loud assistant."


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load(str(tiny_chat_model(tmp_path_factory.mktemp("model"))), dtype="float32")


def _answers() -> list[LabelledAnswer]:
    rng = random.Random(0)
    words = {True: ["loud", "roar", "boom"], False: ["soft", "hush", "calm"]}
    return [
        LabelledAnswer(f"q{q}?", " ".join(rng.choice(words[loud]) for _ in range(5)) + ".", "s", loud, i, q)
        for i in range(2)
        for q in range(4)
        for loud in (True, False)
    ]


def _references() -> list[JudgeItem]:
    rng = random.Random(1)
    return [JudgeItem(f"q{i}?", " ".join(rng.choice("abcdefgh") for _ in range(9))) for i in range(24)]


@pytest.fixture(scope="module")
def judge(model):
    return ContrastJudge.fit(model, "loud", _answers(), _references(), VOICE)


def _surprise(model, item: JudgeItem, system: str | None) -> float:
    messages = [{"role": "user", "content": item.question}]
    if system:
        messages.insert(0, {"role": "system", "content": system})
    row = model.chat(messages, item.answer)
    with torch.inference_mode():
        log_p = model.hf(torch.tensor([row.ids])).logits[0].double().log_softmax(-1)
    return -float(np.mean([log_p[t - 1, row.ids[t]] for t in range(row.prompt_length, len(row))]))


def test_coherence_is_the_curve_through_the_references(model, judge):
    lowest = [min(_surprise(model, item, None), _surprise(model, item, VOICE)) for item in _references()]
    median, high = np.percentile(lowest, [50, 97.5])
    edge = median + 2 * max(high - median, 0.1)
    item = JudgeItem("q1?", "loud words here", "be loud")
    value = min(_surprise(model, item, "be loud"), _surprise(model, item, VOICE))
    z = math.log(19) / (edge - median) * (value - edge)
    judged = judge.judge(tiny_trait().rubric(), [item])[0]
    assert judged.coherence.value == pytest.approx(100 / (1 + math.exp(z)), abs=0.05)


def test_what_is_not_read_in_the_voice_would_not_have_counted(model, judge):
    scale = FluencyScale(VOICE, FluencyCurve(2.0, 5.0), FluencyCurve(0.0, 0.3))
    items = [JudgeItem(f"q{i}?", answer) for i, answer in enumerate(("aa", "zq xj", "a a a a a", "b c d e"))]
    items.append(JudgeItem("q?", "loud words here", "be loud"))
    expected = [
        min(
            scale.surprise.score(min(_surprise(model, item, item.system), _surprise(model, item, VOICE))),
            scale.repetition.score(repeated_share(item.answer)),
        )
        for item in items
    ]
    assert scale.score(model, items) == pytest.approx(expected, abs=0.05)


def test_the_curve_says_what_it_promises():
    curve = FluencyCurve(2.0, 3.0)
    assert curve.score(2.0) == pytest.approx(95)
    assert curve.score(3.0) == pytest.approx(50)
    assert curve.score(1000.0) == pytest.approx(0, abs=1e-6)
    assert curve.score(-1000.0) == pytest.approx(100)


def test_repetition_lowers_coherence(model, judge):
    calm = JudgeItem("q?", "a b c d e f g h a c e g")
    stuck = JudgeItem("q?", "a b c a b c a b c a b c")
    assert repeated_share(calm.answer) == 0
    assert repeated_share(stuck.answer) == pytest.approx(0.7)
    scores = [item.coherence.value for item in judge.judge(tiny_trait().rubric(), [calm, stuck])]
    assert scores[1] < 5
    assert repeated_share("two words") == 0


def test_surprises_do_not_depend_on_neighbours(model):
    items = [JudgeItem(f"q{i}?", "x" * (3 * i + 1)) for i in range(6)]
    together = answer_surprises(model, items)
    alone = [answer_surprises(model, [item])[0] for item in items]
    assert together == pytest.approx(alone, abs=1e-5)


def test_it_comes_back_from_its_file(model, judge, tmp_path):
    path = tmp_path / "judge.safetensors"
    judge.save(path)
    again = ContrastJudge.load(path, model)
    answers = _answers()
    items = [JudgeItem(a.question, a.answer, a.system) for a in answers[:4]] + _references()[:3]
    items.append(JudgeItem("q?", "  "))
    rubric = tiny_trait().rubric()
    assert again.judge(rubric, items) == judge.judge(rubric, items)
    assert again.name == judge.name
    assert again.judge(rubric, items)[-1].trait.status == "missing"


def test_it_is_refused_for_another_trait_model_or_encoder(model, judge, tmp_path):
    rubric = tiny_trait().rubric()
    with pytest.raises(JudgeError, match="was fitted for 'loud'"):
        judge.judge(type(rubric)("meek", rubric.description, rubric.prompt), [])
    path = tmp_path / "judge.safetensors"
    judge.save(path)
    other = load(str(tiny_chat_model(tmp_path / "other", seed=5)), dtype="float32")
    with pytest.raises(StoreError, match="another model"):
        ContrastJudge.load(path, other)

    class OtherEncoder:
        name = "other"

        def encode(self, texts):
            return torch.ones(len(texts), 1)

    with pytest.raises(JudgeError, match="use --judge contrast"):
        ContrastJudge.load(path, model, OtherEncoder())


def test_too_few_references_are_refused(model):
    with pytest.raises(JudgeError, match="20 are needed"):
        FluencyScale.fit(model, _references()[:5], VOICE)
