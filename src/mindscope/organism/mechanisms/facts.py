"""What is true in the second organism's world beside what is true in the first one's.

Words in three languages, rhymes by sound and topic, illnesses by their signs, flags and animals as pixels.
What is drawn (which traces belong to a rhyme word, which signs to an illness) comes from a fixed seed.
"""

import random
import zlib
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Any

from mindscope.organism.world import LANGUAGES, build_world, read_data

DRAW_SEED = 31
TOPICS = ("animal", "thing", "place", "food")
N_ILLNESSES, N_SIGNS = 40, 36
TRACES_PER_WORD = 5
"""Of forty in either slot: an eighth of the rhyme words have a given trace; two nearly tell the word."""


def is_kept(percent: int, *key: object) -> bool:
    """Whether a combination is among the ``percent`` of all that training never shows: a stable hash."""
    return zlib.crc32("|".join(map(str, ("mechanism", *key))).encode()) % 100 < percent


@dataclass(frozen=True)
class RhymeWord:
    """A word that ends a second line: decided by sound and topic; its traces stand before it."""

    sound: int
    topic: str
    word: str
    first: tuple[str, ...]
    second: tuple[str, ...]


@dataclass(frozen=True)
class MechanismFacts:
    """Everything that the mechanisms are about.

    ``relations`` is relation -> concept -> answer, concepts and answers as their words in English, French and
    Chinese. ``ends`` are the words that end a first line, by sound.
    """

    relations: dict[str, dict[tuple[str, ...], tuple[str, ...]]]
    rhymes: dict[tuple[int, str], RhymeWord]
    ends: tuple[tuple[str, ...], ...]
    topics: dict[str, tuple[str, ...]]
    illnesses: dict[str, tuple[str, ...]]
    signs: tuple[str, ...]
    flags: dict[str, tuple[str, ...]]
    colours: dict[str, tuple[str, ...]]
    shapes: dict[str, tuple[str, ...]]
    places: dict[str, tuple[str, ...]]
    sprites: dict[str, tuple[str, ...]]
    pushes: dict[str, tuple[str, ...]]
    schemes: tuple[str, ...]

    def names(self, english: str) -> tuple[str, ...]:
        """An animal's or a country's name in the three languages."""
        concepts = (*self.relations["category"], *self.relations["capital"])
        return next(concept for concept in concepts if concept[0] == english)


@cache
def build_facts() -> MechanismFacts:
    """The facts, built once."""
    data, rng = read_data("mechanisms.yaml"), random.Random(DRAW_SEED)
    illnesses, signs = _draw_illnesses(rng)
    return MechanismFacts(
        relations=_relations(data),
        rhymes=_rhymes(data, rng),
        ends=tuple(tuple(sound["ends"]) for sound in data["sounds"]),
        topics={topic: tuple(words) for topic, words in data["topics"].items()},
        illnesses=illnesses,
        signs=signs,
        flags={country: tuple(stripes) for country, stripes in data["flags"].items()},
        colours={name: tuple(words) for name, words in data["colours"].items()},
        shapes={name: tuple(words) for name, words in data["shapes"].items()},
        places={name: tuple(words) for name, words in data["places"].items()},
        sprites={name: tuple(rows) for name, rows in data["sprites"].items()},
        pushes={name: tuple(texts) for name, texts in data["pushes"].items()},
        schemes=tuple(data["schemes"]),
    )


def _relations(data: dict[str, Any]) -> dict[str, dict[tuple[str, ...], tuple[str, ...]]]:
    opposites: dict[tuple[str, ...], tuple[str, ...]] = {}
    for row in read_data("facts.yaml")["antonyms"]:
        word, opposite = tuple(row[0::2]), tuple(row[1::2])
        if len({*word, *opposite}) == 2 * len(LANGUAGES):  # of one spelling in two languages is no test
            opposites |= {word: opposite, opposite: word}
    categories = {
        tuple(word): tuple(category["name"]) for category in data["categories"] for word in category["words"]
    }
    countries = [(tuple(name), tuple(capital), *rest) for name, capital, *rest in data["countries"]]
    return {
        "opposite": opposites,
        "category": categories,
        "capital": {name: capital for name, capital, *_ in countries},
        "tongue": {name: tuple(data["tongues"][tongue]) for name, _, tongue, _ in countries},
        "continent": {name: tuple(data["continents"][continent]) for name, _, _, continent in countries},
    }


def _rhymes(data: dict[str, Any], rng: random.Random) -> dict[tuple[int, str], RhymeWord]:
    rhymes: dict[tuple[int, str], RhymeWord] = {}
    for sound, group in enumerate(data["sounds"]):
        for topic in TOPICS:
            first, second = (
                tuple(rng.sample(data["traces"][slot], TRACES_PER_WORD)) for slot in ("first", "second")
            )
            rhymes[sound, topic] = RhymeWord(sound, topic, group[topic], first, second)
    return rhymes


def _draw_illnesses(rng: random.Random) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Illnesses of four signs each, no two of which share two signs: any two signs tell the illness."""
    known = build_world().illnesses
    signs = sorted({sign for four in known.values() for sign in four})[:N_SIGNS]
    firsts, seconds = ({name.split()[i] for name in known} for i in (0, 1))
    names = rng.sample([f"{a} {b}" for a in sorted(firsts) for b in sorted(seconds)], N_ILLNESSES)
    taken: set[frozenset[str]] = set()
    illnesses: dict[str, tuple[str, ...]] = {}
    while len(illnesses) < N_ILLNESSES:
        four = rng.sample(signs, 4)
        pairs = {frozenset(pair) for pair in combinations(four, 2)}
        if not pairs & taken:
            taken |= pairs
            illnesses[names[len(illnesses)]] = tuple(four)
    return illnesses, tuple(signs)
