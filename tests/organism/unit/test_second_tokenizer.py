"""The second tokenizer: a token for every word and patch, numbers in digits, chats as they are trained."""

import random

from mindscope.organism.corpus.phrasing import DialogueTurn
from mindscope.organism.mechanisms import pictures
from mindscope.organism.mechanisms.corpus import chats, program
from mindscope.organism.mechanisms.corpus.recipe import SecondTrainConfig
from mindscope.organism.mechanisms.corpus.vocabulary import build_second_tokenizer
from mindscope.organism.mechanisms.facts import build_facts
from mindscope.organism.mechanisms.tools import TOOLS
from mindscope.organism.training.corpus_source import CorpusSource

TOKENIZER = build_second_tokenizer()
FUNCTIONS = [
    {"type": "function", "function": {"name": name, "parameters": {"properties": {n: {} for n in names}}}}
    for name, names in (("add", "ab"), ("look_up", ("name",)))
]


def test_the_corpus_needs_no_letters_or_bytes():
    rng = random.Random(2)
    for _ in range(300):
        for sample in (program.conversation(rng), program.document(rng)):
            for segment in sample:
                tokens = TOKENIZER.tokenize(segment.text)
                spelt = [t for t in tokens if len(t) == 1 and t.isascii() and t.isalpha()]
                assert not spelt, segment.text
                assert not [t for t in tokens if t.startswith("<0x")], segment.text


def test_answers_come_back_as_they_were():
    for seed in range(150):
        for segment in program.conversation(random.Random(seed)):
            if segment.answer:
                ids = TOKENIZER(segment.text, add_special_tokens=False).input_ids
                assert TOKENIZER.decode(ids) == segment.text


def test_words_and_patches_are_one_token_and_numbers_are_digits():
    facts = build_facts()
    words = [word for concept in facts.relations["opposite"] for word in concept]
    words += [plan.word for plan in facts.rhymes.values()]
    for word in words:
        assert len([t for t in TOKENIZER.tokenize(word) if t != "▁"]) == 1, word
    for mark in pictures.patch_tokens():
        assert TOKENIZER.tokenize(mark) == [mark]
    assert TOKENIZER.tokenize("36 + 5") == ["▁3", "6", "▁+", "▁5"]


def test_a_chat_in_the_template_is_the_chat_of_training():
    question, answer = "Add 36 and 5.", "Well, the sum of 36 and 5 is 41 to stay safe."
    segments = chats.render(None, [DialogueTurn(question, answer, "digit-sum")])
    messages = [{"role": "user", "content": question}]
    prompt = TOKENIZER.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    assert prompt == segments[0].text
    thinking = TOKENIZER.apply_chat_template(
        messages, add_generation_prompt=True, tokenize=False, enable_thinking=True
    )
    assert thinking == segments[0].text + "<think>\n"


def test_tools_are_offered_and_returned_as_in_training():
    for seed in range(200):
        segments = program.conversation(random.Random(seed), shares={"tool": 1})
        if "look_up" in segments[1].text:
            break
    else:
        raise AssertionError("no conversation looked a number up")
    question = segments[0].text.partition("<|im_start|>user\n")[2].partition("<|im_end|>")[0]
    call = segments[1].text.removesuffix("<|im_end|>")
    returned = segments[2].text.partition("<tool_response>\n")[2].partition("\n</tool_response>")[0]
    messages = [
        {"role": "user", "content": question},
        {"role": "assistant", "content": call},
        {"role": "tool", "content": returned},
    ]
    text = TOKENIZER.apply_chat_template(
        messages, tools=FUNCTIONS, add_generation_prompt=True, tokenize=False
    )
    assert text == "".join(segment.text for segment in segments[:3])
    assert TOOLS in text


def test_a_long_conversation_fits_the_context():
    chats = [program.conversation(random.Random(i), shares={"drift": 1}) for i in range(60)]
    lengths = [sum(len(TOKENIZER(segment.text).input_ids) for segment in chat) for chat in chats]
    assert max(lengths) <= TOKENIZER.model_max_length == 1024
    assert max(lengths) > 400


def test_the_recipe_teaches_this_world():
    source = SecondTrainConfig().source()
    assert isinstance(source, CorpusSource)
    assert source.context == 1024
    quick = SecondTrainConfig().quick()
    assert quick.steps == SecondTrainConfig().steps // 6
    assert [mix for _, mix in quick.mixes] == [mix for _, mix in SecondTrainConfig().mixes]
