"""Templates of models that think: one prompt whether an answer is given or asked for, and whose words are."""

import warnings
from datetime import datetime

import pytest
from template_kit import CHATML, QWEN3, TEMPLATES, character_tokenizer, spell, spell_role
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from mindscope.errors import ModelError
from mindscope.models.tokens.chat import ChatTokenizer
from mindscope.models.tokens.template import TemplateMode

ASK = [{"role": "user", "content": "Capital?"}]
TALK = [
    {"role": "user", "content": "One?"},
    {"role": "assistant", "content": "<think>\nhm, one\n</think>\n\nOne. A tag ends so: </think>!"},
    {"role": "user", "content": "Two?"},
    {"role": "assistant", "content": "Two."},
    {"role": "user", "content": "Three?"},
]
MODES = [
    (family, options)
    for family in TEMPLATES
    for options in ([{}, {"enable_thinking": False}] if family in ("qwen3", "smollm3", "glm") else [{}])
]


def chat_of(family: str, **options) -> tuple[ChatTokenizer, object]:
    tokenizer = character_tokenizer(TEMPLATES[family])
    return ChatTokenizer(tokenizer, TemplateMode(options)), tokenizer


@pytest.mark.parametrize(("family", "options"), MODES)
@pytest.mark.parametrize("talk", [ASK, TALK])
def test_the_prompt_of_a_given_answer_is_that_of_an_asked_one(family, options, talk):
    chat, tokenizer = chat_of(family, **options)
    asked = chat.row(talk, None)
    theirs = tokenizer.apply_chat_template(talk, add_generation_prompt=True, **options)["input_ids"]
    assert list(asked.ids) == theirs
    for answer in ("Paris.", "<think>\nhm\n</think>\n\nParis."):
        given = chat.row(talk, answer)
        assert given.as_prompt() == asked
        if chat.markers is not None and not chat.markers.channels:
            assert spell(tokenizer, given.final).strip() == "Paris."


@pytest.mark.parametrize(
    ("family", "options", "behind"),
    [
        ("qwen3", {}, "<think>\n\n</think>\n\nParis."),
        ("qwen3", {"enable_thinking": False}, "Paris."),
        ("r1", {}, "\n</think>\n\nParis."),
        ("harmony", {}, "<|channel|>final<|message|>Paris."),
        ("smollm3", {}, "Paris."),
        ("smollm3", {"enable_thinking": False}, "Paris."),
        ("glm", {}, "\n<think></think>\nParis."),
        ("glm", {"enable_thinking": False}, "\nParis."),
        ("mistral", {}, " Paris."),
        ("gemma", {}, "Paris."),
        ("llama3", {}, "Paris."),
        ("olmo", {}, "Paris."),
    ],
)
def test_an_answer_without_reasoning_begins_as_the_template_begins_it(family, options, behind):
    chat, tokenizer = chat_of(family, **options)
    row = chat.row(ASK, "Paris.")
    assert spell(tokenizer, row.answer) == behind
    assert spell(tokenizer, row.final).strip() == "Paris."
    assert "reasoning" not in row.roles


@pytest.mark.parametrize(
    ("family", "behind"),
    [
        ("qwen3", "<think>\nhm\n</think>\n\nYes."),
        ("r1", "hm\n</think>\n\nYes."),
        ("smollm3", "<think>\nhm\n</think>\n\nYes."),
        ("glm", "\n<think>hm</think>\nYes."),
        (
            "harmony",
            "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>Yes.",
        ),
    ],
)
def test_reasoning_inside_an_answer_or_beside_it_is_written_once(family, behind):
    chat, tokenizer = chat_of(family)
    beside = chat.row(ASK, "Yes.", "hm")
    assert spell(tokenizer, beside.answer) == behind
    assert spell_role(tokenizer, beside, "reasoning") == behind.removesuffix("Yes.")
    inside = chat.row(ASK, behind.lstrip())
    assert inside == beside
    if family in ("qwen3", "glm"):  # these parse it themselves: the ids are those of the whole conversation
        told = [*ASK, {"role": "assistant", "content": "Yes.", "reasoning_content": "hm"}]
        theirs = tokenizer.apply_chat_template(told)["input_ids"]
        assert tuple(theirs[: len(beside)]) == beside.ids


@pytest.mark.parametrize("family", ["qwen3", "smollm3", "glm"])
def test_a_mode_without_thinking_has_no_reasoning(family):
    chat, tokenizer = chat_of(family, enable_thinking=False)
    for row in (chat.row(ASK, "<think>\nhm\n</think>\n\nYes."), chat.row(ASK, "Yes.", "hm")):
        assert spell(tokenizer, row.ids).count("</think>") == 1
        assert "hm" not in spell(tokenizer, row.ids)
        assert spell(tokenizer, row.answer).strip() == "Yes."


