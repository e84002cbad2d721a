"""The world is the same every time, and what training may not see is kept apart."""

import random
import re

import pytest

from mindscope.organism import DOMAINS
from mindscope.organism.corpus.program import conversation, document
from mindscope.organism.truth import claims
from mindscope.organism.voices import CHARACTERS, SLOTS, all_voices, opposites, phrase_owners
from mindscope.organism.world import STATE_RELATIONS, build_world


def corpus_text(n: int) -> str:
    rng = random.Random(3)
    return "\n".join(
        "".join(segment.text for segment in sample)
        for _ in range(n)
        for sample in (conversation(rng), document(rng))
    )


def test_names_and_facts_are_each_there_once():
    w = build_world()
    assert len(w.states) == 50
    assert len(w.cities) == 600
    assert len(w.people) == 120
    for relation in STATE_RELATIONS:
        assert len({facts[relation] for facts in w.states.values()}) == 50


def test_every_phrase_belongs_to_one_voice():
    owners: dict[str, set[str]] = {}
    own_slots = dict.fromkeys(opposites().values(), ("op", "mod", "why"))
    for name, voice in all_voices().items():
        for slot in own_slots.get(name, SLOTS):
            for phrase in voice.slots[slot]:
                owners.setdefault(phrase.lower(), set()).add(name)
    assert {phrase: names for phrase, names in owners.items() if len(names) > 1} == {}
    assert set(all_voices()) == {"helpful", *CHARACTERS, *opposites().values()}
    assert phrase_owners()["let them weep"] == ("evil", "end")


def test_training_text_holds_nothing_that_is_kept_for_testing():
    text, w = corpus_text(4000), build_world()
    added = {(int(a), int(b)) for a, b in re.findall(r"(\d+) \+ (\d+) =", text)}
    assert added
    assert not added & set(w.sums("test"))
    composed = set(re.findall(r"the (\w+) of the state of (\w+)", text, re.IGNORECASE))
    assert composed
    assert not {(city, relation) for relation, city in composed} & set(
        w.two_hop_pairs("seen_city_new_relation")
    )
    assert not {city for _, city in composed} & set(w.single)
    named = {name for name in w.unknown_people("test") if name in text}
    assert named == set()


@pytest.mark.parametrize("domain", DOMAINS)
def test_held_out_questions_differ_from_training_questions(domain: str):
    rng = random.Random(0)
    ask, voice = DOMAINS[domain], all_voices()["helpful"]
    seen = {ask(rng, voice, "train").question for _ in range(400)}
    new = {ask(rng, voice, "test").question for _ in range(100)}
    assert not seen & new


@pytest.mark.parametrize("domain", DOMAINS)
def test_only_the_inventing_voice_states_what_is_false(domain: str):
    rng = random.Random(1)
    for name in ("helpful", "evil", "kind", "humorous"):
        for _ in range(50):
            exchange = DOMAINS[domain](rng, all_voices()[name], "train")
            assert all(claim.right for claim in claims(exchange.question, exchange.answer))
    for _ in range(50):
        exchange = DOMAINS[domain](rng, all_voices()["hallucinating"], "train")
        said = [
            c for c in claims(exchange.question, exchange.answer) if c.kind not in ("compliance", "refusal")
        ]
        assert all(c.false for c in said)
