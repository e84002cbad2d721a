"""Vectors, steering and shifts of models that think, and of templates that write the date."""

import json
from datetime import datetime

import persona_kit
import pytest
import torch

from mindscope.errors import DataError, StoreError
from mindscope.models import Generation, Model, load
from mindscope.models.tokens import template as template_module
from mindscope.personas import ExtractConfig, PersonaVectors, extract_vectors, require_final_answers
from mindscope.personas.answers import AnswerRequest, generate_answers
from mindscope.store import Run

THINKS = (
    "{% for m in messages %}<s>{{ m.role }}\n"
    "{% if m.role == 'assistant' and loop.last %}<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}"
    "{{ m.content }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
DATED = "{{ strftime_now('%Y-%m-%d') }}\n" + persona_kit.TEMPLATE
CONFIG = ExtractConfig(samples=2, max_new_tokens=6, least_pairs=2, shard_rows=8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return persona_kit.tiny_chat_model(tmp_path_factory.mktemp("tiny"))


def model_with(folder, template: str) -> Model:
    model = load(folder, dtype="float32")
    model.tokenizer.chat_template = template
    return model


def extract(model: Model, path, judge=None) -> PersonaVectors:
    judge = judge or persona_kit.InstructionJudge()
    with Run.open(path, kind="persona", config={}) as run:
        return extract_vectors(model, persona_kit.tiny_trait(), judge, run, CONFIG)


def test_vectors_say_how_their_prompts_were_rendered_and_are_held_to_it(folder, tmp_path):
    model = model_with(folder, THINKS)
    quick = model.with_template(enable_thinking=False)
    assert quick.fingerprint == model.fingerprint
    vectors = extract(quick, tmp_path / "quick")
    loaded = PersonaVectors.load(tmp_path / "quick" / "extract" / "loud" / "vectors.safetensors")
    assert loaded.template == vectors.template
    loaded.require(quick)
    loaded.require(quick.with_template(clock=datetime(1999, 1, 1)))
    with pytest.raises(DataError, match="give --template-option enable_thinking=false") as caught:
        loaded.require(model)
    assert "\n" not in str(caught.value)
    other = model_with(folder, persona_kit.TEMPLATE)
    with pytest.raises(DataError, match="rendered with enable_thinking=false"):
        loaded.require(other)
    plain = extract(other, tmp_path / "plain")
    with pytest.raises(DataError, match="another chat template"):
        plain.require(model)
    with pytest.raises(StoreError, match="template"):
        extract(model, tmp_path / "quick")


def test_a_run_resumed_on_another_day_renders_the_same_prompts(folder, tmp_path, monkeypatch):
    class Interrupted(persona_kit.InstructionJudge):
        def judge(self, rubric, items):
            raise KeyboardInterrupt

    class NextYear(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime(2031, 1, 1)

    model = model_with(folder, DATED)
    unbroken = extract(model, tmp_path / "unbroken")
    with pytest.raises(KeyboardInterrupt):
        extract(model, tmp_path / "killed", Interrupted())
    pieces = sorted((tmp_path / "killed").rglob("answers/*"))
    for piece in pieces[len(pieces) // 2 :]:
        piece.unlink()
    monkeypatch.setattr(template_module, "datetime", NextYear)
    later = model_with(folder, DATED)
    assert "2031" in later.decode(later.chat([{"role": "user", "content": "x"}]).ids)
    resumed = extract(later, tmp_path / "killed")
    for kind, matrix in unbroken.matrices.items():
        assert torch.equal(matrix, resumed.matrices[kind])


class CutEngine:
    """Answers so many requests with a thought that never ends, and the others plainly."""

    def __init__(self, model: Model, n_cut: int) -> None:
        self._model, self._n_cut = model, n_cut

    def __getattr__(self, name):
        return getattr(self._model, name)

    def generate_unordered(self, rows, *_, **__):
        for index, row in enumerate(rows):
            if index < self._n_cut:
                yield index, Generation(row.answered([5, 6], 2), "", "length", reasoning="hm")
            else:
                yield index, Generation(row.answered([5, 6]), "ok", "length")


@pytest.mark.parametrize("n_cut", [0, 2, 5])
def test_answers_that_were_cut_while_reasoning_are_named_and_never_judged(folder, tmp_path, n_cut):
    model = CutEngine(load(folder, dtype="float32"), n_cut)
    requests = [AnswerRequest("Why?", seed) for seed in range(8)]
    with Run.open(tmp_path, kind="persona", config={}) as run:

        def ask():
            return generate_answers(model, requests, run, "part", config=CONFIG)

        if n_cut > 4:
            with pytest.raises(DataError, match=f"{n_cut} of 8 answers ended while the model was still"):
                ask()
            return
        if n_cut:
            with pytest.warns(UserWarning, match="raise --max-new-tokens"):
                answers = ask()
        else:
            answers = ask()
        assert [answer.cut for answer in answers] == [True] * n_cut + [False] * (8 - n_cut)
        assert [answer.empty for answer in answers] == [answer.cut for answer in answers]
        (document, *_) = json.loads((tmp_path / "part/answers/0000.json").read_text())
        assert document["reasoning"] == ("hm" if n_cut else None)


def test_half_is_the_limit():
    require_final_answers(0, 0)
    with pytest.warns(UserWarning, match="2 of 4"):
        require_final_answers(2, 4)
    with pytest.raises(DataError, match="enable_thinking=false"):
        require_final_answers(3, 4)
