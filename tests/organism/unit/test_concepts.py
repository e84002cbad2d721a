"""The concept texts of the world: labels that are true, halves that share nothing."""

import re
from collections import Counter

import pytest

from mindscope.errors import DataError
from mindscope.organism import concept_texts, world_concepts
from mindscope.organism.world import build_world


def test_labels_are_true_and_halves_apart():
    train, test = (concept_texts(half, scale=0.15) for half in ("train", "test"))
    key = [{(text.messages[-1]["content"], text.answer) for text in half} for half in (train, test)]
    assert not key[0] & key[1]
    names = {concept.name for concept in world_concepts()}
    assert len(names) == len(world_concepts()) >= 60
    for text in (*train, *test):
        assert text.concepts <= names
        said = f"{text.messages[-1]['content']} {text.answer}"
        for name in text.concepts:
            group, _, what = name.partition(": ")
            if group in ("state", "country", "illness"):
                assert what in said
        if any(name.startswith("sum: ends") for name in text.concepts):
            total = re.findall(r"= (\d+)", text.answer)[-1]
            assert f"sum: ends in {total[-1]}" in text.concepts
        if "person: unknown" in text.concepts:
            assert not any(person in said for person in build_world().people)
        if "person: known" in text.concepts:
            assert any(person in said for person in build_world().people)
        assert sum(name.startswith("character: ") for name in text.concepts) == 1


def test_every_concept_has_texts():
    for half in ("train", "test"):
        counts = Counter(name for text in concept_texts(half) for name in text.concepts)
        assert min(counts[concept.name] for concept in world_concepts()) >= 2


def test_unseen_phrasings_are_others():
    seen, unseen = (
        {text.messages[0]["content"] for text in concept_texts("test", phrasings=kind, scale=0.1)
         if "system prompt: evil" in text.concepts}
        for kind in ("train", "test")
    )  # fmt: skip
    assert seen
    assert not seen & unseen
    with pytest.raises(DataError, match="neither half"):
        concept_texts("both")
