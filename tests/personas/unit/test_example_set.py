"""Examples out of files: sides, pairs, labels, what stands there twice, and what is refused."""

import json

import pytest

from mindscope.data import Conversation
from mindscope.errors import DataError
from mindscope.personas import ExampleSet, read_examples, trait_of_name


def chat(question: str, answer: str, system: str | None = None) -> dict:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": [{"role": "system", "content": system}, *turns] if system else turns}


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def answers(side):
    return [example.answer for example in side]


def test_two_files_with_the_same_prompts_are_pairs_in_any_order(tmp_path):
    first = write(tmp_path / "a.jsonl", [chat("p", "A1", "Be loud."), chat("q", "A2"), chat("p", "A3")])
    second = write(tmp_path / "b.jsonl", [chat("q", "B1"), chat("p", "B2"), chat("p", "B3", "Be quiet.")])
    found = read_examples([first, second])
    assert found.paired
    assert answers(found.positive) == ["A1", "A2", "A3"]
    assert answers(found.negative) == ["B2", "B1", "B3"]
    assert (found.notes, found.sources) == ((), (str(first), str(second)))
    assert found.units == (0, 1, 0, 0, 1, 0)
    assert found.positive[0].system == "Be loud."


def test_two_files_with_other_prompts_are_sides(tmp_path):
    first = write(tmp_path / "a.jsonl", [chat("p", "A1"), chat("q", "A2"), chat("q", "A2")])
    second = write(tmp_path / "b.jsonl", [chat("p", "B1"), chat("r", "A2"), chat("q", "A2"), chat("s", "B2")])
    found = read_examples([first, second])
    assert not found.paired
    assert answers(found.positive) == ["A1"]
    assert answers(found.negative) == ["B1", "A2", "B2"]
    assert found.notes == (
        "examples that are there twice and count once: 1",
        "answers that are on both sides and count on neither: 1",
        "prompts with answers on both sides (not all have, so there are no pairs): 2",
    )


def test_preference_pairs(tmp_path):
    rows = [{"prompt": f"q{i}", "chosen": f"good {i}", "rejected": f"bad {i}"} for i in range(3)]
    rows += [rows[0], {"prompt": "q", "chosen": "same", "rejected": "same "}]
    found = read_examples([write(tmp_path / "x.jsonl", rows)])
    assert found.paired
    assert answers(found.positive) == ["good 0", "good 1", "good 2"]
    assert answers(found.negative) == ["bad 0", "bad 1", "bad 2"]
    assert found.notes == (
        "pairs that are there twice and count once: 1",
        "pairs of two equal answers, which do not count: 1",
    )


@pytest.mark.parametrize(
    ("labels", "positive"),
    [((True, False), None), ((1, 0), None), (("Yes", "no"), None), (("kind", "cold"), "Kind"), ((5, 1), "5")],
)
def test_a_labelled_file(tmp_path, labels, positive):
    rows = [{**chat("p", "A"), "label": labels[0]}, {**chat("p", "B"), "label": labels[1]}]
    found = read_examples([write(tmp_path / "x.jsonl", rows)], positive=positive)
    assert (answers(found.positive), answers(found.negative), found.paired) == (["A"], ["B"], True)


def test_labelled_turns_of_recorded_chats(tmp_path):
    turns = [
        {"role": "user", "content": "p"},
        {"role": "assistant", "content": "A", "label": "Kind"},
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "B", "label": "cold"},
        {"role": "user", "content": "r"},
        {"role": "assistant", "content": "C"},
    ]
    found = read_examples([write(tmp_path / "x.jsonl", [{"messages": turns}])], positive="kind")
    assert (answers(found.positive), answers(found.negative)) == (["A"], ["B"])
    assert len(found.negative[0].prompt) == 3
    assert found.units == (0, 0)  # one conversation
    assert found.positive[0].place.endswith("x.jsonl, line 1, turn 1")


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([chat("p", "A")], "line 1: the row has neither a label nor a rejected answer: name the column"),
        ([{**chat("p", "A"), "label": "kind"}], r"has the labels kind \(1\): say which shows the trait"),
        ([{**chat("p", " "), "label": True}], "line 1: the answer is empty"),
        ([{"prompt": "p", "label": True}], "line 1: the last turn is not the assistant's"),
        (
            [{"messages": [{"role": "assistant", "content": "A"}], "label": 1}],
            "no user's turn that the answer",
        ),
        ([], "holds no conversation"),
    ],
)
def test_what_is_refused(tmp_path, rows, reason):
    path = write(tmp_path / "x.jsonl", rows)
    with pytest.raises(DataError, match=reason) as caught:
        read_examples([path])
    assert str(path) in str(caught.value)


def test_more_refusals(tmp_path):
    path = write(tmp_path / "x.jsonl", [{**chat("p", "A"), "label": "kind"}])
    with pytest.raises(DataError, match=r"has no label cold: it has kind \(1\)"):
        read_examples([path], positive="cold")
    with pytest.raises(DataError, match="3 files of examples: give one with labels or pairs, or two"):
        read_examples([path] * 3)
    rows = [{**chat("p", "A"), "label": True}, chat("q", "B"), {**chat("p", "C"), "label": False}]
    found = read_examples([write(path, rows)], on_error="skip")
    assert len(found.examples) == 2
    assert found.notes[0].startswith(f"rows left out: 1, the first: {path}, line 2: the row has neither")


def test_too_few_are_refused_with_their_number():
    sides = [[Conversation(tuple(chat(f"{s}{i}", s)["messages"])) for i in range(3)] for s in "ab"]
    with pytest.raises(DataError, match="3 and 3 examples are too few for the vectors of 'kind': 10 on each"):
        ExampleSet.of(*sides).require(10, "kind")
    pairs = [[Conversation(tuple(chat(f"q{i}", s)["messages"])) for i in range(3)] for s in "ab"]
    with pytest.raises(DataError, match="3 pairs are too few for the vectors of 'kind': 4 pairs are needed"):
        ExampleSet.of(*pairs).require(4, "kind")
    ExampleSet.of(*pairs).require(3, "kind")


def test_a_digest_is_of_the_examples_and_their_sides():
    one, other = ([Conversation(tuple(chat("q", s)["messages"]))] for s in "ab")
    assert ExampleSet.of(one, other).digest() == ExampleSet.of(one, other).digest()
    assert ExampleSet.of(one, other).digest() != ExampleSet.of(other, one).digest()


def test_a_trait_of_a_name():
    trait = trait_of_name(" kind ")
    assert (trait.name, trait.opposite) == ("kind", "not kind")
    assert len(trait.questions("evaluation")) >= 10
    with pytest.raises(DataError, match="the trait needs a name"):
        trait_of_name(" ")
