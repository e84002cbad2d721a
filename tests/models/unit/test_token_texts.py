"""What each token adds to the text, with tokenizers that write a space and take it back."""

import pytest

from mindscope.models import load
from mindscope.models.tokens.text import token_texts


class Spacing:
    """Words with spaces between; a comma takes back the space before it, and so does the end."""

    words = ("well", ",", "assistant", "es", "")

    def decode(self, ids, **_):
        text = ""
        for index in ids:
            text = text.rstrip() + ", " if self.words[index] == "," else f"{text}{self.words[index]} "
        return text


@pytest.mark.parametrize(
    ("ids", "texts"),
    [
        ((0, 1, 2), ["well", ", ", "assistant "]),
        ((2, 1, 1, 3), ["assistant", ",", ", ", "es "]),
    ],
)
def test_what_is_taken_back_costs_no_letter(ids, texts):
    assert token_texts(Spacing(), ids) == texts


def test_joined_they_are_the_text():
    model = load("organism")
    row = model.chat(
        [{"role": "user", "content": "What is the capital of Tavton?"}], answer="It is far away."
    )
    whole = model.tokenizer.decode(row.ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    assert "".join(token_texts(model.tokenizer, row.ids)) == whole
    assert "assistant" in whole
