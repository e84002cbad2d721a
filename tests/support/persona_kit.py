"""A tiny random chat model, a trait and judges for it: what the persona tests share."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from mindscope.judges import JudgeItem, Judgement, JudgeScore, Rubric
from mindscope.models import Model, Raw, Read
from mindscope.personas.trait import Trait
from mindscope.personas.vectors import PersonaVectors

TEMPLATE = (
    "{% for m in messages %}<s>{{ m['role'] }}\n{{ m['content'] }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)


def tiny_chat_model(folder: Path, *, n_layers: int = 3, d_model: int = 32, seed: int = 0) -> Path:
    """Writes a random Llama with a byte tokenizer and a chat template as a Hugging Face folder."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate(["<s>", "</s>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
    fast.chat_template = TEMPLATE
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=d_model,
        intermediate_size=2 * d_model,
        num_hidden_layers=n_layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        bos_token_id=0,
        eos_token_id=1,
        tie_word_embeddings=False,
    )
    torch.manual_seed(seed)
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.normal_(0, 0.3)
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def tiny_trait(n_questions: int = 4, n_instructions: int = 2) -> Trait:
    return Trait.parse(
        {
            "name": "loud",
            "description": "speaks loudly",
            "adjective": "loud",
            "opposite": "quiet",
            "instructions": [
                {"pos": f"Shout, way {i}.", "neg": f"Whisper, way {i}."} for i in range(n_instructions)
            ],
            "extraction": [f"What of {i}?" for i in range(n_questions)],
            "evaluation": [f"Why is it {i}?" for i in range(n_questions)],
            "eval_prompt": "Is this loud? {question} {answer}",
        }
    )


def everything(address: str) -> Read:
    return Read(address, Raw("all"))


class InstructionJudge:
    """Scores what the system prompt asked for: 90 under a loud one, 10 otherwise, always coherent."""

    name = "instruction"

    def judge(self, rubric: Rubric, items: Sequence[JudgeItem]) -> list[Judgement]:
        return [
            Judgement(
                JudgeScore.of(90.0 if item.system and " loud " in item.system else 10.0), JudgeScore.of(80.0)
            )
            for item in items
        ]


class HashJudge:
    """Scores that follow from the answer alone; every status and every side of every threshold occurs."""

    name = "hash"

    def judge(self, rubric: Rubric, items: Sequence[JudgeItem]) -> list[Judgement]:
        return [self.one(item) for item in items]

    def one(self, item: JudgeItem) -> Judgement:
        dice = hashlib.sha256(f"{item.system}{item.question}{item.answer}".encode()).digest()
        loud = item.system is not None and " loud " in item.system
        trait = JudgeScore.of((40.0 if loud else 0.0) + dice[0] % 61)
        if dice[1] < 15:
            trait = JudgeScore.refusal()
        elif dice[1] < 30:
            trait = JudgeScore.missing("no number in the reply")
        return Judgement(trait, JudgeScore.of(45.0 + dice[2] % 56))


def random_vectors(model: Model, trait: str = "loud", seed: int = 0) -> PersonaVectors:
    """Vectors at every layer that mean nothing."""
    matrix = torch.randn(model.n_layers, model.d_model, generator=torch.Generator().manual_seed(seed))
    return PersonaVectors(trait, model.fingerprint, {"answer_mean": matrix}, tuple(range(model.n_layers)))
