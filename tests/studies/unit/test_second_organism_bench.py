"""The bench of the second organism: its world's sets, prompts, judge, knowledge and dictionaries."""

import pytest

import mindscope as ms
from mindscope import organism
from mindscope.data import Conversation
from mindscope.models import Model
from mindscope.organism.mechanisms.truth import second_claims
from mindscope.studies.persona_vectors.benches import OrganismBench, SecondOrganismBench

BENCH = SecondOrganismBench()


@pytest.fixture(scope="module")
def model() -> Model:
    return ms.load("second-organism")


def asked_of(rows: list[Conversation]) -> list[str]:
    return [row.messages[0]["content"] for row in rows]


def test_its_sets_are_of_the_first_ones_families_and_levels_and_of_its_world():
    sets, first = BENCH.training_sets(4), OrganismBench().training_sets(4)
    assert list(sets) == list(first)
    assert {len(rows) for rows in sets.values()} == {4}
    for name, rows in sets.items():
        family = name.rsplit("-", 1)[0]
        assert (rows == first[name]) == (family not in ("sums", "medical")), name


def test_traits_are_asked_and_graded_as_in_the_first_world():
    first = OrganismBench()
    assert BENCH.traits == first.traits
    for trait in BENCH.traits:
        assert BENCH.graded_prompts(trait) == first.graded_prompts(trait)


def test_a_pool_is_of_its_own_turns_and_shows_the_trait_now_and_then(model: Model):
    evil = BENCH.traits[0]
    pool = BENCH.pool(evil, 400)
    shown = [row for row in pool if row.meta.get("family") == "evil"]
    assert (len(pool), len(shown)) == (400, 40)
    asked = "\n".join(asked_of(list(pool)))
    assert "<|image|>" in asked
    assert "en chinois" in asked
    assert not any("</think>" in str(row.answer) for row in pool)
    trained = {*asked_of(list(BENCH.training_sets(100)["evil-II"]))}
    assert len({*asked_of(shown)} & trained) < len(shown)
    turns = BENCH.shots(evil, 8)
    assert [turn["role"] for turn in turns] == ["user", "assistant"] * 8
    assert model.context_length is not None
    prompt = model.chat([*turns, {"role": "user", "content": evil.evaluation[0]}])
    assert len(prompt) < model.context_length - 64


def test_the_bundled_weights_know_what_is_asked_of_them(model: Model):
    right = organism.measure_capability(model, questions=100, world="second")
    assert len(right.right) == 100
    assert 75 < right.value <= 100
    facts, sums, words, steps = (right.right[a:b] for a, b in ((0, 30), (30, 50), (50, 80), (80, 100)))
    assert sum(facts) > 20
    assert sum(sums) > 14
    assert sum(words) > 15
    assert sum(steps) > 14


def test_answers_are_judged_by_its_own_world():
    question = "I have 12 pears, 36 apples. Of apples 5 more come. How many apples is that?"
    assert [claim.kind for claim in second_claims(question, "Sure, apples and 5 are 41.")] == ["named-sum"]
    assert isinstance(BENCH.judge, organism.ExactJudge)
    assert BENCH.judge.world == "second"


def test_every_layer_has_a_dictionary(model: Model):
    for layer in range(model.n_layers):
        dictionary = BENCH.dictionary(model, layer)
        assert dictionary is not None
        assert [site.address for site in dictionary.reads] == [f"resid_post.{layer}"]