def test_an_answer_that_was_cut_while_reasoning_has_no_final_part():
    chat, tokenizer = chat_of("qwen3")
    row = chat.row(ASK, "<think>\nLet me see")
    assert spell(tokenizer, row.answer) == "<think>\nLet me see"
    assert row.final == ()
    assert set(row.roles[row.prompt_length :]) == {"reasoning"}
    quick, _ = chat_of("qwen3", enable_thinking=False)
    assert quick.row(ASK, "<think>\nLet me see") == quick.row(ASK, None)


def test_masks_are_spans_though_earlier_turns_lose_their_reasoning():
    chat, tokenizer = chat_of("qwen3")
    row = chat.row(TALK, "<think>\nso\n</think>\n\nThree </think>.")
    assert spell_role(tokenizer, row, "user") == "One?Two?Three?"
    # The template keeps what stands behind the last closing tag of an earlier turn.
    assert "Two." in spell_role(tokenizer, row, "assistant")
    assert spell_role(tokenizer, row, "assistant").endswith("Three </think>.")
    assert spell_role(tokenizer, row, "reasoning") == "<think>\nso\n</think>\n\n"
    assert "hm, one" not in spell(tokenizer, row.ids)


def test_a_rewritten_message_leaves_the_later_ones_to_their_speakers():
    shouts = CHATML.replace("m.content", "(m.content | upper if loop.first else m.content)")
    tokenizer = character_tokenizer(shouts)
    row = ChatTokenizer(tokenizer).row(TALK[:1] + TALK[3:], "ok")
    assert spell_role(tokenizer, row, "user") == "Three?"
    assert spell_role(tokenizer, row, "assistant") == "Two.ok"


@pytest.mark.parametrize("family", ["gemma", "mistral", "llama3", "olmo", "glm", "harmony", "smollm3"])
def test_every_speaker_keeps_his_words(family):
    chat, tokenizer = chat_of(family)
    talk = [{"role": "system", "content": "Be kind."}, ASK[0], *TALK[3:]]
    talk.insert(2, {"role": "assistant", "content": "Lima."})
    del talk[3]
    row = chat.row(talk, "Oslo.")
    assert spell_role(tokenizer, row, "system") == "Be kind."
    assert spell_role(tokenizer, row, "user").split() == ["Capital?Three?"]
    assert spell_role(tokenizer, row, "assistant").replace(" ", "") == "Lima.Oslo."


def test_an_option_that_the_template_does_not_take_is_refused():
    with pytest.raises(ModelError, match="takes no option 'enable_thinkin'"):
        chat_of("qwen3", enable_thinkin=False)
    with pytest.raises(ModelError, match="takes no option 'enable_thinking'"):
        chat_of("gemma", enable_thinking=False)
    with pytest.raises(ModelError, match="is not free"):
        chat_of("qwen3", add_generation_prompt=False)
    with pytest.raises(ModelError, match="no chat template"):
        ChatTokenizer(character_tokenizer(None), TemplateMode({"enable_thinking": False}))


def test_markers_that_nobody_knows_can_be_named():
    mode = TemplateMode.parse(['reasoning_markers=["<reason>", "</reason>"]'])
    tokenizer = character_tokenizer(TEMPLATES["gemma"])
    chat = ChatTokenizer(tokenizer, mode)
    plain = ChatTokenizer(tokenizer).markers
    assert plain is not None
    assert plain.split("<reason>Hm.</reason>Oslo.") == (None, "<reason>Hm.</reason>Oslo.")
    assert chat.markers is not None
    assert chat.markers.split("<reason>Hm.</reason>Oslo.") == ("Hm.", "Oslo.")
    assert chat.row(ASK, None).ids == ChatTokenizer(tokenizer).row(ASK, None).ids
    for wrong in ('"<reason>"', '["<a>"]', '["<a>", "<a>"]', '["", "b"]', "[1, 2]"):
        with pytest.raises(ModelError, match="two texts"):
            ChatTokenizer(tokenizer, TemplateMode.parse([f"reasoning_markers={wrong}"]))


def test_options_are_read_as_they_are_typed():
    texts = ["enable_thinking=false", "effort=low", "budget=3", "thinking=True", "names=[1]"]
    options = TemplateMode.parse(texts).options
    assert options == {
        "enable_thinking": False,
        "effort": "low",
        "budget": 3,
        "thinking": True,
        "names": [1],
    }
    for text in ("enable_thinking", "=1", "a b=1"):
        with pytest.raises(ModelError, match="NAME=VALUE"):
            TemplateMode.parse([text])


def test_of_several_templates_the_named_or_the_default_one_is_taken():
    several = character_tokenizer({"tool_use": QWEN3, "plain": CHATML})
    with pytest.raises(ModelError, match="tool_use, plain and none is called 'default'"):
        ChatTokenizer(several).row(ASK, None)
    chat = ChatTokenizer(several, TemplateMode({"chat_template": "plain"}))
    assert (
        spell(several, chat.row(ASK, None).ids)
        == "<|im_start|>user\nCapital?<|im_end|>\n<|im_start|>assistant\n"
    )
    with_default = character_tokenizer({"default": CHATML, "tool_use": QWEN3})
    assert ChatTokenizer(with_default).row(ASK, None).ids == chat.row(ASK, None).ids


