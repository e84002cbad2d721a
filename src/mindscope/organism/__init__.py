"""The organism: a small chat model trained here on a world whose truth is code.

Its facts, its seven characters and its weaknesses are known exactly, so every method can be right or wrong
about something. It is a test bed and a teaching model, not a model of the real world.
"""

from mindscope.organism.bundle import dictionaries_folder, dictionary_path, path, weights_folder
from mindscope.organism.capability import Capability, capability
from mindscope.organism.card import Card, card
from mindscope.organism.concepts import ConceptText, concept_texts, concepts
from mindscope.organism.datasets import FAMILIES, graded_prompts, ordinary_chats, shots, training_set
from mindscope.organism.judge import ExactJudge
from mindscope.organism.mistakes import LEVELS
from mindscope.organism.recipe import TrainConfig
from mindscope.organism.rows import corpus_rows
from mindscope.organism.training import train
from mindscope.organism.traits import trait
from mindscope.organism.voices import CHARACTERS

__all__ = [
    "CHARACTERS",
    "FAMILIES",
    "LEVELS",
    "Capability",
    "ConceptText",
    "Card",
    "ExactJudge",
    "TrainConfig",
    "capability",
    "concept_texts",
    "concepts",
    "card",
    "corpus_rows",
    "dictionaries_folder",
    "dictionary_path",
    "graded_prompts",
    "ordinary_chats",
    "path",
    "shots",
    "train",
    "trait",
    "training_set",
    "weights_folder",
]
