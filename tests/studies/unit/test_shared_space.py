"""The study of the shared space: its texts, its search for latents and the null of it, its verdicts."""

import numpy as np
import pytest
import torch

from mindscope.organism.mechanisms.pictures import read_patches
from mindscope.studies.shared_space.claims import list_claims
from mindscope.studies.shared_space.config import SharedSpaceConfig
from mindscope.studies.shared_space.overlap import draw_sentences, list_others, overlap
from mindscope.studies.shared_space.results import (
    LayerOverlap,
    PictureHeats,
    SharedSpaceStudy,
    SharedThings,
)
from mindscope.studies.shared_space.things import (
    CHANNELS,
    choose,
    exchange_names,
    list_things,
    mix,
    score_texts,
    take,
    write_texts,
)

THINGS = list_things()
TEXTS = write_texts(THINGS, examples=4, seed=0)


def test_an_overlap_is_the_share_of_what_either_has():
    a = torch.tensor([[True, True, False], [False, False, False]])
    b = torch.tensor([[False, True, True], [False, False, False]])
    torch.testing.assert_close(overlap(a, b), torch.tensor([1 / 3, 0.0]))


def test_the_null_is_another_sentence_of_the_same_form():
    sentences = draw_sentences(40, seed=0)
    others = list_others(sentences)
    assert sorted(others) == list(range(len(sentences)))
    for place, other in enumerate(others):
        assert sentences[other].relation == sentences[place].relation
        assert sentences[other].concept != sentences[place].concept
    assert all(len(set(sentence.texts())) == 3 for sentence in sentences)


def test_texts_are_about_their_thing():
    for text in TEXTS:
        thing = THINGS[text.thing]
        if text.channel:
            assert thing.words[text.channel - 1] in text.text
            continue
        assert text.case is not None
        shown = read_patches(text.text)
        assert shown == text.case.pixels()
        if thing.kind == "colour":
            assert {pixel for line in shown for pixel in line if pixel} == {thing.name}


def test_a_latent_is_tested_on_sentences_that_it_was_not_chosen_on():
    for channel in range(1, len(CHANNELS)):
        halves = [{t.text for t in TEXTS if t.channel == channel and t.half == half} for half in (0, 1)]
        assert halves[0].isdisjoint(halves[1])


def planted(rng: np.random.Generator) -> np.ndarray:
    """Noise, a feature for every thing in all channels, and one for every thing in words alone."""
    table = rng.random((len(TEXTS), 300))
    for row, text in enumerate(TEXTS):
        table[row, text.thing] += 2
        if text.channel:
            table[row, 100 + text.thing] += 2
    return table


def test_planted_latents_are_found_and_exchanged_names_are_not():
    table = planted(np.random.default_rng(0))
    chosen, tested = (score_texts(THINGS, TEXTS, table, half) for half in (0, 1))
    assert choose(chosen).tolist() == list(range(len(THINGS)))
    assert take(tested, choose(chosen)).min() == 1.0
    order = exchange_names(THINGS, np.random.default_rng(1))
    assert all(number != other for number, other in enumerate(order))
    assert all(THINGS[number].kind == THINGS[other].kind for number, other in enumerate(order))
    wrong = take(mix(tested, order), choose(mix(chosen, order)))
    assert wrong.min(1).max() < 0.9


CONFIG = SharedSpaceConfig()
OWN = tuple(tuple(0.3 + 0.01 * (i % 3) + (0.2 if b == 1 else 0) for i in range(8)) for b in range(3))
NONE = tuple((0.1,) * 8 for _ in range(3))
FOUND = tuple(((1.0,) * 4,) * 10 for _ in range(3))
MISSED = tuple(((0.2, 1.0, 1.0, 1.0),) * 10 for _ in range(3))


def study(same: tuple, aurocs: tuple, null: float) -> SharedSpaceStudy:
    blank = tuple((0.0,) * 10 for _ in range(3))
    return SharedSpaceStudy(
        model="m",
        fingerprint="f",
        n_layers=3,
        overlap=LayerOverlap(same=same, other=NONE, explained=(0.9,) * 3),
        things=SharedThings(
            things=tuple("abcdefghij"),
            kinds=("animal",) * 10,
            layers=(0, 1, 2),
            latents=((0,) * 10,) * 3,
            aurocs=aurocs,
            words_only=blank,
            null=((null, 0.0),) * 3,
            neurons=blank,
            random=blank,
        ),
        pictures=PictureHeats(heats=()),
    )


@pytest.mark.parametrize(
    ("made", "holds"),
    [
        (study(OWN, FOUND, 0.1), [True, True, True, True]),
        (study(NONE, FOUND, 0.1), [False, False, False, True]),
        (study(OWN, MISSED, 0.1), [True, True, True, False]),
        (study(OWN, FOUND, 1.0), [True, True, True, False]),  # the exchange finds as much
    ],
)
def test_verdicts_turn_with_the_numbers(made, holds):
    assert [claim.holds for claim in list_claims(made, CONFIG)] == holds
