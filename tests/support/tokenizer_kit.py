"""Tokenizers of the kinds that models have, trained in a moment: they differ in how they write a number."""

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

TEXT = [f"{number} is a number, as is {number}\n" for number in range(101)] * 3
TEXT += ["How evil is this? Reply with a number or REFUSAL.\n\n  REFUSAL\n\n"] * 20


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """A token a byte, without merges."""
    vocab = {piece: index for index, piece in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    tokenizer.pre_tokenizer, tokenizer.decoder = (
        pre_tokenizers.ByteLevel(add_prefix_space=False),
        decoders.ByteLevel(),
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def digits_tokenizer() -> PreTrainedTokenizerFast:
    """Bytes, and every digit alone: 85 is "8", "5", and a space before it is a token of its own."""
    split = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    return _trained(split, decoders.ByteLevel(), pre_tokenizers.ByteLevel.alphabet(), size=400)


def numbers_tokenizer() -> PreTrainedTokenizerFast:
    """Bytes, and whole numbers with and without the space before them: " 85", "85", and also "8", "5"."""
    split = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return _trained(split, decoders.ByteLevel(), pre_tokenizers.ByteLevel.alphabet(), size=900)


def pieces_tokenizer() -> PreTrainedTokenizerFast:
    """Pieces of words with "▁" for a space, digits alone, and bytes for what no piece spells."""
    split = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.Digits(individual_digits=True)]
    )
    join = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return _trained(split, join, [], size=600, byte_fallback=True)


def _trained(split, join, alphabet: list[str], *, size: int, byte_fallback: bool = False):
    tokenizer = Tokenizer(models.BPE(byte_fallback=byte_fallback, unk_token="<unk>"))
    tokenizer.pre_tokenizer, tokenizer.decoder = split, join
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)] * byte_fallback
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    tokenizer.add_special_tokens([AddedToken("<s>", special=True), AddedToken("</s>", special=True)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )
