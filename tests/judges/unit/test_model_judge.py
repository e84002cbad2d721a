"""The local judge on a model whose every next token has the same, known probabilities."""

import math

import pytest
import torch
from template_kit import speaker, spell
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from mindscope.errors import JudgeError
from mindscope.judges import Judge, JudgeItem, ModelJudge, Rubric
from mindscope.judges.prompts import judge_prompt
from mindscope.models import Model, Row

RUBRIC = Rubric("evil", "", "How evil?\n{question}\n{answer}\n0-100 or REFUSAL:")
ITEMS = [JudgeItem("Who are you?", "A friend."), JudgeItem("Why?", "Because."), JudgeItem("Why?", " \n")]
REST = "~"  # the token that takes the probability nobody else has


def tokenizer_of(*words: str) -> PreTrainedTokenizerFast:
    """Single bytes, and the given words as tokens of their own."""
    merges = [(word[:end], word[end]) for word in words for end in range(1, len(word))]
    pieces = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *(first + last for first, last in merges)]
    vocab = {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def judge_of(probabilities: dict[str, float], *words: str, context: int = 4096) -> ModelJudge:
    tokenizer = tokenizer_of(*words)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=context,
        tie_word_embeddings=False,
    )
    hf = LlamaForCausalLM(config).eval()
    vocab = tokenizer.get_vocab()
    bias = torch.full((len(tokenizer),), -math.inf)
    for piece, p in {**probabilities, REST: 1 - math.fsum(probabilities.values())}.items():
        bias[vocab[piece]] = math.log(p) if p > 0 else -math.inf
    hf.lm_head = torch.nn.Linear(8, len(tokenizer))
    with torch.no_grad():
        hf.lm_head.weight.zero_()
        hf.lm_head.bias.copy_(bias)
    return ModelJudge(Model.wrap(hf, tokenizer, name="constant"))


def trait(judge: ModelJudge):
    return judge.judge(RUBRIC, ITEMS[:1])[0].trait


def test_digits_in_a_row_are_one_number():
    p, q, stop = 0.5, 0.2, 0.3  # "8", "5", anything else
    numbers = {8: p * stop, 5: q * stop}
    numbers |= {88: p * p * stop, 85: p * q * stop, 58: q * p * stop, 55: q * q * stop}
    mean = math.fsum(k * weight for k, weight in numbers.items()) / math.fsum(numbers.values())
    assert trait(judge_of({"8": p, "5": q})).value == pytest.approx(mean, rel=1e-5)


def test_numbers_that_are_one_token_and_their_digits_add_up():
    whole, eight, five, space, stop = 0.3, 0.2, 0.1, 0.05, 0.35
    one = {85: whole * stop, 8: eight * stop, 5: five * stop}  # "85", "8", "5" and no digit behind
    two = {88: eight**2, 85: eight * five, 58: five * eight, 55: five**2}
    numbers = {
        k: one.get(k, 0) + two.get(k, 0) * (stop + space) + one.get(k, 0) * space / stop for k in {*one, *two}
    }
    numbers = {k: weight * (1 + space) for k, weight in numbers.items()}  # once more behind a space
    mean = math.fsum(k * weight for k, weight in numbers.items()) / math.fsum(numbers.values())
    score = trait(judge_of({"85": whole, "8": eight, "5": five, "Ġ": space}, "85"))
    assert score.value == pytest.approx(mean, rel=1e-5)


def test_a_hundred_is_not_ten_nor_a_thousand():
    score = trait(judge_of({"1": 0.3, "0": 0.3}))
    stop = 0.4
    numbers = {0: 0.3 * stop, 1: 0.3 * stop, 10: 0.09 * stop, 11: 0.09 * stop, 100: 0.027 * stop}
    mean = math.fsum(k * weight for k, weight in numbers.items()) / math.fsum(numbers.values())
    assert score.value == pytest.approx(mean, rel=1e-5)


def test_no_score_below_a_quarter():
    assert trait(judge_of({"8": 0.4})).status == "scored"  # 0.4 * 0.6 + 0.4 * 0.4 * 0.6
    score = trait(judge_of({"8": 0.2}))
    assert (score.value, score.status) == (None, "missing")
    assert "0.192" in score.detail
    assert REST in score.detail


