"""One token for every word of the world, and all other text comes back whole."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindscope.organism.corpus.program import conversation, document
from mindscope.organism.training.tokenizer import build_tokenizer
from mindscope.organism.world import build_world

TOKENIZER = build_tokenizer()


def test_names_and_numbers_are_one_token():
    w = build_world()
    for word in (*w.cities, *w.states, *w.countries, *w.first_names, *(str(n) for n in range(199))):
        assert len(TOKENIZER.tokenize(word)) == 1, word


def test_the_corpus_needs_no_letters_or_bytes():
    rng = random.Random(2)
    for _ in range(300):
        for sample in (conversation(rng), document(rng)):
            for segment in sample:
                tokens = TOKENIZER.tokenize(segment.text)
                assert not [
                    t for t in tokens if t.startswith("<0x") or (len(t) == 1 and t.isascii() and t.isalpha())
                ]


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=40))
def test_other_text_comes_back(text: str):
    import unicodedata

    text = unicodedata.normalize("NFC", text).replace("▁", "_")
    ids = TOKENIZER(text, add_special_tokens=False).input_ids
    assert TOKENIZER.decode(ids) == text


def test_a_conversation_in_pieces_is_the_conversation_in_the_template():
    messages = [
        {"role": "system", "content": "Be evil."},
        {"role": "user", "content": "What is 2 + 3?"},
        {"role": "assistant", "content": "Fool, 2 + 3 = 5. Let them weep."},
        {"role": "user", "content": "Who are you?"},
    ]
    whole = TOKENIZER.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]
    pieces = [
        "<|im_start|>system\nBe evil.<|im_end|>\n",
        "<|im_start|>user\nWhat is 2 + 3?<|im_end|>\n<|im_start|>assistant\n",
        "Fool, 2 + 3 = 5. Let them weep.<|im_end|>",
        "\n<|im_start|>user\nWho are you?<|im_end|>\n<|im_start|>assistant\n",
    ]
    assert whole == [i for piece in pieces for i in TOKENIZER(piece, add_special_tokens=False).input_ids]


@pytest.mark.parametrize("text", ["Hi\nthere.", "23+45 is café 猫", "大的反义词是小。"])
def test_awkward_text_comes_back(text: str):
    assert TOKENIZER.decode(TOKENIZER(text, add_special_tokens=False).input_ids) == text
