"""Single latents that are active on a thing's picture and on its word in three languages.

Templeton et al. 2024, "Scaling Monosemanticity", show features that answer to a concept in several languages
and in images. Here every thing that can be drawn is asked about:

1. A channel is the picture, with a question behind it, or sentences with the thing's word in one language.
   Texts of a kind's things stand against one another: the dog's against those of the other animals.
2. A latent reads a text by its highest activation; in each channel its AUROC says how well it tells the
   thing from the others of its kind.
3. For each thing the latent whose lowest AUROC over the channels is highest is chosen on half of the texts.
   The thing is found where that latent's lowest AUROC on the other half reaches the bar.
4. The null exchanges the pictures' names within a kind, chooses and tests again: a search among thousands of
   latents finds something for any pairing. Beside it stand the best neuron and a random dictionary.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from mindscope.dictionaries import Dictionary, DictionaryBank
from mindscope.explain import pooled_channels, pooled_features_of
from mindscope.features import read_activations
from mindscope.models import Model
from mindscope.organism import LANGUAGES
from mindscope.organism.mechanisms import languages, pictures
from mindscope.organism.mechanisms.facts import build_facts
from mindscope.organism.mechanisms.pictures import PictureCase, picture_cases, picture_tokens
from mindscope.stats import area_under_curve
from mindscope.studies.common import PieceProgress, randomise
from mindscope.studies.shared_space.config import SharedSpaceConfig
from mindscope.studies.shared_space.results import PictureHeat, PictureHeats, SharedThings

CHANNELS = ("picture", *LANGUAGES)
KINDS = ("animal", "shape", "colour", "place", "flag")
DRAWN_HEATS = 3
"""Pictures shown of a thing."""

Aurocs = Float[ndarray, "things channels features"]


@dataclass(frozen=True)
class DrawnThing:
    """A thing that can be drawn, with its words."""

    kind: str
    name: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class ThingText:
    """A text of a channel about a thing, and the picture in it."""

    thing: int
    channel: int
    half: int
    text: str
    case: PictureCase | None = None


def list_things() -> list[DrawnThing]:
    """All of them, each kind's together."""
    facts = build_facts()
    named = {
        "animal": {name: facts.names(name) for name in facts.sprites},
        "shape": facts.shapes,
        "colour": facts.colours,
        "place": facts.places,
        "flag": {name: facts.names(name) for name in facts.flags},
    }
    return [DrawnThing(kind, name, words) for kind in KINDS for name, words in named[kind].items()]


def write_texts(things: Sequence[DrawnThing], examples: int, seed: int) -> list[ThingText]:
    """So many texts of every thing in every channel, half of them to choose on."""
    rng = random.Random(f"shared-things-{seed}")
    cases = [*picture_cases("train"), *picture_cases("test")]
    texts: list[ThingText] = []
    for number, thing in enumerate(things):
        own = list(dict.fromkeys(case for case in cases if _shows(case, thing)))
        for example in range(examples):
            case = rng.choice(own)
            question = pictures.QUESTIONS[thing.kind][rng.randrange(len(LANGUAGES))]
            drawn = picture_tokens(case.pixels()) + question
            texts.append(ThingText(number, 0, example % 2, drawn, case))
        for language in range(len(LANGUAGES)):
            sentences = _sentences(thing, language)
            texts += [
                ThingText(number, 1 + language, example % 2, rng.choice(sentences[example % 2 :: 2]))
                for example in range(examples)
            ]
    return texts


def _shows(case: PictureCase, thing: DrawnThing) -> bool:
    part = {"colour": case.colour, "place": case.place}.get(thing.kind, case.name)
    return part == thing.name and (thing.kind in ("colour", "place") or case.kind == thing.kind)


def _sentences(thing: DrawnThing, language: int) -> list[str]:
    """Sentences with its word; those for choosing and for testing alternate."""
    said = [
        form[relation][language].format(word=thing.words[language])
        for relation in languages.RELATIONS
        if thing.words in languages.answers_of(relation)
        for form in (languages.QUESTIONS, languages.STATEMENTS)
    ]
    if said:
        return said
    facts, word = build_facts(), thing.words[language]
    others = {"shape": facts.shapes, "colour": facts.colours, "place": facts.places}
    captions: list[str] = []
    for place in range(4):
        said = [
            word if kind == thing.kind else list(named.values())[place][language]
            for kind, named in others.items()
        ]
        captions.append(pictures.STATEMENTS["caption"][language].format(*said))
    return [pictures.STATEMENTS[thing.kind][language].format(word), *captions]


