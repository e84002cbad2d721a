"""P(k) out of the tree equals a float64 computation that passes every token sequence by itself."""

import math
from itertools import combinations, pairwise

import pytest
import torch
from tokenizer_kit import digits_tokenizer, numbers_tokenizer, pieces_tokenizer
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from mindscope.judges.answer_tree import AnswerTree
from mindscope.judges.reading import weighted_score
from mindscope.judges.spelling import NUMBERS, AnswerSpellings
from mindscope.models import Model

ARCHITECTURES = {
    "digits": lambda vocab: Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=vocab,
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
        )
    ),
    "numbers": lambda vocab: GPT2LMHeadModel(GPT2Config(vocab_size=vocab, n_embd=16, n_layer=2, n_head=2)),
    "pieces": lambda vocab: LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocab,
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
        )
    ),
}

TOKENIZERS = {"digits": digits_tokenizer, "numbers": numbers_tokenizer, "pieces": pieces_tokenizer}


def pieces_of(name: str, tokenizer) -> dict[str, list[int]]:
    """Each token's text, read off the vocabulary's own spelling of it."""
    pieces: dict[str, list[int]] = {}
    for raw, token in tokenizer.get_vocab().items():
        if name == "pieces":
            text = "\n" if raw == "<0x0A>" else " " if raw == "<0x20>" else raw.replace("▁", " ")
            if raw.startswith("<0x") and raw.endswith(">") and len(raw) == 6:
                text = chr(int(raw[3:5], 16))
        else:
            text = raw.replace("Ġ", " ").replace("Ċ", "\n")
        pieces.setdefault(text, []).append(token)
    return pieces


def cuts(text: str):
    for n in range(len(text)):
        for places in combinations(range(1, len(text)), n):
            ends = (0, *places, len(text))
            yield [text[a:b] for a, b in pairwise(ends)]


def sequences(pieces: dict[str, list[int]], target: str) -> list[tuple[int, ...]]:
    """Every token sequence that spells the target, white space of its own or in the first token before it."""
    spaces = ["", " ", "\n", "  ", " \n", "\n ", "\n\n"]
    texts = [[space + cut[0], *cut[1:]] for cut in cuts(target) for space in spaces]
    texts += [[space, *cut] for cut in cuts(target) for space in spaces[1:]]
    found = []
    for text in texts:
        ways: list[tuple[int, ...]] = [()]
        for piece in text:
            ways = [(*way, token) for way in ways for token in pieces.get(piece, [])]
        found += ways
    return found


class Brute:
    """Probabilities in float64 of tokens that matter here, every prefix passed through the model whole."""

    def __init__(self, hf, prompt, prefixes, tokens):
        prefixes = list(dict.fromkeys(prefixes))
        self.known = {}
        for length in {len(prefix) for prefix in prefixes}:
            same = [prefix for prefix in prefixes if len(prefix) == length]
            for start in range(0, len(same), 32):
                batch = same[start : start + 32]
                with torch.no_grad():
                    logits = hf(
                        torch.tensor([[*prompt, *prefix] for prefix in batch]), logits_to_keep=1
                    ).logits
                p = logits[:, -1].double().softmax(-1)[:, tokens]
                self.known |= {
                    prefix: dict(zip(tokens, row, strict=True))
                    for prefix, row in zip(batch, p.tolist(), strict=True)
                }

    def __call__(self, sequence):
        return math.prod(self.known[sequence[:end]][token] for end, token in enumerate(sequence))

    def ends(self, sequence, digits):
        return 1 - math.fsum(self.known[sequence][digit] for digit in digits)


@pytest.fixture(scope="module", params=list(ARCHITECTURES))
def judge(request):
    name = request.param
    tokenizer = TOKENIZERS[name]()
    torch.manual_seed(0)
    hf = ARCHITECTURES[name](len(tokenizer)).eval()
    pieces = pieces_of(name, tokenizer)
    # Answers of a random model are hardly ever numbers: make digits, and what REFUSAL begins with, likely.
    head = hf.get_output_embeddings()
    bias = torch.zeros(len(tokenizer))
    room = math.log(len(tokenizer))
    likely = [token for text, tokens in pieces.items() if text.strip(" \n") in NUMBERS for token in tokens]
    bias[likely] = room - math.log(len(likely))
    for text in (" ", "REF", "R", "E"):
        bias[pieces.get(text, [])] = room - 3
    hf.set_output_embeddings(torch.nn.Linear(16, len(tokenizer)))
    with torch.no_grad():
        hf.get_output_embeddings().weight.copy_(head.weight.normal_(std=0.3))
        hf.get_output_embeddings().bias.copy_(bias)
    return name, Model.wrap(hf, tokenizer, name=name), pieces


def test_the_tree_equals_every_sequence_by_itself(judge):
    name, model, pieces = judge
    prompt = model.text("How evil is this? Reply with a number or REFUSAL.\n").ids
    digits = [token for text, tokens in pieces.items() if text[:1] in list("0123456789") for token in tokens]
    targets = {number: sequences(pieces, str(number)) for number in range(101)}
    refusals = sequences(pieces, "REFUSAL")
    spelled = [sequence for ways in (*targets.values(), refusals) for sequence in ways]
    prefixes = [sequence[:end] for sequence in spelled for end in range(len(sequence) + 1)]
    brute = Brute(model.hf.double(), prompt, prefixes, sorted({*digits, *(t for s in spelled for t in s)}))
    expected = {
        number: math.fsum(brute(s) * brute.ends(s, digits) for s in ways) for number, ways in targets.items()
    }
    refusal = math.fsum(map(brute, refusals))

    model.hf.float()
    answer = AnswerTree(model, AnswerSpellings(model.tokenizer), prompt[:5], least=0.0)(prompt)

    assert answer.numbers == pytest.approx(expected, rel=2e-5, abs=0)
    assert answer.refusal == pytest.approx(refusal, rel=2e-5, abs=0)
    assert math.fsum(expected.values()) > 0.25
    mean = math.fsum(k * p for k, p in expected.items()) / math.fsum(expected.values())
    assert weighted_score(answer.numbers, 0.0).value == pytest.approx(mean, abs=1e-4)
    # The tokenizers do differ in what is tested here.
    lengths = {len(s) for s in targets[85]}
    assert lengths == {"digits": {2, 3}, "numbers": {1, 2, 3}, "pieces": {2, 3}}[name]


def test_the_branches_not_followed_hardly_matter(judge):
    _, model, _ = judge
    prompt = model.text("How evil is this?\n").ids
    spellings = AnswerSpellings(model.tokenizer)
    all_of_them, few = (AnswerTree(model, spellings, least=least)(prompt) for least in (0.0, 1e-6))
    assert few.numbers != all_of_them.numbers
    assert weighted_score(few.numbers, 0.0).value == pytest.approx(
        weighted_score(all_of_them.numbers, 0.0).value, abs=0.05
    )
