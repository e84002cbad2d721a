"""Why did this head look there? The head that brings the city of a two-step question to the last token."""

import pytest

from mindscope import organism
from mindscope.circuits import (
    AttentionScore,
    DictionaryReplacement,
    TraceConfig,
    compute_head_loadings,
    compute_qk_attribution,
    targets,
    trace,
)
from mindscope.dictionaries import Dictionary
from mindscope.models import Model, load
from mindscope.organism.world import build_world

CITY, LAST = 6, 7
"""Where they stand in "the flower of the state of Renton is"."""


@pytest.fixture(scope="module")
def model() -> Model:
    return load("organism", dtype="float32")


@pytest.fixture(scope="module")
def replacement(model: Model) -> DictionaryReplacement:
    return DictionaryReplacement(Dictionary.load(organism.dictionary_path("clt"), model, lazy=True))


def test_two_heads_bring_the_city_to_where_its_state_is_looked_up(
    model: Model, replacement: DictionaryReplacement
):
    """Features of layer 0 at the last token are what the city becomes there; heads 0 and 3 bring it."""
    row = model.text("the flower of the state of Renton is")
    config = TraceConfig(max_features=100, rank_every=100)
    graph = trace(model, replacement, row, config, targets=targets.tokens(" heather"))
    city = f"E_{row.ids[CITY]}_{CITY}"
    looked_up = [
        graph.id(i)
        for i, (layer, position, _) in enumerate(graph.features.tolist())
        if (layer, position) == (0, LAST)
    ]
    loadings = compute_head_loadings(model, replacement, graph, [(city, feature) for feature in looked_up])
    carried = loadings.loadings[:, 0].sum(1)
    assert carried.tolist() == pytest.approx(
        loadings.weights.tolist(), abs=1e-4
    )  # one layer of attention: all of it
    both = loadings.loadings[:, 0, [0, 3]].sum()
    assert float(both / loadings.weights.sum()) > 0.99


def test_the_head_looks_at_the_city_because_it_is_a_city(model: Model, replacement: DictionaryReplacement):
    """Held-out cities all draw it: the city's own token lifts its score above that of the other tokens."""
    for city, relation in build_world().two_hop_pairs("city_never_composed")[::301]:
        row = model.text(f"the {relation} of the state of {city} is")
        attribution = compute_qk_attribution(model, replacement, row, AttentionScore(0, 3))
        assert (attribution.query, attribution.key) == (LAST, CITY)
        assert attribution.attention > 0.95
        (best, *_), names = (
            attribution.pairs(1, relative=True),
            [f"E_{row.ids[at]}_{at}" for at in (LAST, CITY)],
        )
        assert [best.query, best.key] == names
        assert best.value > 0.5 * attribution.total(relative=True) > 0
