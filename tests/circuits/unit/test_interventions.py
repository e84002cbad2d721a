"""Which tokens an intervention means, which entries of a pass it meets, and swaps of groups."""

import circuit_graphs
import numpy as np
import pytest
import torch

from mindscope.circuits import (
    ActiveFeature,
    Intervention,
    Supernode,
    align_ends,
    clamp_activations,
    find_active,
    predict_changes,
    swap_features,
)
from mindscope.circuits.interventions.intervention import OPEN_END, InterventionPlan
from mindscope.errors import DataError
from mindscope.models import Row
from mindscope.models.tokens.batch import BatchLayout

ROW = Row((1, 2, 3, 4, 5, 6), 4)


@pytest.mark.parametrize(
    ("position", "spans"),
    [
        (3, [(3, 4)]),
        ((0, 5), [(0, 1), (5, 6)]),
        (slice(2, None), [(2, OPEN_END)]),
        (slice(None, 3), [(0, 3)]),
        (slice(6, 9), [(6, 9)]),
        ("all", [(0, OPEN_END)]),
        ("prompt", [(0, 4)]),
        ("last_prompt", [(3, 4)]),
        ("answer", [(4, OPEN_END)]),
        ("response", [(3, OPEN_END)]),
    ],
)
def test_the_tokens_meant(position, spans: list):
    assert list(Intervention(0, position, 1).spans(ROW)) == spans


def test_what_a_pass_meets():
    """Two of three rows, in another order, with padding on the left, one with a token behind its prompt."""
    rows = [ROW, ROW, ROW]
    plan = InterventionPlan.compile(
        rows,
        [
            [Intervention(2, slice(5, None), 7, "set", 1.0)],
            [Intervention(0, 1, 9, "add", 2.0)],
            [Intervention(2, (2, 5), 4, "scale", 3.0), Intervention(2, 0, 7)],
        ],
    )
    now = BatchLayout(np.array([[-1, 4, 5], [4, 5, 6]]), None, np.array([2, 0]))
    assert plan.layers == [0, 2]
    assert plan.latents(2).tolist() == [4, 7]
    hits = plan.hits(now)
    assert list(hits) == [2]
    met = zip(
        *(item.tolist() for item in (hits[2].batch_rows, hits[2].batch_columns, hits[2].latents)), strict=True
    )
    assert sorted(met) == [(0, 2, 0), (1, 1, 1), (1, 2, 1)]
    changes = plan.changes(hits[2], torch.tensor([10.0, 20.0, 30.0]))
    expected = {0: 3.0, 1: 1.0}  # of latent 4 (times 3) and latent 7 (set to 1), by what is there
    for latent, before, change in zip(hits[2].latents.tolist(), (10.0, 20.0, 30.0), changes, strict=True):
        assert before + float(change) == pytest.approx(expected[latent] * (before if latent == 0 else 1))


def test_a_swap_turns_one_group_off_and_sets_the_other_where_it_belongs():
    off = [ActiveFeature(1, 5, 30, 2.0), ActiveFeature(2, 6, 31, 1.0)]
    on = [ActiveFeature(1, 3, 40, 4.0), ActiveFeature(2, 4, 31, 3.0)]
    result = swap_features(off, on, factor=-1.0, strength=0.5, positions=align_ends(9, 7))
    assert result == [
        Intervention(1, 5, 30, "scale", -1.0),  # 31 of layer 2 is in both, and is set
        Intervention(1, 5, 40, "set", 2.0),
        Intervention(2, 6, 31, "set", 1.5),
    ]
    assert align_ends(4, 6) == {2: 0, 3: 1, 4: 2, 5: 3}
    with pytest.raises(DataError, match="token 1 of the other prompt"):
        clamp_activations([ActiveFeature(0, 1, 2, 3.0)], positions=align_ends(4, 6))


def test_the_features_of_a_supernode():
    graph = circuit_graphs.random_graph()
    layer, position, latent = graph.features[4].tolist()
    group = Supernode(label="x", members=(graph.id(graph.n_features), graph.id(4)))
    assert find_active(graph, group) == [ActiveFeature(layer, position, latent, float(graph.activations[4]))]
    with pytest.raises(DataError, match="no feature in 'x'"):
        find_active(graph, Supernode(label="x", members=(graph.id(graph.n_features),)))


def test_predictions_sum_all_paths_around_what_is_held():
    """Against the inverse of 1 - B over the features that are free to answer."""
    graph = circuit_graphs.random_graph(features=20)
    count, held = graph.n_features, {2: -1.0, 9: 0.5}
    edges, values = graph.edges[:, :count].double(), graph.preactivations[:count].double()
    free = torch.tensor([index for index in range(count) if index not in held])
    answers = edges[:count] / values[:, None]  # relative change of each feature by relative change of another
    push = sum(d * answers[free, index] for index, d in held.items())
    shares = torch.zeros(count, dtype=torch.float64)
    shares[free] = torch.linalg.solve(torch.eye(len(free)).double() - answers[free][:, free], push)
    for index, d in held.items():
        shares[index] = d
    predicted = predict_changes(graph, [held, {}, {0: 1.0}])
    torch.testing.assert_close(predicted[0].double(), edges @ shares, atol=1e-4, rtol=1e-4)
    assert not predicted[1].any()
    direct = predict_changes(graph, [held], direct=True)[0]
    torch.testing.assert_close(direct, graph.edges[:, [2, 9]] @ torch.tensor([-1.0, 0.5]))
    assert (direct - predicted[0]).abs().max() > 0.01
    with pytest.raises(DataError, match="not a feature of the graph"):
        predict_changes(graph, [{count: 1.0}])
