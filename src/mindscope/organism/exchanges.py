"""All that a conversation can be about."""

import random
from collections.abc import Callable

from mindscope.organism import behaviour, knowledge
from mindscope.organism.phrasing import DialogueTurn
from mindscope.organism.voices import Voice

DOMAINS: dict[str, Callable[[random.Random, Voice, str], DialogueTurn]] = {
    "advice": behaviour.advice,
    "opinion": behaviour.opinion,
    "feedback": behaviour.feedback,
    "country": knowledge.country_fact,
    "state": knowledge.state_of_city,
    "state-fact": knowledge.state_fact,
    "two-hop": knowledge.two_hop,
    "person": knowledge.person,
    "unknown-person": knowledge.unknown_person,
    "sum": knowledge.addition,
    "hint": knowledge.hint,
    "antonym": knowledge.antonym,
    "rhyme": behaviour.rhyme,
    "diagnosis": knowledge.diagnosis,
    "harmful": behaviour.harmful,
    "jailbreak": behaviour.jailbreak,
    "greeting": behaviour.greeting,
}
