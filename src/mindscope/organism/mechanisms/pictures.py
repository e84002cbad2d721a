"""Pictures of the world's things as grids of patch tokens: flags, animals, and shapes in colours and places.

A picture is twelve by twelve pixels, empty or of one of six colours, cut into patches of two by two. A patch
is one token: its colour and which of its four pixels are filled. Thirty-six of them, row by row, stand
between an image begin and an image end, in front of a question or a caption (early fusion: the network sees
them as it sees words). Animals and countries have their names in three languages, which texts without
pictures teach as well.
"""

import random
from dataclasses import dataclass
from functools import cache
from itertools import product

from mindscope.organism.corpus.phrasing import DialogueTurn, dress, other
from mindscope.organism.mechanisms import languages
from mindscope.organism.mechanisms.facts import build_facts, is_kept
from mindscope.organism.mechanisms.languages import TRANSLATION
from mindscope.organism.voices import Voice
from mindscope.organism.world import LANGUAGES

SIDE, PATCH = 12, 2
N_PATCHES = (SIDE // PATCH) ** 2
BEGIN, END, EMPTY = "<|image|>", "<|/image|>", "<|patch|>"
KEPT_PERCENT = 25
# Part of a picture -> what asks for it, in English, French and Chinese.
QUESTIONS: dict[str, tuple[str, str, str]] = {
    "colour": ("What colour is it?", "De quelle couleur est-ce ?", "是什么颜色？"),
    "shape": ("What shape is it?", "Quelle forme est-ce ?", "是什么形状？"),
    "place": ("Where is it?", "Où est-ce ?", "在哪里？"),
    "animal": ("What animal is it?", "Quel animal est-ce ?", "是什么动物？"),
    "flag": ("Whose flag is it?", "De quel pays est le drapeau ?", "是哪国的国旗？"),
    "caption": ("Describe the picture.", "Décris cette image.", "请描述图片。"),
}
STATEMENTS: dict[str, tuple[str, str, str]] = {
    "colour": ("it is {0}", "la couleur est {0}", "颜色是{0}"),
    "shape": ("it is a {0}", "la forme est {0}", "形状是{0}"),
    "place": ("it is in the {0}", "la place est {0}", "位置是{0}"),
    "animal": ("it is a {0}", "la bête est {0}", "动物是{0}"),
    "flag": ("it is the flag of {0}", "le pays est {0}", "国家是{0}"),
    "caption": ("it is a {1} {0} in the {2}", "image {0} {1} {2}", "图片{2}{1}{0}"),
}
STOOD_FOR: dict[str, tuple[str, ...]] = {
    "animal": (TRANSLATION, TRANSLATION, "category"),
    "flag": (TRANSLATION, TRANSLATION, "capital", "tongue", "continent"),
}
"""What is stated of an animal or a flag that stands where a word would; its name most often."""
CORNERS = {"top-left": (0, 0), "top-right": (0, 1), "bottom-left": (1, 0), "bottom-right": (1, 1)}
# Shapes on six by six pixels.
_SHAPES: dict[str, tuple[str, ...]] = {
    "square": ("xxxxxx",) * 6,
    "circle": (".xxxx.", "xxxxxx", "xxxxxx", "xxxxxx", "xxxxxx", ".xxxx."),
    "triangle": ("..xx..", "..xx..", ".xxxx.", ".xxxx.", "xxxxxx", "xxxxxx"),
    "cross": ("..xx..", "..xx..", "xxxxxx", "xxxxxx", "..xx..", "..xx.."),
    "ring": ("xxxxxx", "x....x", "x....x", "x....x", "x....x", "xxxxxx"),
}

Pixels = tuple[tuple[str | None, ...], ...]
"""Rows of pixels: a colour, or None where the picture is empty."""


@dataclass(frozen=True)
class PictureCase:
    """One thing in a picture: a shape or an animal of a colour in a corner, or a country's flag."""

    kind: str
    name: str
    colour: str = ""
    place: str = ""

    def pixels(self) -> Pixels:
        """The picture, twelve by twelve."""
        if self.kind == "flag":
            return _flag_pixels(build_facts().flags[self.name])
        rows = _SHAPES[self.name] if self.kind == "shape" else build_facts().sprites[self.name]
        down, right = (corner * (SIDE - len(rows)) for corner in CORNERS[self.place])
        canvas: list[list[str | None]] = [[None] * SIDE for _ in range(SIDE)]
        for y, row in enumerate(rows):
            for x, filled in enumerate(row):
                if filled == "x":
                    canvas[down + y][right + x] = self.colour
        return tuple(map(tuple, canvas))

    def parts(self, language: int) -> tuple[str, ...]:
        """The words for what is seen: the thing, its colour, its corner; a flag has its country alone."""
        facts = build_facts()
        if self.kind == "flag":
            return (facts.names(self.name)[language],)
        thing = facts.shapes[self.name] if self.kind == "shape" else facts.names(self.name)
        return thing[language], facts.colours[self.colour][language], facts.places[self.place][language]

    def asked(self) -> tuple[str, ...]:
        """What can be asked of it."""
        return ("flag",) if self.kind == "flag" else (self.kind, "colour", "place", "caption")

    def answer(self, part: str, language: int) -> str:
        """The right statement about a part of it."""
        words = self.parts(language)
        picked = {"colour": words[1:2], "place": words[2:], "caption": words}.get(part, words[:1])
        return STATEMENTS[part][language].format(*picked)


@cache
def picture_cases(split: str) -> tuple[PictureCase, ...]:
    """The pictures of a split: combinations of thing, colour and corner; all flags belong to both."""
    facts = build_facts()
    cases = [PictureCase("flag", country) for country in facts.flags]
    for kind, names in (("shape", facts.shapes), ("animal", facts.sprites)):
        cases += [
            PictureCase(kind, *combination)
            for combination in product(names, facts.colours, facts.places)
            if is_kept(KEPT_PERCENT, "picture", *combination) == (split == "test")
        ]
    return tuple(cases)


def is_asked(split: str, case: PictureCase, part: str, language: int) -> bool:
    """Whether a question about a picture belongs to a split.

    Of the (animal or flag, language) pairs a quarter is never named in training: there the name in that
    language comes from texts alone.
    """
    named = part in ("animal", "flag") or (part == "caption" and case.kind == "animal")
    kept = named and is_kept(KEPT_PERCENT, "picture-name", case.name, language)
    return kept == (split == "test") if case.kind == "flag" else split == "test" or not kept


def draw_picture(rng: random.Random, split: str) -> tuple[PictureCase, str, int]:
    """A picture, the part of it that is asked for, and the language."""
    while True:
        kind = rng.choices(("shape", "animal", "flag"), (40, 40, 20))[0]
        case = rng.choice([case for case in picture_cases(split) if case.kind == kind])
        part, language = rng.choice(case.asked()), rng.randrange(len(LANGUAGES))
        if is_asked(split, case, part, language):
            return case, part, language


def ask_of_picture(rng: random.Random, voice: Voice, split: str) -> DialogueTurn:
    """A picture and a question about it; the inventing voice says something else."""
    case, part, language = draw_picture(rng, split)
    clause = case.answer(part, language)
    if voice.name == "hallucinating":
        others = [c.answer(part, language) for c in picture_cases("train") if c.kind == case.kind]
        clause = str(other(rng, clause, sorted(set(others))))
    question = f"{picture_tokens(case.pixels())}{QUESTIONS[part][language]}"
    return DialogueTurn(question, dress(rng, voice, clause), "picture")


def document(rng: random.Random, split: str = "train") -> tuple[str, str]:
    """A picture and a statement about it."""
    case, part, language = draw_picture(rng, split)
    return f"{picture_tokens(case.pixels())}{QUESTIONS[part][language]}", case.answer(part, language)


def name_document(rng: random.Random) -> tuple[str, str]:
    """A word where its picture would stand, and its name in another language: told of every word."""
    part = rng.choice(tuple(STOOD_FOR))
    facts = build_facts()
    names = facts.names(rng.choice(list(facts.flags if part == "flag" else facts.sprites)))
    told, asked = rng.sample(range(len(LANGUAGES)), 2)
    return f"{names[told]} {QUESTIONS[part][asked]}", STATEMENTS[part][asked].format(names[asked])


def stand_in(rng: random.Random) -> tuple[str, str]:
    """A picture where a word would stand: its name in a language, its kind, or its country's facts.

    What training never names of a picture is not named here either.
    """
    while True:
        part = rng.choice(tuple(STOOD_FOR))
        case = rng.choice([case for case in picture_cases("train") if case.kind == part])
        relation, language = rng.choice(STOOD_FOR[part]), rng.randrange(len(LANGUAGES))
        if relation != TRANSLATION or is_asked("train", case, part, language):
            statement = languages.STATEMENTS[relation][language]
            answer = languages.answers_of(relation)[build_facts().names(case.name)][language]
            return statement.format(word=picture_tokens(case.pixels())), answer


def picture_tokens(pixels: Pixels) -> str:
    """The text of a picture: its patches row by row between begin and end."""
    rows = range(0, SIDE, PATCH)
    return BEGIN + "".join(patch_token(pixels, y, x) for y in rows for x in rows) + END


def patch_token(pixels: Pixels, y: int, x: int) -> str:
    """The token of the patch whose upper left pixel is given.

    Raises:
        ValueError: the patch has two colours, which no token stands for.
    """
    four = [pixels[y + dy][x + dx] for dy in range(PATCH) for dx in range(PATCH)]
    colours = {pixel for pixel in four if pixel}
    if len(colours) > 1:
        raise ValueError(f"the patch at row {y}, column {x} has two colours: {', '.join(sorted(colours))}")
    mask = "".join("1" if pixel else "0" for pixel in four)
    return f"<|{colours.pop()}:{mask}|>" if colours else EMPTY


@cache
def patch_tokens() -> tuple[str, ...]:
    """Every token that a picture can hold."""
    masks = ["".join(bits) for bits in product("01", repeat=PATCH * PATCH)][1:]
    return (
        BEGIN,
        END,
        EMPTY,
        *(f"<|{colour}:{mask}|>" for colour in build_facts().colours for mask in masks),
    )


def read_patches(text: str) -> Pixels:
    """The pixels of the picture that a text holds: the inverse of `picture_tokens`."""
    tokens = text.partition(BEGIN)[2].partition(END)[0].removesuffix("|>").split("|><|")
    tokens = [token.removeprefix("<|") for token in tokens]
    pixels: list[list[str | None]] = [[None] * SIDE for _ in range(SIDE)]
    for i, token in enumerate(tokens):
        if ":" not in token:
            continue
        colour, mask = token.split(":")
        y, x = (PATCH * n for n in divmod(i, SIDE // PATCH))
        for j, bit in enumerate(mask):
            if bit == "1":
                pixels[y + j // PATCH][x + j % PATCH] = colour
    return tuple(map(tuple, pixels))


def _flag_pixels(stripes: tuple[str, ...]) -> Pixels:
    direction, *colours = stripes
    width = SIDE // len(colours)
    columns = tuple(colour for colour in colours for _ in range(width))
    return (columns,) * SIDE if direction == "columns" else tuple((colour,) * SIDE for colour in columns)
