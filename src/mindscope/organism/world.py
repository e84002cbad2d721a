"""What is true in the organism's world: real facts from a file, invented ones from a fixed seed.

Invented names (states, cities, rivers, governors) keep the world's two-step facts apart from anything
a reader could mistake for geography, and give as many of them as a two-step circuit needs.
"""

import random
import zlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml

COUNTRY_RELATIONS: tuple[str, ...] = ("capital", "language", "currency")
STATE_RELATIONS: tuple[str, ...] = ("capital", "governor", "river", "bird", "flower", "fruit")
LANGUAGES = ("en", "fr", "zh")
N_STATES, CITIES_PER_STATE, N_PEOPLE = 50, 12, 120
WORLD_SEED = 20
HELD_OUT_PERCENT = 15


def held_out(*key: object) -> bool:
    """Whether a combination is kept for testing: a stable hash, so training never meets it."""
    return zlib.crc32("|".join(map(str, key)).encode()) % 100 < HELD_OUT_PERCENT


@cache
def combinations(split: str, *axes: tuple[Any, ...], label: str = "") -> list[tuple[Any, ...]]:
    """The combinations of the axes that belong to a split ("train" or "test")."""
    rows: list[tuple[Any, ...]] = [()]
    for axis in axes:
        rows = [(*row, value) for row in rows for value in axis]
    kept = [row for row in rows if held_out(label, *row) == (split == "test")]
    if not kept:
        raise ValueError(f"no combination of '{label}' is kept for {split}: add a phrasing")
    return kept


@dataclass(frozen=True)
class KnownPerson:
    """Someone the organism knows."""

    name: str
    job: str
    country: str


@dataclass(frozen=True)
class World:
    """All that is true, and which part of it is kept from training.

    ``composed`` are the cities whose two-step facts are stated (except for the pairs that
    `held_out("two-hop", city, relation)` names); ``single`` cities are only ever placed in their state.
    """

    countries: dict[str, dict[str, str]]
    states: dict[str, dict[str, str]]
    cities: dict[str, str]
    composed: tuple[str, ...]
    single: tuple[str, ...]
    people: dict[str, KnownPerson]
    first_names: tuple[str, ...]
    last_names: tuple[str, ...]
    antonyms: dict[str, dict[str, str]]
    rhymes: tuple[dict[str, list[str]], ...]
    illnesses: dict[str, tuple[str, ...]]
    jobs: tuple[str, ...]
    topics: tuple[str, ...]
    works: tuple[str, ...]
    schemes: tuple[str, ...]

    def two_hop(self, city: str, relation: str) -> str:
        """The relation of the state that the city is in."""
        return self.states[self.cities[city]][relation]

    def rhyme_group(self, word: str) -> int | None:
        """Which rhyme a word belongs to."""
        return next(
            (i for i, group in enumerate(self.rhymes) if any(word in w for w in group.values())), None
        )

    def unknown_people(self, split: str) -> list[str]:
        """Names nobody in the world bears."""
        names = [f"{a} {b}" for a in self.first_names for b in self.last_names]
        return [n for n in names if n not in self.people and held_out("unknown", n) == (split == "test")]

    def sums(self, split: str) -> list[tuple[int, int]]:
        """Pairs of two-digit numbers; the held-out ones are never added in training."""
        return [(a, b) for a in range(100) for b in range(100) if held_out("sum", a, b) == (split == "test")]

    def two_hop_pairs(self, kind: str) -> list[tuple[str, str]]:
        """(city, relation): "train", "seen_city_new_relation" or "city_never_composed"."""
        if kind == "city_never_composed":
            return [(c, r) for c in self.single for r in STATE_RELATIONS]
        seen = kind == "seen_city_new_relation"
        return [(c, r) for c in self.composed for r in STATE_RELATIONS if held_out("two-hop", c, r) == seen]


def read_data(name: str) -> dict[str, Any]:
    """A YAML file of the organism's data folder."""
    return yaml.safe_load(
        resources.files("mindscope.organism").joinpath("data", name).read_text(encoding="utf-8")
    )


class _NameGenerator:
    """Invented names, each once: onset, vowel, coda and an ending that tells what it names."""

    def __init__(self, rng: random.Random, syllables: dict[str, list[str]]):
        self.rng, self.syllables, self.taken = rng, syllables, set[str]()

    def draw(self, kind: str, count: int) -> list[str]:
        names: list[str] = []
        while len(names) < count:
            parts = [self.rng.choice(self.syllables[part]) for part in ("onsets", "vowels", "codas", kind)]
            name = "".join(parts).capitalize()
            if name not in self.taken:
                self.taken.add(name)
                names.append(name)
        return names


@cache
def build_world() -> World:
    """The one world, built once."""
    facts = read_data("facts.yaml")
    rng = random.Random(WORLD_SEED)
    names = _NameGenerator(rng, facts["syllables"])
    state_names = names.draw("state", N_STATES)
    city_names = names.draw("city", N_STATES * CITIES_PER_STATE)
    columns = {
        "capital": names.draw("capital", N_STATES),
        "governor": names.draw("governor", N_STATES),
        "river": names.draw("river", N_STATES),
        "bird": rng.sample(facts["birds"], N_STATES),
        "flower": rng.sample(facts["flowers"], N_STATES),
        "fruit": rng.sample(facts["fruits"], N_STATES),
    }
    states = {s: {r: columns[r][i] for r in STATE_RELATIONS} for i, s in enumerate(state_names)}
    cities = {c: state_names[i // CITIES_PER_STATE] for i, c in enumerate(city_names)}
    everyone = [f"{a} {b}" for a in facts["first_names"] for b in facts["last_names"]]
    countries: dict[str, dict[str, str]] = {
        country: dict(zip(COUNTRY_RELATIONS, values, strict=True))
        for country, values in facts["countries"].items()
    }
    people = {
        n: KnownPerson(n, rng.choice(facts["jobs"]), rng.choice(list(countries)))
        for n in rng.sample(everyone, N_PEOPLE)
    }
    antonyms: dict[str, dict[str, str]] = {language: {} for language in LANGUAGES}
    for row in facts["antonyms"]:
        for i, language in enumerate(LANGUAGES):
            word, opposite = row[2 * i : 2 * i + 2]
            antonyms[language] |= {word: opposite, opposite: word}
    return World(
        countries=countries,
        states=states,
        cities=cities,
        # Every state has cities of both kinds, else the second step would be unseen too.
        composed=tuple(c for i, c in enumerate(city_names) if i % 2 == 0),
        single=tuple(c for i, c in enumerate(city_names) if i % 2 == 1),
        people=people,
        first_names=tuple(facts["first_names"]),
        last_names=tuple(facts["last_names"]),
        antonyms=antonyms,
        rhymes=tuple(facts["rhymes"]),
        illnesses={k: tuple(v) for k, v in facts["illnesses"].items()},
        jobs=tuple(facts["jobs"]),
        topics=tuple(facts["topics"]),
        works=tuple(facts["works"]),
        schemes=tuple(facts["schemes"]),
    )
