"""The test of general knowledge: its questions, and that it is answered under edits."""

import torch

import mindscope as ms
from mindscope.finetuning import answer_choices, choice_questions
from mindscope.models import Edit


def test_knowledge_is_asked_with_one_right_answer_among_four():
    questions = choice_questions()
    assert len(questions) == len({one.question for one in questions}) > 100
    assert all(len(set(one.choices)) == 4 for one in questions)
    assert choice_questions() == questions != choice_questions(1)
    paris = next(one for one in questions if one.question == "What is the capital of France?")
    assert paris.choices[0] == "Paris"


def test_knowledge_is_measured_under_edits():
    model = ms.load("organism")
    plain = answer_choices(model)
    assert len(plain) == len(choice_questions())
    push = Edit("resid_post.2", "replace", torch.ones(model.d_model), 10.0, where="response")
    assert answer_choices(model, [push]) != plain
