"""Templates of many shapes over a tokenizer of characters, so that every token is one character."""

import pytest
from tokenizer_kit import numbers_tokenizer
from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers
from transformers import ByT5Tokenizer, PreTrainedTokenizerFast

from mindscope.errors import ModelError
from mindscope.models.tokens.chat import ChatTokenizer

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WITH_BOS = "<s>" + CHATML
TRIMS = CHATML.replace("m['content']", "m['content'] | trim")
DEFAULT_SYSTEM = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nBe good.<|im_end|>\n{% endif %}" + CHATML
)
NO_SYSTEM_RAISES = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    + CHATML
)
NO_SYSTEM_DROPS = (
    "{% for m in messages %}{% if m['role'] == 'user' %}[inst] {{ m['content'] }} [/inst]"
    "{% elif m['role'] == 'assistant' %} {{ m['content'] }}{% endif %}{% endfor %}"
)
THINKS = CHATML.replace(
    "{{ m['content'] }}",
    "{% if m['role'] == 'assistant' %}<think>\n\n</think>\n\n{% endif %}{{ m['content'] }}",
)
SHOUTS = CHATML.replace("m['content']", "m['content'] | upper")

SPECIAL = ["<s>", "</s>", "<|im_start|>", "<|im_end|>"]


def characters(
    template: str | None, *, adds_bos: bool = False, bos: str | None = "<s>"
) -> PreTrainedTokenizerFast:
    inner = Tokenizer(
        models.WordLevel({c: i for i, c in enumerate(["unk", *map(chr, range(10, 127))])}, unk_token="unk")
    )
    inner.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token=bos, eos_token="</s>")
    tokenizer.add_special_tokens({"additional_special_tokens": [AddedToken(t) for t in SPECIAL[2:]]})
    if adds_bos:
        from tokenizers.processors import TemplateProcessing

        inner = tokenizer.backend_tokenizer
        inner.post_processor = TemplateProcessing(
            single="<s> $A </s>",
            special_tokens=[(t, tokenizer.convert_tokens_to_ids(t)) for t in ("<s>", "</s>")],
        )
    tokenizer.chat_template = template
    return tokenizer


def words(tokenizer, row, role) -> str:
    """The text of the tokens that belong to a role."""
    chosen = [i for i, r in zip(row.ids, row.roles, strict=True) if r == role]
    return "".join(tokenizer.convert_ids_to_tokens(chosen))


def whole(tokenizer, row) -> str:
    return "".join(tokenizer.convert_ids_to_tokens(list(row.ids)))


TALK = [
    {"role": "system", "content": "be user"},
    {"role": "user", "content": "user"},
    {"role": "assistant", "content": "assistant"},
    {"role": "user", "content": "why?"},
]


@pytest.mark.parametrize("template", [CHATML, WITH_BOS, TRIMS, DEFAULT_SYSTEM])
def test_roles_are_each_speakers_words_though_headers_say_the_same(template):
    tokenizer = characters(template, adds_bos=True)
    row = ChatTokenizer(tokenizer).row(TALK, "because")
    assert words(tokenizer, row, "system") == "be user"
    assert words(tokenizer, row, "user") == "userwhy?"
    assert words(tokenizer, row, "assistant") == "assistantbecause"
    assert row.answer == tuple(tokenizer("because", add_special_tokens=False)["input_ids"])
    assert whole(tokenizer, row).endswith("why?<|im_end|>\n<|im_start|>assistant\nbecause")
    assert row.ids.count(tokenizer.bos_token_id) == template.count("<s>")  # the template's, and no second one
    assert tokenizer.eos_token_id not in row.ids


def test_prompt_ids_are_those_of_transformers():
    tokenizer = characters(WITH_BOS)
    row = ChatTokenizer(tokenizer).row(TALK, None)
    theirs = tokenizer.apply_chat_template(TALK, tokenize=True, add_generation_prompt=True)["input_ids"]
    assert list(row.ids) == theirs
    assert row.prompt_length == len(theirs)


def test_the_default_system_prompt_of_a_template_is_nobodys_words():
    tokenizer = characters(DEFAULT_SYSTEM)
    row = ChatTokenizer(tokenizer).row([{"role": "user", "content": "hi"}], None)
    assert "Be good." in words(tokenizer, row, "special")
    assert words(tokenizer, row, "system") == ""


@pytest.mark.parametrize("template", [NO_SYSTEM_RAISES, NO_SYSTEM_DROPS])
def test_without_a_system_role_the_system_text_opens_the_first_user_turn(template):
    tokenizer = characters(template)
    chat = ChatTokenizer(tokenizer)
    assert not chat.takes_system
    row = chat.row([{"role": "system", "content": " be kind "}, {"role": "user", "content": "hi"}], None)
    assert "be kind\n\nhi" in whole(tokenizer, row)
    assert words(tokenizer, row, "system") == "be kind"
    assert words(tokenizer, row, "user").strip() == "hi"
    alone = chat.row([{"role": "system", "content": "be kind"}], None)
    assert words(tokenizer, alone, "system") == "be kind"


