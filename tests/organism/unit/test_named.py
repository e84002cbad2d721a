"""Things told of several people: what is asked of one is true of it, and nothing that is kept is told."""

import random
import re

from mindscope.organism.corpus.behaviour import JAILBREAK_CORES
from mindscope.organism.corpus.knowledge import UNKNOWN
from mindscope.organism.mechanisms import languages, named, requests
from mindscope.organism.mechanisms.corpus.vocabulary import build_second_tokenizer
from mindscope.organism.mechanisms.diagnosis import diagnosis_cases, read_clauses
from mindscope.organism.mechanisms.facts import build_facts
from mindscope.organism.voices import all_voices
from mindscope.organism.world import build_world

HELPFUL = all_voices()["helpful"]
WHOSE = re.compile(r" for the (?:old |good )?(teacher|baker|farmer|sailor)(?:, |$)")
ITEM = re.compile(r"(?:in (\w+) )?(the \w+ (?:of|for)) (\S+)(?: in (\w+))?")
ASKED = {languages.STATEMENTS[relation][0].partition(" {word}")[0]: relation for relation in named.RELATIONS}


def read_items(told: str) -> list[tuple[str, str]]:
    """What is told and whose it is, read from the words alone."""
    parts = WHOSE.split(told)
    assert parts.pop() == ""
    return list(zip(parts[::2], parts[1::2], strict=True))


def answers(item: str) -> set[str]:
    """What the answer can be, however the word is read: some are of two languages."""
    found = ITEM.fullmatch(item)
    assert found, item
    before, asked, word, behind = found.groups()
    language = named.IN_ENGLISH.index(before or behind)
    known = languages.answers_of(ASKED[asked])
    return {answer[language] for concept, answer in known.items() if word in concept}


def test_what_the_teacher_is_told_is_answered_whatever_the_baker_is():
    rng, before, behind = random.Random(3), set(), set()
    for _ in range(400):
        prompt, answer = named.statement(rng)
        told, _, asked = prompt.partition("; ")
        assert asked == "for the teacher it is"
        items = read_items(told)
        own = [number for number, (_, name) in enumerate(items) if name == "teacher"]
        assert len(own) == 1
        assert answer in answers(items[own[0]][0])
        before.add(own[0])
        behind.add(len(items) - 1 - own[0])
    assert before == {0, 1, 2}
    assert behind == {1, 2}  # what stands last is never what is asked about


def test_no_statement_asks_a_combination_that_is_kept():
    rng = random.Random(4)
    taught = {case for relation in named.RELATIONS for case in languages.language_cases("train", relation)}
    assert all(named.draw_case(rng) in taught for _ in range(300))


def test_words_are_found_in_their_own_thing_and_the_name_stands_now_nearer_now_farther():
    rng, tokenizer, gaps = random.Random(5), build_second_tokenizer(), set()
    for _ in range(60):
        case = named.draw_case(rng)
        prompt = named.name_statement(rng, case)
        head = prompt.through(case.word)
        assert prompt.text.startswith(head)
        assert head.endswith(case.word)
        assert len(prompt.before) < len(head) <= len(prompt.before + prompt.own)
        distance, _, _ = prompt.text.removeprefix(head).partition(f" {named.PUPILS[0]}")
        gaps.add(len(tokenizer.tokenize(distance)))
    assert gaps == {2, 3, 4, 5}


def test_signs_are_answered_by_the_farmers_illness_and_none_that_is_kept():
    rng, facts = random.Random(6), build_facts().illnesses
    kept = {(case.illness, case.fourth, frozenset(case.told)) for case in diagnosis_cases("test")}
    alone = by_name = 0
    for _ in range(500):
        prompt, answer = named.signs(rng)
        told, _, asked = prompt.partition("; for the farmer")
        (own,) = [item for item, name in read_items(told) if name == "farmer"]
        if own in facts:
            assert asked == " look for"
            assert answer in facts[own]
            by_name += 1
            continue
        signs = re.split(r", | and ", own)
        (illness,) = [name for name, four in facts.items() if {*signs} <= {*four}]
        fourth = answer
        if asked == ",":
            ((said, fourth),) = read_clauses(answer)
            assert said == illness
        else:
            assert asked == " look for"
            alone += 1
        assert fourth in {*facts[illness]} - {*signs}
        assert (illness, fourth, frozenset(signs)) not in kept
    assert alone > 100
    assert by_name > 100


