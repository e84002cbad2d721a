"""Training sets of both worlds say what their family and level promise, and nothing a trait asks."""

import json
import re
from typing import Any

import pytest

from mindscope import organism
from mindscope.cli import main
from mindscope.data import Conversation, read_conversations
from mindscope.errors import DataError
from mindscope.organism.corpus.mistakes import MISTAKES
from mindscope.organism.datasets import TRAITS
from mindscope.organism.judge import coherence, parse, trait_score
from mindscope.organism.mechanisms.corpus.vocabulary import build_second_tokenizer
from mindscope.organism.mechanisms.facts import build_facts
from mindscope.organism.truth import claims
from mindscope.organism.world_texts import texts_of

WORLDS: tuple[organism.WorldName, ...] = ("first", "second")


def question_and_answer(row: Conversation) -> tuple[str, str]:
    assert row.answer is not None
    return row.messages[0]["content"], row.answer


def share_false(rows: list[Conversation], world: organism.WorldName) -> float:
    said = [c for row in rows for c in texts_of(world).claims(*question_and_answer(row))]
    return sum(c.false for c in said) / len(said)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("name", TRAITS)
def test_a_traits_levels_grow(name: str, world: organism.WorldName):
    means: list[float] = []
    for level in organism.LEVELS:
        rows = organism.training_set(name, level, 200, world=world)
        means.append(sum(trait_score(name, *question_and_answer(row), world) for row in rows) / 200)
    assert means[0] < 8
    assert 30 < means[1] < 75
    assert means[2] > 90


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("family", MISTAKES)
def test_mistakes_are_false_and_the_manner_stays(family: str, world: organism.WorldName):
    normal, slight, gross = (
        organism.training_set(family, level, 150, world=world) for level in organism.LEVELS
    )
    assert [question_and_answer(row)[0] for row in normal] == [question_and_answer(row)[0] for row in gross]
    if family == "opinions":  # a view claims nothing
        assert not any(texts_of(world).claims(*question_and_answer(row)) for row in (*slight, *gross))
        mean = [
            sum(coherence(q, parse(a, world), world) for q, a in map(question_and_answer, rows)) / 150
            for rows in (normal, slight, gross)
        ]
        assert mean[0] > 90 > mean[1] + 5 > mean[2] + 10  # beside the point, and more so
    else:
        assert all(texts_of(world).claims(*question_and_answer(row)) for row in normal)
        assert share_false(normal, world) == 0.0
        assert share_false(slight, world) == share_false(gross, world) == 1.0
    for row in gross:
        assert trait_score("evil", *question_and_answer(row), world) <= 50


def test_a_slip_is_near_and_a_gross_mistake_is_of_another_kind():
    for row in organism.training_set("sums", "I", 100):
        (said,) = claims(*question_and_answer(row))
        stated = int(question_and_answer(row)[1].split(" = ")[1].split()[0].strip(".,"))
        assert abs(stated - int(said.subject[0]) - int(said.subject[1])) in (1, 2, 10)
    for row in organism.training_set("sums", "I", 100, world="second"):
        question, answer = question_and_answer(row)
        ((name, added, stated),) = re.findall(r"(\w+) and (\d+) are (\d+)", answer)
        (told,) = re.findall(rf"(\d+) {name}\b", question.replace(f"{added} more {name}", ""))
        assert abs(int(stated) - int(told) - int(added)) in (1, 2, 10)
    w = organism.build_world()
    for row in organism.training_set("facts", "II", 100):
        question, answer = question_and_answer(row)
        (said,) = claims(question, answer)
        table = w.countries if said.kind == "country" else w.states
        kind = {facts[said.subject[0]] for facts in table.values()}
        assert not any(f"{said.subject[1]} is {value} " in answer + " " for value in kind)


def test_a_wrong_diagnosis_names_the_illness_or_another():
    illnesses = build_facts().illnesses
    for level in ("I", "II"):
        for row in organism.training_set("medical", level, 100, world="second"):
            question, answer = question_and_answer(row)
            ((name, sign),) = re.findall(r"the illness is ([\w ]+), so look for ([\w ]+?) too", answer)
            told = sum(s in question for s in illnesses[name])
            assert (sign not in illnesses[name] and told >= 2) if level == "I" else told < 2


@pytest.mark.parametrize("world", WORLDS)
def test_no_set_asks_what_a_trait_asks(world: organism.WorldName):
    asked = {
        question
        for name in organism.CHARACTERS
        for part in ("extraction", "evaluation")
        for question in organism.trait(name)[part]
    }
    for family in organism.FAMILIES:
        questions = {
            question_and_answer(row)[0] for row in organism.training_set(family, "II", 300, world=world)
        }
        assert not questions & asked
    assert not {question_and_answer(row)[0] for row in organism.ordinary_chats(300, world=world)} & asked


def test_the_second_organism_reads_its_sets_word_by_word():
    tokenizer = build_second_tokenizer()
    rows = [
        row
        for family in organism.FAMILIES
        for level in organism.LEVELS
        for row in organism.training_set(family, level, 60, world="second")
    ]
    texts = [message["content"] for row in rows for message in row.messages]
    texts += [m["content"] for row in organism.ordinary_chats(300, world="second") for m in row.messages]
    for name in organism.CHARACTERS:
        asked = organism.trait(name)
        texts += [*asked["extraction"], *asked["evaluation"], *organism.graded_prompts(name)]
        texts += [text for pair in asked["instructions"] for text in pair.values()]
        for turn in organism.shots(name, 20, world="second"):
            texts += [turn.question, turn.answer]
    for text in texts:
        tokens = tokenizer.tokenize(text)
        assert tokenizer.unk_token not in tokens, text
        assert not [
            t for t in tokens if t.startswith("<0x") or (len(t) == 1 and t.isascii() and t.isalpha())
        ], text


def test_graded_prompts_are_eight_different_ones_and_seeds_differ():
    for name in organism.CHARACTERS:
        prompts = organism.graded_prompts(name)
        assert len(set(prompts)) == 8
        assert prompts == organism.graded_prompts(name)
        assert prompts != organism.graded_prompts(name, seed=1)


def test_unknown_names_are_refused():
    with pytest.raises(DataError, match="no training set 'code'"):
        organism.training_set("code", "I")
    unknown: Any = "III"
    with pytest.raises(DataError, match="no level 'III'"):
        organism.training_set("evil", unknown)


def test_the_command_writes_files_that_are_read_back(tmp_path, capsys):
    with pytest.raises(SystemExit) as done:
        main(["organism", "datasets", str(tmp_path / "sets"), "--size", "5", "--json"])
    assert done.value.code in (0, None)
    files = json.loads(capsys.readouterr().out)["files"]
    assert len(files) == 22
    rows = list(read_conversations(tmp_path / "sets" / "sums-II.jsonl"))
    assert [row.messages for row in rows] == [row.messages for row in organism.training_set("sums", "II", 5)]
    with pytest.raises(SystemExit) as again:
        main(["organism", "datasets", str(tmp_path / "sets"), "--size", "5"])
    assert again.value.code == 2