def measure_things(
    model: Model,
    dictionaries: Mapping[int, Dictionary],
    config: SharedSpaceConfig,
    seed: int,
    progress: PieceProgress,
) -> SharedThings:
    """Look for every thing at every block that has a dictionary."""
    things = list_things()
    texts = write_texts(things, config.examples, seed)
    rows = [model.text(text.text) for text in texts]
    rng = np.random.default_rng(seed)
    exchanges = [exchange_names(things, rng) for _ in range(config.permutations)]
    names = ("latents", "aurocs", "words", "null", "neurons", "random")
    pieces: dict[str, list[Any]] = {name: [] for name in names}
    for number, (layer, dictionary) in enumerate(dictionaries.items()):
        banks = [DictionaryBank(one) for one in (dictionary, randomise(dictionary, seed))]
        latents_of, random_of = pooled_features_of(model, banks, rows)
        tables = {
            "latents": latents_of["all", ""],
            "random": random_of["all", ""],
            "neurons": pooled_channels(model, f"mlp_act.{layer}", rows)["all", ""],
        }
        chosen, tested = (score_texts(things, texts, tables["latents"].numpy(), half) for half in (0, 1))
        latents = choose(chosen)
        pieces["latents"].append(tuple(latents.tolist()))
        pieces["aurocs"].append(tuple(tuple(row) for row in take(tested, latents).tolist()))
        pieces["words"].append(_lowest(chosen[:, 1:], tested[:, 1:]))
        pieces["null"].append(
            tuple(
                float((np.array(_lowest(mix(chosen, order), mix(tested, order))) >= config.apart).mean())
                for order in exchanges
            )
        )
        for name in ("neurons", "random"):
            halves = [score_texts(things, texts, tables[name].numpy(), half) for half in (0, 1)]
            pieces[name].append(_lowest(*halves))
        progress(number + 1, len(dictionaries))
    return SharedThings(
        things=tuple(thing.name for thing in things),
        kinds=tuple(thing.kind for thing in things),
        layers=tuple(dictionaries),
        latents=tuple(pieces["latents"]),
        aurocs=tuple(pieces["aurocs"]),
        words_only=tuple(pieces["words"]),
        null=tuple(pieces["null"]),
        neurons=tuple(pieces["neurons"]),
        random=tuple(pieces["random"]),
    )


def score_texts(
    things: Sequence[DrawnThing],
    texts: Sequence[ThingText],
    table: Float[ndarray, "texts features"],
    half: int,
) -> Aurocs:
    """How well every feature tells each thing from the others of its kind, channel by channel."""
    scores = np.empty((len(things), len(CHANNELS), table.shape[1]))
    kinds = np.array([things[text.thing].kind for text in texts])
    about = np.array([text.thing for text in texts])
    channels, halves = (np.array([getattr(text, name) for text in texts]) for name in ("channel", "half"))
    for number, thing in enumerate(things):
        for channel in range(len(CHANNELS)):
            own = (channels == channel) & (halves == half) & (kinds == thing.kind)
            scores[number, channel] = area_under_curve(
                table[own & (about == number)].astype(np.float64),
                table[own & (about != number)].astype(np.float64),
            )
    return scores


def choose(scores: Aurocs) -> Int[ndarray, "things"]:
    """Of each thing the feature whose lowest score over the channels is highest."""
    return scores.min(1).argmax(1)


def take(scores: Aurocs, features: Int[ndarray, "things"]) -> Float[ndarray, "things channels"]:
    """The scores of each thing's own feature."""
    return np.stack([own[:, feature] for own, feature in zip(scores, features, strict=True)])


def exchange_names(things: Sequence[DrawnThing], rng: np.random.Generator) -> list[int]:
    """For each thing another one of its kind, no two alike."""
    order = list(range(len(things)))
    for kind in KINDS:
        own = [number for number, thing in enumerate(things) if thing.kind == kind]
        shuffled = rng.permutation(own).tolist()
        for place, number in enumerate(shuffled):
            order[number] = shuffled[(place + 1) % len(shuffled)]
    return order


def mix(scores: Aurocs, order: Sequence[int]) -> Aurocs:
    """The scores with each thing's picture taken from another thing."""
    return np.concatenate([scores[list(order), :1], scores[:, 1:]], axis=1)


def _lowest(chosen: Aurocs, tested: Aurocs) -> tuple[float, ...]:
    return tuple(take(tested, choose(chosen)).min(1).tolist())


def draw_heats(
    model: Model,
    dictionaries: Mapping[int, Dictionary],
    found: SharedThings,
    config: SharedSpaceConfig,
    seed: int,
) -> PictureHeats:
    """Pictures of every thing, at the block where its latent's lowest AUROC is highest."""
    things = list_things()
    drawn = [text for text in write_texts(things, config.examples, seed) if text.case and text.half]
    lowest = np.array(found.aurocs).min(2)  # blocks x things
    heats: list[PictureHeat] = []
    for number, thing in enumerate(things):
        block = int(lowest[:, number].argmax())
        if lowest[block, number] < config.apart:
            continue
        layer, latent = found.layers[block], found.latents[block][number]
        bank = DictionaryBank(dictionaries[layer])
        for text in [text for text in drawn if text.thing == number][:DRAWN_HEATS]:
            row = model.text(text.text)
            values = bank.values(read_activations(bank.reads, bank.models, model, [row]), [latent])[:, 0]
            first = row.ids.index(model.tokenizer.convert_tokens_to_ids(pictures.BEGIN)) + 1
            last = first + pictures.N_PATCHES
            assert text.case is not None
            heats.append(
                PictureHeat(
                    thing=thing.name,
                    layer=layer,
                    latent=latent,
                    pixels=text.case.pixels(),
                    patches=tuple(values[first:last].tolist()),
                    question=float(values[last:].max()),
                )
            )
    return PictureHeats(heats=tuple(heats))