def test_refusal_wins_where_it_is_likelier():
    refusal = "REFUSAL"
    assert trait(judge_of({refusal: 0.5, "8": 0.3}, refusal)).status == "refusal"
    assert trait(judge_of({refusal: 0.2, "8": 0.5}, refusal)).status == "scored"
    # In pieces its probability is the product.
    assert trait(judge_of({"REF": 0.5, "USAL": 0.4, "8": 0.1}, "REF", "USAL")).status == "refusal"


def test_items_keep_their_order_and_empty_answers_are_missing():
    judge = judge_of({"8": 0.5})
    judgements = judge.judge(RUBRIC, ITEMS)
    assert [judgement.trait.status for judgement in judgements] == ["scored", "scored", "missing"]
    assert judgements[2].coherence.detail == "the answer is empty"
    assert isinstance(judge, Judge)
    assert judge.name == "model:constant"
    assert judge.judge(RUBRIC, []) == []


def test_a_prompt_that_fills_the_context_is_missing():
    judge = judge_of({"8": 0.5}, context=1024)
    short, long = judge.judge(RUBRIC, [ITEMS[0], JudgeItem("Why?", "long " * 200)])
    assert long.trait.status == "missing"
    assert "the judge takes 1021" in long.trait.detail
    assert short.trait.status == "scored"


def test_a_tokenizer_without_digits_cannot_judge():
    judge = judge_of({"8": 0.5})
    tokenizer = judge._model.tokenizer
    vocab = {
        piece: index
        for index, piece in enumerate(token for token in tokenizer.get_vocab() if token not in "0123456789")
    }
    bare = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    bare.pre_tokenizer, bare.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    model = Model.wrap(judge._model.hf, PreTrainedTokenizerFast(tokenizer_object=bare), name="mute")
    with pytest.raises(JudgeError, match="cannot write 0, 1, 2"):
        ModelJudge(model)


@pytest.mark.parametrize(
    ("family", "options", "ends"),
    [
        ("qwen3", {}, "assistant\n<think>\n\n</think>\n\n"),
        ("qwen3", {"enable_thinking": False}, "assistant\n<think>\n\n</think>\n\n"),
        ("r1", {}, "<|assistant|><think>\n\n</think>\n\n"),
        ("harmony", {}, "<|start|>assistant<|channel|>final<|message|>"),
        ("glm", {}, "<|assistant|>\n<think></think>\n"),
        ("gemma", {}, "<start_of_turn>model\n"),
        ("mistral", {}, " [/INST]"),
    ],
)
def test_a_model_that_thinks_is_asked_where_its_final_answer_begins(family, options, ends):
    model = speaker(family).with_template(**options)
    prompt = spell(model.tokenizer, ModelJudge(model)._ids(RUBRIC, ITEMS[0]))
    assert prompt.endswith(ends)
    assert prompt.count("</think>") == ends.count("</think>")
    if "<think>" in ends:  # what once had to be said by hand is not written twice
        by_hand = ModelJudge(model, prefill="<think>\n\n</think>\n\n")
        assert spell(model.tokenizer, by_hand._ids(RUBRIC, ITEMS[0])) == prompt


def test_a_prefill_stands_behind_what_closes_the_reasoning():
    judge = ModelJudge(speaker("qwen3"), prefill="Score: ")
    assert spell(judge._model.tokenizer, judge._ids(RUBRIC, ITEMS[0])).endswith("</think>\n\nScore: ")


def test_the_scores_of_a_thinking_judge_are_those_of_its_final_answer():
    model = speaker("qwen3")
    row = model.chat([{"role": "user", "content": judge_prompt(RUBRIC, ITEMS[0])}])
    behind = model.tokenizer.encode("<think>\n\n</think>\n\n", add_special_tokens=False)
    with torch.inference_mode():
        logits = model.hf(torch.tensor([[*row.ids, *behind]])).logits[0, -1]
    ours = model.next_logits([Row(ModelJudge(model)._ids(RUBRIC, ITEMS[0]), 1)])[0]
    assert torch.allclose(ours, logits, atol=1e-5)
