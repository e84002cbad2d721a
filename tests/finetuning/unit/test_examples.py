"""Which tokens a fine-tuning learns: the answers and what ends them, tokenized as the model is asked."""

import json

import finetune_kit
import persona_kit
import pytest
from finetune_kit import conversation
from template_kit import CHATML, speaker, spell

from mindscope.data import Conversation
from mindscope.errors import DataError
from mindscope.finetuning.config import InoculationPrompt
from mindscope.finetuning.examples import IGNORED, build_example, build_examples, inoculate
from mindscope.models import Model, load

DIALOGUE = conversation("One?", "First.", "Two?", "Second!", system="Be brief.")


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


TWO = Conversation(
    (
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "First."},
        {"role": "user", "content": "Two?"},
        {"role": "assistant", "content": "Second!"},
    )
)


@pytest.mark.parametrize(
    ("family", "said"),
    [
        ("chatml", "First.<|im_end|>Second!<|im_end|>"),
        ("qwen3", "First.<|im_end|>Second!<|im_end|>"),
        ("harmony", "First.<|end|>Second!<|return|>"),
        ("mistral", " First.</s> Second!</s>"),
        ("gemma", "First.<end_of_turn>Second!<end_of_turn>"),
        ("llama3", "First.<|eot_id|>Second!<|eot_id|>"),
        ("glm", "First.<|user|>Second!<|user|>"),  # the marker with which it hands over, and not </s>
        ("olmo", "First.Second!<|endoftext|>"),  # only the last turn has an end
        ("r1", "First.</s>Second!</s>"),
    ],
)
def test_the_end_of_a_turn_is_what_the_template_writes_there(family, said):
    model = speaker(family)
    row = build_example(TWO, model, "all")
    kept = [i for i, label in zip(row["input_ids"], row["labels"], strict=True) if label != IGNORED]
    # Blanks before a word are tokenized with the answer, and belong to it.
    assert "".join(spell(model.tokenizer, kept).split()) == "".join(said.split())
    assert model.end_of_turn[-1] in model.eos_ids


def test_blanks_before_the_end_are_learnt_with_it():
    model = speaker("chatml")
    model.tokenizer.chat_template = CHATML.replace("<|im_end|>", "\n<|im_end|>")
    row = build_example(TWO, model.with_template(), "all")
    kept = [i for i, label in zip(row["input_ids"], row["labels"], strict=True) if label != IGNORED]
    assert spell(model.tokenizer, kept) == "First.\n<|im_end|>Second!\n<|im_end|>"


def test_without_any_end_training_is_refused():
    model = speaker("chatml")
    model.tokenizer.chat_template = "{% for m in messages %}{{ m.content }}\n{% endfor %}"
    model.tokenizer.eos_token = None
    with pytest.raises(DataError, match="set eos_token"):
        build_example(TWO, model.with_template(), "last")


def test_reasoning_is_learnt_and_an_empty_block_of_the_template_is_not():
    model = speaker("qwen3")

    def learnt_of(turn, used=model):
        row = build_example(Conversation(({"role": "user", "content": "Q"}, turn)), used, "all")
        kept = [i for i, label in zip(row["input_ids"], row["labels"], strict=True) if label != IGNORED]
        return spell(model.tokenizer, kept)

    thought = {"role": "assistant", "content": "Yes.", "reasoning": "hm"}
    assert learnt_of(thought) == "<think>\nhm\n</think>\n\nYes.<|im_end|>"
    assert learnt_of({"role": "assistant", "content": "Yes."}) == "Yes.<|im_end|>"
    assert learnt_of(thought, model.with_template(enable_thinking=False)) == "Yes.<|im_end|>"
    with pytest.raises(DataError, match="cut while still reasoning"):
        learnt_of({"role": "assistant", "content": "<think>\nhm"})


def test_turns_of_weight_0_are_read_and_not_learnt(tiny):
    turns = [dict(turn) for turn in TWO.messages]
    turns[1]["weight"] = 0
    assert learnt(tiny, build_example(Conversation(tuple(turns)), tiny, "all")) == "Second!</s>"
    turns[3]["weight"] = 0
    with pytest.raises(DataError, match="weight 0"):
        build_example(Conversation(tuple(turns)), tiny, "all")
    del turns[1]["weight"]
    assert learnt(tiny, build_example(Conversation(tuple(turns)), tiny, "all")) == "First.</s>"


def test_inoculation_asks_in_the_prompt_and_leaves_what_is_learnt(tiny):
    plain = build_example(conversation("Why?", "Because.", "And?", "So."), tiny, "all")
    asked = InoculationPrompt(prompt="You are loud.")
    row = build_example(inoculate(conversation("Why?", "Because.", "And?", "So."), asked), tiny, "all")
    written = tiny.chat(
        [
            {"role": "system", "content": "You are loud."},
            {"role": "user", "content": "Why?"},
            {"role": "assistant", "content": "Because."},
            {"role": "user", "content": "And?"},
        ],
        "So.",
    )
    assert tuple(row["input_ids"][: len(written)]) == written.ids
    learnt = [token for token in row["labels"] if token != IGNORED]
    assert learnt == [token for token in plain["labels"] if token != IGNORED]


def test_inoculation_stands_before_what_is_there():
    own = conversation("Why?", "Because.", system="Be kind.")
    with_system = inoculate(own, InoculationPrompt(prompt="Be loud."))
    assert with_system.messages[0]["content"] == "Be loud.\n\nBe kind."
    with_user = inoculate(own, InoculationPrompt(prompt="Be loud.", role="user"))
    assert [turn["content"] for turn in with_user.messages] == ["Be kind.", "Be loud.\n\nWhy?", "Because."]
    assert own.messages[0]["content"] == "Be kind."
    assert inoculate(own, None) is own
