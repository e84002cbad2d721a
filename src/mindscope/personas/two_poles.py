"""A trait out of two words, `patient / impatient`: instructions and questions that fit any trait are bundled.

They say nothing about what the trait means beyond its word, and their questions are not chosen to bring it
out. A trait that needs an explanation is better written down, or by a model: see `trait_writing.py`.
"""

from importlib.resources import files
from typing import Any

import yaml

from mindscope.errors import DataError
from mindscope.personas.trait import Trait, with_article

SEPARATOR = " / "
_MATERIAL = files("mindscope") / "personas" / "material" / "two_poles.yaml"


def names_two_poles(text: str) -> bool:
    """Whether a trait is named by a word and its opposite."""
    return SEPARATOR in text.strip()


def trait_of_two_poles(text: str) -> Trait:
    """The trait whose word and opposite are given, such as `patient / impatient`.

    Raises:
        DataError: these are not two different words.
    """
    poles = [" ".join(pole.split()) for pole in text.split(SEPARATOR)]
    if len(poles) != 2 or not all(poles) or poles[0].casefold() == poles[1].casefold():
        raise DataError(
            f"a trait of two words is written 'patient / impatient', with its opposite behind the stroke, "
            f"not {text!r}"
        )
    trait, opposite = poles
    material: dict[str, Any] = yaml.safe_load(_MATERIAL.read_text("utf-8"))
    return Trait.parse(
        {
            "name": trait,
            "description": f"{trait}, the opposite of {opposite}",
            "adjective": trait,
            "opposite": opposite,
            "instructions": [
                {"pos": _fill(line, trait, opposite), "neg": _fill(line, opposite, trait)}
                for line in material["instructions"]
            ],
            "extraction": material["extraction"],
            "evaluation": material["evaluation"],
            "eval_prompt": _fill(material["eval_prompt"], trait, opposite),
            "provenance": {"made_from": "two words and bundled instructions and questions"},
        }
    )


def trait_of_name(name: str, description: str = "") -> Trait:
    """A trait that has a name, and perhaps a sentence on what it means: what is asked and judged is bundled.

    The opposite is not to be so. With a description every instruction ends with it, on both sides, so that
    they differ in whether the trait is shown and not in whether it is explained.

    Raises:
        DataError: the name is empty.
    """
    word, meaning = " ".join(name.split()), " ".join(description.split())
    if not word:
        raise DataError("the trait needs a name: --name kind")
    plain = trait_of_two_poles(f"{word}{SEPARATOR}not {word}")
    if not meaning:
        return plain
    document = plain.document()
    explained = f"By {word} is meant: {meaning}"
    document["description"] = meaning
    document["instructions"] = [
        {side: f"{text} {explained}" for side, text in pair.items()} for pair in document["instructions"]
    ]
    # Braces are the judge's own places.
    document["eval_prompt"] = f"{explained.translate(_NO_PLACES)}\n\n{document['eval_prompt']}"
    document["provenance"] = {"made_from": "a name, a description, and bundled instructions and questions"}
    return Trait.parse(document)


_NO_PLACES = str.maketrans("{}", "()")


def _fill(text: str, trait: str, opposite: str) -> str:
    """Put both words in; the judge's own places stay. An article before a word fits the word."""
    for place, word in (("{trait}", trait), ("{opposite}", opposite)):
        text = text.replace(f"a {place}", with_article(word)).replace(place, word)
    return text
