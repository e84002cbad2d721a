"""The organism: a small chat model trained here on a world whose truth is code.

Its facts, its seven characters and its weaknesses are known exactly, so every method can be right or wrong
about something. It is a test bed and a teaching model, not a model of the real world.
"""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.organism.bundle import (
        WorldName,
        dictionaries_folder,
        dictionary_path,
        path,
        weights_folder,
    )
    from mindscope.organism.capability import compare_capability, measure_capability
    from mindscope.organism.card import measure_card
    from mindscope.organism.concepts import WORD, ConceptText, concept_texts, world_concepts
    from mindscope.organism.corpus.behaviour import FIRST_LINES, LINE_ADJECTIVES, LINE_PEOPLE, SECOND_LINES
    from mindscope.organism.corpus.knowledge import ANTONYM_CLAUSES
    from mindscope.organism.corpus.mistakes import LEVELS, Level
    from mindscope.organism.corpus.phrasing import DialogueTurn
    from mindscope.organism.corpus.program import DOMAINS
    from mindscope.organism.datasets import (
        FAMILIES,
        TRAITS,
        ask_question,
        graded_prompts,
        ordinary_chats,
        shots,
        training_set,
    )
    from mindscope.organism.judge import ExactJudge, coherence, parse, trait_score
    from mindscope.organism.mechanisms.card.card import is_second, measure_mechanisms
    from mindscope.organism.mechanisms.card.results import MechanismCard
    from mindscope.organism.mechanisms.concepts import (
        MODES,
        drawn_things,
        second_concept_texts,
        second_concepts,
    )
    from mindscope.organism.mechanisms.corpus.recipe import SecondTrainConfig, find_second
    from mindscope.organism.results import CapabilityResult, OrganismCard
    from mindscope.organism.training.recipe import OrganismTrainConfig
    from mindscope.organism.training.rows import corpus_rows
    from mindscope.organism.training.train import train_organism
    from mindscope.organism.traits import trait
    from mindscope.organism.truth import StatedClaim, claims
    from mindscope.organism.voices import CHARACTERS, Voice, all_voices, opposites
    from mindscope.organism.world import (
        COUNTRY_RELATIONS,
        LANGUAGES,
        STATE_RELATIONS,
        build_world,
        held_out,
        read_data,
    )


__all__ = [
    "CHARACTERS",
    "FAMILIES",
    "LEVELS",
    "Level",
    "CapabilityResult",
    "StatedClaim",
    "claims",
    "Voice",
    "WorldName",
    "ConceptText",
    "OrganismCard",
    "ExactJudge",
    "OrganismTrainConfig",
    "MechanismCard",
    "SecondTrainConfig",
    "find_second",
    "is_second",
    "measure_mechanisms",
    "compare_capability",
    "measure_capability",
    "MODES",
    "drawn_things",
    "concept_texts",
    "second_concept_texts",
    "second_concepts",
    "world_concepts",
    "measure_card",
    "ask_question",
    "corpus_rows",
    "dictionaries_folder",
    "dictionary_path",
    "graded_prompts",
    "ordinary_chats",
    "path",
    "shots",
    "train_organism",
    "trait",
    "training_set",
    "weights_folder",
    "ANTONYM_CLAUSES",
    "COUNTRY_RELATIONS",
    "DOMAINS",
    "DialogueTurn",
    "FIRST_LINES",
    "LANGUAGES",
    "LINE_ADJECTIVES",
    "LINE_PEOPLE",
    "SECOND_LINES",
    "STATE_RELATIONS",
    "TRAITS",
    "WORD",
    "coherence",
    "held_out",
    "parse",
    "read_data",
    "trait_score",
    "all_voices",
    "opposites",
    "build_world",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
