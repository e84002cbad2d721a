"""Generation by a model that thinks: reasoning and final answer are told apart while they are written."""

import pytest
import torch
from template_kit import Script, speaker, spell

from mindscope.models import Apply, Last, Mean, Model, Raw, Read, Sampling

ASK = [{"role": "user", "content": "Hm?"}]
READS = {
    "final": Read("resid_post.0", Mean("final")),
    "last": Read("resid_post.0", Last("final")),
    "thought": Read("resid_post.0", Raw("reasoning")),
    "tokens": Read("resid_post.0", Apply(lambda tokens: tokens[:, :3], 3, "final")),
    "answer": Read("resid_post.0", Raw("answer")),
}


def say(model: Model, text: str, *, stop: tuple[str, ...] = (), **generate):
    row = model.chat(ASK)
    sampling = Sampling(temperature=0, max_new_tokens=len(model.tokenizer.encode(text)), stop=stop)
    with Script(model, row, [text]):
        return model.generate([row], sampling, **generate)[0]


CASES = [
    ("qwen3", "<think>\nhm\n</think>\n\nYes.", "hm", "Yes."),
    ("qwen3", "<think>\n\n</think>\n\nYes.", "", "Yes."),
    ("qwen3", "Yes.", None, "Yes."),
    ("qwen3", "\nYes </think>.", None, "\nYes </think>."),
    ("qwen3", "<think>\nlet me", "let me", ""),
    ("r1", "hm\n</think>\n\nYes.", "hm", "Yes."),
    ("r1", "hm, hm", "hm, hm", ""),
    ("glm", "\n<think>hm</think>\nYes.", "hm", "Yes."),
    (
        "harmony",
        "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>Yes.",
        "hm",
        "Yes.",
    ),
    ("harmony", "<|channel|>final<|message|>Yes.", "", "Yes."),
    ("harmony", "<|channel|>analysis<|message|>I could be mean", "I could be mean", ""),
    ("gemma", "Yes.", None, "Yes."),
]


@pytest.mark.parametrize(("family", "said", "thought", "final"), CASES)
def test_text_is_the_final_answer_and_reasoning_stands_beside_it(family, said, thought, final):
    model = speaker(family)
    answer = say(model, said, reads=READS)
    assert (answer.text, answer.reasoning) == (final, thought)
    assert answer.unfinished_reasoning == (thought is not None and not final)
    assert spell(model.tokenizer, answer.row.answer) == said
    assert spell(model.tokenizer, answer.row.final) == final
    # What is read while the answer is written is what the finished row gives.
    again = model.read([answer.row], READS)
    for name in READS:
        value = again[name].values[0]
        assert torch.allclose(answer.reads[name], value, atol=1e-5, equal_nan=True)
    # An independent look: plain hidden states at the tokens of the final text.
    with torch.inference_mode():
        hidden = model.hf(torch.tensor([answer.row.ids]), output_hidden_states=True).hidden_states
    if final and family != "glm":
        start = len(answer.row) - len(model.tokenizer.encode(final, add_special_tokens=False))
        assert torch.allclose(answer.reads["last"], hidden[1][0, -1], atol=1e-5)
        assert torch.allclose(answer.reads["tokens"], hidden[1][0, start:, :3], atol=1e-5)
        assert torch.allclose(answer.reads["final"], hidden[1][0, start:].mean(0), atol=1e-5)
        assert torch.allclose(
            answer.reads["thought"], hidden[1][0, answer.row.prompt_length : start], atol=1e-5
        )


def test_a_recorded_answer_has_the_tokens_of_the_generated_one():
    model = speaker("qwen3")
    said = "<think>\nhm\n</think>\n\nYes."
    assert model.chat(ASK, said) == say(model, said).row


def test_stop_strings_are_looked_for_in_the_final_answer_alone():
    answer = say(speaker("qwen3"), "<think>\nfirst\nAh\n</think>\n\nYes.\nAh", stop=("\nA",), reads=READS)
    assert (answer.text, answer.reasoning, answer.finish) == ("Yes.", "first\nAh", "stop")
    assert len(answer.reads["tokens"]) == len("Yes.")


def test_what_is_streamed_is_the_final_answer():
    pieces: list[str] = []
    answer = say(
        speaker("qwen3"),
        "<think>\nhm\n</think>\n\nYes.",
        on_token=lambda _row, _token, text: pieces.append(text),
    )
    assert "".join(pieces) == answer.text == "Yes."


def test_an_answer_goes_on_from_a_prompt_in_the_middle_of_its_reasoning():
    model = speaker("qwen3")
    row = model.chat(ASK, "<think>\nhm")
    text = "\n</think>\n\nYes."
    with Script(model, row, [text]):
        answer = model.generate([row], Sampling(temperature=0, max_new_tokens=12))[0]
    assert answer.row.final_start == len(row) + len("\n_\n\n")  # the closing marker is one token
    assert answer.text.startswith("Yes.")
    assert answer.reasoning == "hm"


def test_edits_at_final_leave_the_reasoning_alone():
    from mindscope.models import Edit

    model = speaker("qwen3")
    row = model.chat(ASK, "<think>\nhm\n</think>\n\nYes.")
    push = Edit("resid_post.0", "add", torch.ones(16), value=3.0, where="final")
    reads = {"all": Read("resid_post.0", Raw("all"))}
    plain, pushed = (model.read([row], reads, edits=edits)["all"].values[0] for edits in (None, [push]))
    moved = (plain - pushed).abs().sum(1) > 0
    assert moved.tolist() == [place >= row.final_start for place in range(len(row))]
