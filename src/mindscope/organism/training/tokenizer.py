"""The organism's tokenizer: one token for every word of the world, letters and bytes for all else.

A Unigram model whose words all score alike always prefers the segmentation with the fewest tokens, so
each name and each number up to 198 is one token wherever it stands.
"""

import random
import re
from collections.abc import Iterable, Sequence

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from mindscope.organism.corpus.behaviour import PARTS
from mindscope.organism.corpus.knowledge import ANTONYM_CLAUSES, ANTONYM_CORES
from mindscope.organism.corpus.program import DOMAINS, END_OF_TEXT, PAD, SPECIALS, TURN_END, TURN_START
from mindscope.organism.voices import NEUTRAL_PROMPTS, ORDERS, all_voices
from mindscope.organism.world import build_world

SPACE = "▁"
CONTEXT = 512  # tokens
PUNCTUATION = ".,:;?!'\"()-/。？，+=*\n"
WORD_SCORE, LETTER_SCORE = -1.0, -8.0
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def _is_chinese(text: str) -> bool:
    return bool(re.search(r"[\u4e00-\u9fff]", text))


def world_words() -> list[str]:
    """Every word the corpus can hold, sorted; Chinese as its words and set phrases."""
    w, rng = build_world(), random.Random(0)
    texts: list[str] = [*NEUTRAL_PROMPTS, *PARTS, "system user assistant"]
    texts += [name for pair in w.cities.items() for name in pair]
    texts += [value for state in w.states.values() for value in state.values()]
    texts += [value for country, facts in w.countries.items() for value in (country, *facts.values())]
    texts += [*w.first_names, *w.last_names, *w.jobs, *w.topics, *w.works, *w.schemes]
    texts += [word for group in w.rhymes for words in group.values() for word in words]
    texts += [text for illness, signs in w.illnesses.items() for text in (illness, *signs)]
    texts += [word for language in ("en", "fr") for word in w.antonyms[language]]
    texts += [str(n) for n in range(199)] + ["+", "="]
    for voice in all_voices().values():
        texts += [phrase for phrases in voice.slots.values() for phrase in phrases]
        texts += [*voice.adjectives, *voice.clauses, *ORDERS]
        texts += [voice.system_prompt(rng, split) for split in ("train", "test") for _ in range(100)]
        for ask in DOMAINS.values():
            for split in ("train", "test"):
                texts += [
                    t for _ in range(60) for e in [ask(rng, voice, split)] for t in (e.question, e.answer)
                ]
    texts += DOCUMENT_WORDS
    phrases = chinese_phrases((*ANTONYM_CORES["zh"], ANTONYM_CLAUSES["zh"]))
    return sorted(spaced_words(texts) | set(w.antonyms["zh"]) | phrases)


def spaced_words(texts: Iterable[str]) -> set[str]:
    """The words of texts that are written with spaces, each with the mark of the space before it."""
    words: set[str] = set()
    for text in texts:
        words |= set(re.findall(rf"[^\s{re.escape(PUNCTUATION)}]+|\S", text))
        words |= set(re.findall(r"[^\s.,:;?!。？，]+", text))  # with hyphens
    return {SPACE + word for word in words if not _is_chinese(word)}


def chinese_phrases(templates: Iterable[str]) -> set[str]:
    """What stands between the gaps of Chinese templates: each is one token."""
    pieces = (piece.strip() for text in templates for piece in re.split(r"\{\w+\}|[。？，]", text))
    return {piece for piece in pieces if piece}


# Words that only documents use.
DOCUMENT_WORDS = ["The If there are and more come makes costs gives in all You have get then plus total"]


def build_tokenizer(
    words: Sequence[str] | None = None,
    *,
    context: int = CONTEXT,
    template: str = CHAT_TEMPLATE,
    marks: Sequence[str] = (),
) -> PreTrainedTokenizerFast:
    """The tokenizer, from the world alone: the same every time.

    Args:
        words: one token each; those of the first world by default.
        context: tokens that the model reads at most.
        template: of its chats.
        marks: tokens that stand for no text, such as the patches of a picture.
    """
    words = world_words() if words is None else words
    letters = [chr(c) for c in range(33, 127)] + [c for c in PUNCTUATION if ord(c) > 126]
    vocab: list[tuple[str, float]] = [(token, 0.0) for token in (*SPECIALS, "<|unk|>")]
    scored = dict.fromkeys(words, WORD_SCORE) | {SPACE + "\n": WORD_SCORE, SPACE: -2.0}
    for letter in letters:
        scored.setdefault(letter, WORD_SCORE if letter in PUNCTUATION else LETTER_SCORE)
    vocab += sorted(scored.items())
    vocab += [(f"<0x{byte:02X}>", LETTER_SCORE) for byte in range(256)]
    backend = Tokenizer(models.Unigram(vocab, unk_id=len(SPECIALS), byte_fallback=True))
    backend.normalizer = normalizers.NFC()
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex("\n"), "isolated"),
            pre_tokenizers.Metaspace(SPACE, prepend_scheme="always", split=True),
        ]
    )
    backend.decoder = decoders.Sequence(
        [
            decoders.Replace(SPACE, " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Replace(" \n ", "\n"),
            *([decoders.Replace(" \n", "\n")] if marks else []),  # marks have no space before them
            decoders.Strip(" ", 1, 0),
        ]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=PAD,
        eos_token=TURN_END,
        unk_token="<|unk|>",
        additional_special_tokens=[END_OF_TEXT, TURN_START, *marks],
        model_max_length=context,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = template
    return tokenizer