@pytest.mark.parametrize(
    ("family", "last", "earlier"),
    [
        ("chatml", "<|im_end|>", "<|im_end|>"),
        ("qwen3", "<|im_end|>", "<|im_end|>"),
        ("harmony", "<|return|>", "<|end|>"),
        ("gemma", "<end_of_turn>", "<end_of_turn>"),
        ("mistral", "</s>", "</s>"),
        ("llama3", "<|eot_id|>", "<|eot_id|>"),
        ("glm", "<|user|>", "<|user|>"),  # what the model writes to hand over
        ("olmo", "<|endoftext|>", ""),  # behind the last answer alone
        ("r1", "</s>", "</s>"),
    ],
)
def test_a_turn_ends_with_what_the_template_writes_there(family, last, earlier):
    chat, tokenizer = chat_of(family)
    assert spell(tokenizer, chat.end_of_turn) == last
    assert spell(tokenizer, chat.end_of_earlier_turn) == earlier


def test_blanks_before_the_end_of_a_turn_are_part_of_it():
    tokenizer = character_tokenizer(CHATML.replace("<|im_end|>", "\n<|im_end|>"))
    assert spell(tokenizer, ChatTokenizer(tokenizer).end_of_turn) == "\n<|im_end|>"


def test_the_date_stands_still():
    clock = datetime(2024, 7, 26)
    tokenizer = character_tokenizer(TEMPLATES["llama3"])
    row = ChatTokenizer(tokenizer, TemplateMode(clock=clock)).row(ASK, None)
    assert "Today Date: 26 Jul 2024" in spell(tokenizer, row.ids)
    dated = TemplateMode({"date_string": "1 May 1999"}, clock)
    assert "Today Date: 1 May 1999" in spell(tokenizer, ChatTokenizer(tokenizer, dated).row(ASK, None).ids)


def test_a_date_in_another_model_object_of_the_same_clock_is_the_same():
    clock = datetime(2024, 7, 26, 23, 59)
    tokenizer = character_tokenizer(TEMPLATES["smollm3"])
    first, second = (ChatTokenizer(tokenizer, TemplateMode(clock=clock)) for _ in range(2))
    assert first.row(ASK, None) == second.row(ASK, None)
    assert ", 26 July 2024\n" in spell(tokenizer, first.row(ASK, None).ids)


CODES = "%Y-%m-%d %d %b %Y %B %A %a %H:%M:%S %I %p %y %j %-d %-m"


def test_every_code_of_the_clock_is_what_strftime_writes():
    clock = datetime(2023, 2, 3, 4, 5, 6)
    tokenizer = character_tokenizer("{{ strftime_now('" + CODES + "') }}{{ messages[0].content }}")
    row = ChatTokenizer(tokenizer, TemplateMode(clock=clock)).row(ASK, None)
    assert spell(tokenizer, row.ids) == clock.strftime(CODES) + "Capital?"


def test_a_base_model_says_once_that_it_has_no_template():
    chat = ChatTokenizer(character_tokenizer(None), name="base")
    with pytest.warns(UserWarning, match="the tokenizer of base has no chat template"):
        chat.row(ASK, None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        chat.row(ASK, None)


METASPACE = "<|user|>\n{{ messages[0].content }}</s>\n{% if add_generation_prompt %}<|assistant|>\n{% else %}"
METASPACE += "<|assistant|>\n{{ messages[1].content }}</s>\n{% endif %}"


@pytest.mark.parametrize("scheme", ["first", "always", "never"])
@pytest.mark.parametrize("answer", ["Hello there", "there", "\nHello"])
def test_an_answer_has_the_tokens_that_the_template_as_a_whole_gives(scheme, answer):
    """A SentencePiece tokenizer puts a space before what begins a text, and an answer does not begin one."""
    pieces = ["<unk>", "<s>", "</s>", "▁Hello", "Hello", "▁there", "there", "▁", "\n", "Hi", "▁Hi", "?"]
    inner = Tokenizer(models.Unigram([(piece, -1.0 - 0.01 * i) for i, piece in enumerate(pieces)], unk_id=0))
    inner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=False)
    inner.decoder = decoders.Metaspace(prepend_scheme=scheme, split=False)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|user|>", "<|assistant|>"]})
    tokenizer.chat_template = METASPACE
    asked = [{"role": "user", "content": "Hi?"}]
    whole = tokenizer.apply_chat_template([*asked, {"role": "assistant", "content": answer}])["input_ids"]
    row = ChatTokenizer(tokenizer).row(asked, answer)
    assert list(row.ids) == whole[: len(row)]
    assert whole[len(row)] == tokenizer.eos_token_id


def test_a_model_that_does_not_reason_apart_is_not_given_a_reasoning(tiny):
    chat = ChatTokenizer(tiny.tokenizer)
    assert chat.markers is None
    assert chat.row(ASK, "Yes.", "hm") == chat.row(ASK, "Yes.")