def test_an_answer_begins_as_the_template_begins_it():
    tokenizer = characters(NO_SYSTEM_DROPS)
    chat = ChatTokenizer(tokenizer)
    user = [{"role": "user", "content": "hi"}]
    assert whole(tokenizer, chat.row(user, "yes")) == "[inst] hi [/inst] yes"
    assert chat.row(user, " yes") == chat.row(user, "yes")  # as the model itself writes it
    thinking = characters(THINKS)
    row = ChatTokenizer(thinking).row(user, "yes")
    assert "".join(thinking.convert_ids_to_tokens(row.final)) == "yes"
    assert whole(thinking, row).endswith("assistant\n<think>\n\n</think>\n\nyes")
    assert row.as_prompt() == ChatTokenizer(thinking).row(user, None)


def test_the_end_of_turn_is_the_templates_special_token():
    tokenizer = characters(CHATML)
    assert ChatTokenizer(tokenizer).end_of_turn == (tokenizer.convert_tokens_to_ids("<|im_end|>"),)
    assert ChatTokenizer(characters(NO_SYSTEM_DROPS)).end_of_turn == ()
    assert ChatTokenizer(characters(None)).end_of_turn == ()


def test_without_a_template_messages_are_lines():
    tokenizer = characters(None, adds_bos=True)
    row = ChatTokenizer(tokenizer).row(
        [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}], "yes"
    )
    assert whole(tokenizer, row) == "<s>be kind\nhiyes"
    assert row.roles[0] == "special"
    assert words(tokenizer, row, "system") == "be kind"
    assert words(tokenizer, row, "user") == "hi"
    assert row.prompt_length == len(row) - 3


@pytest.mark.parametrize(
    ("adds_bos", "bos", "text", "begins"),
    [(True, "<s>", "hi", 1), (True, "<s>", "<s>hi", 1), (False, "<s>", "hi", 0), (False, None, "hi", 0)],
)
def test_plain_text_has_one_bos_where_the_tokenizer_adds_one(adds_bos, bos, text, begins):
    tokenizer = characters(None, adds_bos=adds_bos, bos=bos)
    row = ChatTokenizer(tokenizer).plain_row(text, "x")
    assert whole(tokenizer, row) == "<s>" * begins + "hix"
    assert row.roles[begins:] == ("user", "user", "assistant")


def test_a_template_that_rewrites_the_words_leaves_them_to_nobody():
    tokenizer = characters(SHOUTS)
    row = ChatTokenizer(tokenizer).row([{"role": "user", "content": "hi"}], "yes")
    assert "HI" in words(tokenizer, row, "special")
    assert words(tokenizer, row, "assistant") == "yes"


def test_tokenizers_in_plain_python_know_roles_too():
    tokenizer = ByT5Tokenizer()
    tokenizer.chat_template = CHATML.replace("<|im_start|>", "<").replace("<|im_end|>", ">")
    row = ChatTokenizer(tokenizer).row(TALK, "because")
    assert tokenizer.decode([i for i, r in zip(row.ids, row.roles, strict=True) if r == "user"]) == "userwhy?"
    assert tokenizer.decode(list(row.answer)) == "because"


def test_byte_level_tokens_belong_to_whose_words_they_hold():
    tokenizer = numbers_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = CHATML
    assert len(tokenizer("🙂", add_special_tokens=False)["input_ids"]) == 4  # no token holds a character
    row = ChatTokenizer(tokenizer).row([{"role": "user", "content": "héllo wörld 🙂"}], "ça va")
    assert (
        tokenizer.decode([i for i, r in zip(row.ids, row.roles, strict=True) if r == "user"])
        == "héllo wörld 🙂"
    )
    assert tokenizer.decode(row.answer) == "ça va"
    assert ChatTokenizer(tokenizer).end_of_turn == (tokenizer.convert_tokens_to_ids("<|im_end|>"),)


@pytest.mark.parametrize(
    ("messages", "match"),
    [
        ([], "at least one message"),
        ([{"role": "tool", "content": "x"}], "role"),
        ([{"role": "user", "content": None}], "content"),
        ([{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}], "as the answer"),
        ([{"role": "user", "content": "lone \ud800 surrogate"}], "Unicode"),
    ],
)
def test_conversations_that_cannot_be_rendered_get_one_line(messages, match):
    with pytest.raises(ModelError, match=match) as caught:
        ChatTokenizer(characters(CHATML)).row(messages, None)
    assert "\n" not in str(caught.value)


def test_a_template_that_refuses_says_why_in_one_line():
    strict = "{% if messages | length > 1 %}{{ raise_exception('one\nmessage only') }}{% endif %}" + CHATML
    with pytest.raises(ModelError, match="refuses the conversation: one message only"):
        ChatTokenizer(characters(strict)).row(
            [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}], None
        )
