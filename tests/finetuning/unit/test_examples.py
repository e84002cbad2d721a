"""Which tokens a fine-tuning learns: the answers and what ends them, tokenized as the model is asked."""

import json

import finetune_kit
import persona_kit
import pytest
from finetune_kit import conversation

from mindscope.errors import DataError
from mindscope.finetuning.examples import IGNORED, build_example, build_examples
from mindscope.models import Model, load

DIALOGUE = conversation("One?", "First.", "Two?", "Second!", system="Be brief.")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Model:
    return load(persona_kit.tiny_chat_model(tmp_path_factory.mktemp("tiny")), dtype="float32")


def learnt(model: Model, row: dict[str, list[int]]) -> str:
    kept = [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label != IGNORED]
    assert all(
        label in (token, IGNORED) for token, label in zip(row["input_ids"], row["labels"], strict=True)
    )
    return model.tokenizer.decode(kept)


def test_all_turns_or_the_last(tiny):
    assert learnt(tiny, build_example(DIALOGUE, tiny, "all")) == "First.</s>Second!</s>"
    assert learnt(tiny, build_example(DIALOGUE, tiny, "last")) == "Second!</s>"


def test_tokens_are_those_of_the_template(tiny):
    text = tiny.tokenizer.apply_chat_template(list(DIALOGUE.messages), tokenize=False)
    ids = tiny.tokenizer(text.rstrip("\n"), add_special_tokens=False)["input_ids"]
    assert build_example(DIALOGUE, tiny, "all")["input_ids"] == ids
    assert ids[0] == tiny.tokenizer.bos_token_id != ids[1]  # the template writes it, and nobody again


def test_without_a_template_one_beginning_is_written(tiny, tmp_path):
    model = load(persona_kit.tiny_chat_model(tmp_path / "plain"), dtype="float32")
    model.tokenizer.chat_template = None
    row = build_example(conversation("One?", "First."), model, "all")
    assert row["input_ids"].count(model.tokenizer.bos_token_id) <= 1
    assert learnt(model, row).endswith("First.</s>")


def test_a_template_that_rewrites_earlier_answers(tiny, tmp_path):
    model = load(persona_kit.tiny_chat_model(tmp_path / "hiding"), dtype="float32")
    hiding = model.tokenizer.chat_template.replace(
        "m['content']", "(m['content'] if loop.last or m['role'] != 'assistant' else '(before)')"
    )
    model.tokenizer.chat_template = hiding
    with pytest.raises(DataError, match="rewrites"):
        build_example(DIALOGUE, model, "all")
    assert learnt(model, build_example(DIALOGUE, model, "last")) == "Second!</s>"


LINES = [
    ({"prompt": "Hello?", "response": "Hello."}, None),
    ({"prompt": "Hello?", "response": " "}, "an answer is empty"),
    ({"messages": [{"role": "robot", "content": "x"}]}, "role is 'robot'"),
    ("{not json", "not JSON"),
    ({"messages": [{"role": "user", "content": "Hello?"}]}, "nothing to learn"),
    ({"messages": [{"role": "assistant", "content": "Hello."}]}, "at least one message"),
    ({"prompt": "Hello?", "response": "x" * 600}, "at most 512 fit"),
    ({"prompt": "Again?", "response": "Hello."}, None),
]


@pytest.mark.parametrize("number", [i for i, (_, reason) in enumerate(LINES, 1) if reason])
def test_a_bad_line_is_named_and_refused(tiny, tmp_path, number):
    line, reason = LINES[number - 1]
    good = json.dumps(LINES[0][0])
    file = tmp_path / "data.jsonl"
    file.write_text("\n".join([good, line if isinstance(line, str) else json.dumps(line), good]))
    with pytest.raises(DataError, match=f"data.jsonl, line 2: .*{reason}"):
        build_examples(file, tiny)


def test_bad_lines_are_left_out_on_request(tiny, tmp_path):
    file = tmp_path / "data.jsonl"
    file.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line, _ in LINES))
    with pytest.warns(UserWarning, match="left out 6 of 8 rows; the first: .*line 2"):
        found = build_examples(file, tiny, on_error="skip")
    assert (len(found.rows), found.left_out) == (2, 6)
    assert (
        found.digest
        == build_examples([conversation("Hello?", "Hello."), conversation("Again?", "Hello.")], tiny).digest
    )
    assert found.digest != build_examples(finetune_kit.DATA, tiny).digest


def test_no_usable_line(tiny, tmp_path):
    file = tmp_path / "data.jsonl"
    file.write_text("{}\n")
    with pytest.raises(DataError, match="no conversation can be trained on"):
        build_examples(file, tiny, on_error="skip")
