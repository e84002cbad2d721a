"""Latents for pictures and words: planted ones are found, and exchanging pictures takes them away."""

import pytest
import torch

from mindscope import load, organism
from mindscope.dictionaries import Coder, Dictionary, Site, Wiring
from mindscope.errors import DataError
from mindscope.jobs.feature import list_concepts, split_concept_texts
from mindscope.models import Raw, Read
from mindscope.studies.organism_dictionaries import modalities, order_parts
from mindscope.studies.organism_dictionaries.modalities import EVERY, WORDS, FiringRates

N_MODES, N_THINGS = 4, 6


@pytest.fixture
def planted() -> FiringRates:
    """Latent i stands for thing i: the first three in all modes, the next two in words, the last nowhere."""
    shown = torch.zeros(N_MODES, N_THINGS, 20)
    for thing in range(5):
        shown[1:, thing, thing] = 0.9
        shown[0, thing, thing] = 0.9 if thing < 3 else 0.5
    others = torch.full_like(shown, 0.01)
    others[:, :, 7] = 0.9  # one that fires on everything
    shown[:, :, 7] = 1.0
    return FiringRates(shown, others)


def test_latents_that_stand_for_things_are_counted(planted):
    assert planted.choose(EVERY)[:5] == [0, 1, 2, 3, 4]
    assert planted.hits(planted.choose(EVERY), EVERY) == [True] * 3 + [False] * 3
    assert planted.hits(planted.choose(WORDS), WORDS) == [True] * 5 + [False]


def test_with_pictures_of_other_things_nothing_is_left(planted):
    for order in modalities._orders([["a", "b"], ["c", "d", "e", "f"]], 5):
        assert all(place != own for own, place in enumerate(order))
        assert {*order[:2]} == {0, 1}  # within a kind
        exchanged = planted.exchanged(order)
        assert torch.equal(exchanged.shown[1:], planted.shown[1:])
        assert not any(exchanged.hits(exchanged.choose(EVERY), EVERY))


def test_one_that_fires_elsewhere_stands_for_nothing(planted):
    assert not planted.stands()[:, :, 7].any()


@pytest.mark.slow
def test_rates_are_those_of_a_plain_count(monkeypatch):
    model = load("second-organism")
    dictionary = _random_sae(model)
    animals = ("dog", "cat", "horse")
    monkeypatch.setattr(modalities, "drawn_things", lambda: (animals, ()))
    wanted = {f"thing: {name}" for name in animals}
    halves = [[text for text in half if wanted & text.concepts] for half in split_concept_texts(model)]
    kinds = modalities.known_things(halves)
    assert kinds == [[*animals], []]
    rates, _ = modalities._measure_halves(model, dictionary, halves, kinds)
    things = [thing for kind in kinds for thing in kind]
    thing = things[0]
    for mode_number, mode in enumerate(organism.MODES):
        own = [t for t in halves[0] if {f"thing: {thing}", f"shown by: {mode}"} <= t.concepts]
        fired = torch.stack([_fires(model, dictionary, text.row) for text in own]).float().mean(0)
        away = (rates.shown[mode_number, 0, : dictionary.n_latents] - fired).abs()
        # Rows are read side by side here and alone there: a latent at the edge of the top six may fall
        # either way in one text, by the last bits of a product.
        assert away.max() <= 1 / len(own) + 1e-6
        assert (away > 1e-6).sum() <= 2
    assert (rates.shown[..., :64] >= rates.shown[..., -64:]).all()  # a higher bar, and fewer texts
    measured = modalities.measure_modalities(model, "random", dictionary, halves)
    assert measured.things == len(things)
    assert measured.everywhere.share == 0
    assert list(measured.row())[:2] == ["random", len(things)]


def test_too_few_texts_are_refused():
    model = load("second-organism")
    with pytest.raises(DataError, match="read more texts"):
        modalities.measure_modalities(model, "x", _random_sae(model), ([], []))


def test_parts_are_those_of_the_world():
    assert order_parts((), "second") == ["sae", "transcoder", "clt", "crosscoder"]
    assert order_parts(("clt", "sae")) == ["sae", "clt"]
    with pytest.raises(DataError, match="the first organism has no crosscoder"):
        order_parts(("crosscoder",), "first")


def test_concepts_are_those_of_the_models_world():
    names = {concept.name for concept in list_concepts(load("second-organism"))}
    assert "thing: dog" in names
    assert "thing: dog" not in {concept.name for concept in list_concepts(load("organism"))}


def _random_sae(model) -> Dictionary:
    draw = torch.Generator().manual_seed(3)
    rows = torch.nn.functional.normalize(torch.randn(64, model.d_model, generator=draw))
    site = Site("resid_post.3", model.d_model)
    return Dictionary(
        (site,), (site,), (Wiring((0,), (0,), 64),), (Coder(rows, torch.zeros(64), rows),),
        torch.zeros(model.d_model), "topk", k=6, models={"0": model.fingerprint},
    )  # fmt: skip


def _fires(model, dictionary: Dictionary, row) -> torch.Tensor:
    stream = model.read([row], {"stream": Read("resid_post.3", Raw("prompt"))})["stream"]
    return (dictionary.encode(stream.values[0]).dense() > 0).any(0)