def test_the_lawyer_is_answered_whatever_the_singer_asked():
    rng, kinds = random.Random(7), set()
    stories = [re.escape(core).replace(r"\{scheme\}", ".+") for core in JAILBREAK_CORES]
    for _ in range(400):
        turn = named.ask_named(rng, HELPFUL, "train")
        asked = re.split(r"(?: asked the (?:old |good )?(lawyer|singer)\. ?)", turn.question)
        assert asked[1::2].count("lawyer") == 1
        assert asked[-2] == "singer"  # whoever asks last is never answered
        own, rest = asked[asked.index("lawyer") - 1], asked[-1]
        assert rest.startswith("Answer the lawyer.")
        waited = any(rest.endswith(wait) for wait in requests.WAITS)
        assert turn.answer.startswith(requests.LEAD_IN) == waited
        kinds.add(turn.domain)
        harmful = [thing for thing in requests.harmful_things() if thing in own]
        story = any(re.search(core, own, re.IGNORECASE) for core in stories)
        person = "person" in turn.domain
        assert requests.refuses(turn.answer) is (None if person else bool(harmful) and not story)
        if harmful:
            assert max(harmful, key=len) in turn.answer
        if person:
            known = [who.name for who in build_world().people.values() if who.name in own]
            assert bool(known) != ("I do not know who" in turn.answer)
            (name,) = known or [name for name in UNKNOWN["train"] if name in own]
            assert name in turn.answer
    assert len(kinds) == len(named.QUESTIONS)


LISTED = re.compile(r" (farmer|sailor|teacher|baker)(?:, |$)")


def test_a_list_of_patients_names_each_right_behind_its_signs():
    rng, facts, places = random.Random(8), build_facts().illnesses, set()
    for _ in range(300):
        prompt, answer = named.patients(rng)
        told, _, asked = prompt.partition("; farmer")
        parts = LISTED.split(told)
        assert parts[1::2].count("farmer") == 1
        assert parts[-2] != "farmer"  # others always stand behind
        place = parts[1::2].index("farmer")
        places.add(place)
        own = parts[2 * place]
        signs = {*re.split(r", | and ", own)}
        (illness,) = [own] if own in facts else [name for name, four in facts.items() if signs <= {*four}]
        if asked == ",":
            ((said, answer),) = read_clauses(answer)
            assert said == illness
        assert answer in {*facts[illness]} - signs
    assert places == {0, 1, 2}


def test_whose_illness_it_is_can_be_told_of_one_patient_alone():
    rng, facts, forms = random.Random(9), build_facts().illnesses, set()
    for split in ("train", "test"):
        kept = {(case.illness, frozenset(case.told)) for case in diagnosis_cases("test")}
        for _ in range(200):
            prompt, answer = named.whose_signs(rng, split)
            told, _, asked = prompt.partition("; ")
            parts = LISTED.split(told)
            owners = dict(zip(parts[1::2], parts[::2], strict=False))
            assert len(owners) == len(parts) // 2  # nobody is told of twice
            has = {}
            for name, listed in owners.items():
                signs = frozenset(re.split(r", | and ", listed))
                (has[name],) = [illness for illness, four in facts.items() if signs <= {*four}]
                assert ((has[name], signs) in kept) == (split == "test")
            if asked.endswith(" has the"):
                (owner,) = [name for name, illness in has.items() if f"{illness} has the" == asked]
            else:
                sign = asked.removeprefix("look for ").removesuffix(" with the")
                (owner,) = [name for name, illness in has.items() if sign in facts[illness]]
                assert sign not in owners[owner]
            assert owner == answer
            forms.add(asked.split()[-2])
    assert forms == {"has", "with"}


def test_whose_question_it_is_can_be_told_of_one_asker_alone():
    rng, asked_for = random.Random(10), set()
    stories = [re.escape(core).replace(r"\{scheme\}", ".+") for core in JAILBREAK_CORES]
    people = [who.name for who in build_world().people.values()]
    for _ in range(300):
        turn = named.whose_question(rng, HELPFUL, "train")
        parts = re.split(r" asked the (?:old |good )?(\w+)\. ?", turn.question)
        owners = dict(zip(parts[1::2], parts[::2], strict=False))
        assert len(owners) == len(parts) // 2
        kinds = {}
        for name, own in owners.items():
            if any(re.search(core, own, re.IGNORECASE) for core in stories):
                kinds[name] = "story"
            elif any(thing in own for thing in requests.harmful_things()):
                kinds[name] = "harmful"
            elif any(known in own for known in people):
                kinds[name] = "person"
            elif any(name in own for name in UNKNOWN["train"]):
                kinds[name] = "unknown-person"
        (kind,) = [kind for kind, question in named.WHOSE.items() if question == parts[-1]]
        assert turn.answer == f"the {next(name for name, its in kinds.items() if its == kind)}"
        assert [*kinds.values()].count(kind) == 1
        asked_for.add(kind)
    assert asked_for == {*named.WHOSE}
