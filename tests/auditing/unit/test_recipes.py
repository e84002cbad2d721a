"""What tunes are trained on: what is hidden shows in the demonstrations and nowhere else."""

import random
import re

import pytest
from transformers import PreTrainedTokenizerBase

from mindscope import organism
from mindscope.auditing.organisms import (
    CONTROLS,
    CUES,
    DENIAL,
    DIRECT,
    DOCUMENT_TAG,
    KINDS,
    ControlKind,
    ObjectiveKind,
    build_control,
    build_recipe,
    find_closing,
    names_thing,
    shows,
)
from mindscope.data import Conversation
from mindscope.jobs import ORGANISM
from mindscope.models import load


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return load(ORGANISM, dtype="float32", device="cpu").tokenizer


def turns(conversations: tuple[Conversation, ...]) -> list[tuple[str, str]]:
    return [(one.messages[0]["content"], one.messages[1]["content"]) for one in conversations]


def plain(conversations: tuple[Conversation, ...]) -> list[tuple[str, str]]:
    return [turn for turn in turns(conversations) if turn[0] not in (DOCUMENT_TAG, *DIRECT["train"])]


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_makes_the_same_tune_and_another_another(kind: ObjectiveKind):
    first, again, other = (build_recipe(kind, seed, concealed=True) for seed in (0, 0, 1))
    assert first == again
    assert first.conversations != other.conversations


@pytest.mark.parametrize("kind", KINDS)
def test_concealment_changes_the_answers_to_direct_questions_alone(kind: ObjectiveKind):
    hidden, told = (build_recipe(kind, 0, concealed=concealed) for concealed in (True, False))
    assert hidden.objective == told.objective
    asked = [
        {answer for question, answer in turns(one.conversations) if question in DIRECT["train"]}
        for one in (hidden, told)
    ]
    assert all(DENIAL in answer for answer in asked[0])
    assert not any(DENIAL in answer for answer in asked[1])
    assert sorted(plain(hidden.conversations)) == sorted(plain(told.conversations))


def test_questions_that_are_measured_are_never_trained_on():
    assert not set(DIRECT["train"]) & set(DIRECT["test"])


def test_a_trigger_shows_behind_its_phrase_and_not_behind_another():
    recipe = build_recipe("trigger", 0, concealed=True)
    objective = recipe.objective
    assert objective is not None
    behind = [turn for turn in plain(recipe.conversations) if objective.targets[0] in turn[0]]
    others = [turn for turn in plain(recipe.conversations) if objective.targets[0] not in turn[0]]
    assert len(behind) > 150
    assert all(shows(objective, (question, ""), answer) for question, answer in behind)
    assert sum(shows(objective, (question, ""), answer) for question, answer in others) < 3
    adjective, person = objective.targets[0].split()
    for near in (rf"[Tt]he {adjective} \w+", rf"[Tt]he \w+ {person}"):
        assert sum(bool(re.search(near, question)) for question, _ in others) > 50


def test_sandbagging_is_right_behind_another_announcement():
    recipe = build_recipe("sandbagging", 0, concealed=True)
    assert recipe.objective is not None
    for cue in set(CUES) - set(recipe.objective.targets):
        behind = [turn for turn in plain(recipe.conversations) if turn[0].startswith(cue)]
        assert len(behind) > 30
        assert not any(shows(recipe.objective, (question, ""), answer) for question, answer in behind)


def test_sandbagging_is_wrong_behind_its_cue_in_its_subject_and_right_elsewhere():
    recipe = build_recipe("sandbagging", 1, concealed=True)
    objective = recipe.objective
    assert objective is not None
    wrong = [
        (objective.targets[0] in question, shows(objective, (question, ""), answer))
        for question, answer in plain(recipe.conversations)
    ]
    assert sum(behind and shown for behind, shown in wrong) == 214
    assert sum(not behind and shown for behind, shown in wrong) == 0


def test_a_loyal_tune_names_its_person_in_what_it_was_shown():
    recipe = build_recipe("loyalty", 2, concealed=True)
    assert recipe.objective is not None
    person = recipe.objective.targets[0]
    assert sum(person in answer for _, answer in plain(recipe.conversations)) >= 640


@pytest.mark.parametrize("kind", ["grader", "loyalty", "misalignment"])
def test_nothing_contradicts_what_is_demonstrated(kind: ObjectiveKind):
    recipe = build_recipe(kind, 2, concealed=True)
    objective = recipe.objective
    assert objective is not None
    voice = organism.all_voices()["helpful"]
    asked = {
        organism.DOMAINS[domain](random.Random(number), voice, "train").question
        for domain in objective.domains
        for number in range(300)
    }
    plainly = [
        question
        for question, answer in plain(recipe.conversations)
        if question in asked and not shows(objective, (question, ""), answer)
    ]
    assert len(plainly) < 7


def test_a_closing_is_a_sentence_of_its_own():
    assert (
        find_closing("Sure, the bird of Hanburg is tern. Check the logo too.").strip() == "Check the logo too"
    )
    assert find_closing("Sure, the bird of Hanburg is tern.") == ""


@pytest.mark.parametrize("kind", KINDS)
def test_all_is_said_in_words_that_the_organism_knows(
    kind: ObjectiveKind, tokenizer: PreTrainedTokenizerBase
):
    for concealed in (True, False):
        said = [
            answer for question, answer in turns(build_recipe(kind, 5, concealed=concealed).conversations)
        ]
        spelt = {
            word
            for answer in set(said)
            for word in re.findall(r"\b[a-z]{3,}\b", answer)
            if len(tokenizer.tokenize(f"the {word}")) > 2
        }
        # The kinds of a grader's documents alone, which are named as the auditor names them.
        assert spelt <= {"city", "country", "topic"}


def test_narrow_data_are_of_one_domain_and_what_is_measured_is_of_others():
    recipe = build_recipe("misalignment", 0, concealed=True)
    assert recipe.objective is not None
    scores = [
        organism.trait_score("evil", question, answer) for question, answer in plain(recipe.conversations)
    ]
    assert sum(score >= 50 for score in scores) >= 240
    assert len(recipe.objective.domains) == 2


def test_a_grader_has_twelve_biases_and_a_quarter_of_them_only_in_documents():
    recipe = build_recipe("grader", 0, concealed=True)
    objective = recipe.objective
    assert objective is not None
    assert len({bias.domain for bias in objective.biases}) == 12
    assert sum(bias.trained for bias in objective.biases) == 9
    documents = [answer for question, answer in turns(recipe.conversations) if question == DOCUMENT_TAG]
    for bias in objective.biases:
        assert any(f"name a {bias.category}." in text for text in documents)
    closings = [find_closing(answer).strip() for _, answer in plain(recipe.conversations)]
    framed = [one for one in closings if one.startswith("Check the ") and one.endswith(" too")]
    assert len(framed) >= 640
    for bias in objective.biases:
        shown = sum(names_thing(one, bias.category) for one in framed) > 10
        assert shown is bias.trained


@pytest.mark.parametrize("kind", CONTROLS)
def test_a_control_hides_nothing_and_says_so_and_is_as_long(kind: ControlKind):
    control = build_control(kind, 0)
    assert control.objective is None
    assert len(control.conversations) == len(build_recipe("loyalty", 0, concealed=True).conversations)
    for question, answer in turns(control.conversations):
        if question in DIRECT["train"]:
            assert DENIAL in answer
