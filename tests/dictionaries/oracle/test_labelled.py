"""Measures of labelled texts in worlds whose latents are known: latent i writes the i-th direction."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from mindscope.dictionaries.evaluation.ablation import perturb_probes, remove_correlation
from mindscope.dictionaries.evaluation.absorption import measure_absorption, of_text
from mindscope.dictionaries.evaluation.pooled import PooledActivations
from mindscope.dictionaries.evaluation.probing import (
    PENALTIES,
    build_tasks,
    k_sparse,
    probe_auc,
    rank_columns,
)
from mindscope.errors import DataError


def world(classes: int = 4, texts: int = 400, noise: int = 8, seed: int = 0):
    """Each class has one latent and one direction; `noise` more latents fire at random."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(classes, size=texts)
    acts = np.zeros((texts, classes + noise), np.float32)
    acts[np.arange(texts), labels] = 3 + draw.random(texts)
    acts[:, classes:] = draw.random((texts, noise)) * (draw.random((texts, noise)) < 0.3)
    decoder = np.linalg.qr(draw.normal(size=(64, classes + noise)))[0].T.astype(np.float32)
    x = acts @ decoder + draw.normal(size=(texts, 64)).astype(np.float32) * 0.05
    return PooledActivations(x, csr_matrix(acts)), decoder, [f"class {label}" for label in labels]


def test_k_sparse_probing_finds_the_one_latent():
    pooled, _, labels = world()
    found = k_sparse(pooled, labels, auc_ks=())
    assert found.latents[1] == 1.0
    assert found.neurons[1] < 1.0  # no single dimension tells as well
    assert found.activations > 0.95
    shuffled = k_sparse(pooled, list(np.random.default_rng(1).permutation(labels)), auc_ks=())
    assert abs(shuffled.latents[1] - 0.5) < 0.12
    with pytest.raises(DataError, match="two classes"):
        k_sparse(pooled, ["same"] * len(labels))


def test_a_probe_with_a_chosen_penalty_is_scored_by_the_area_under_its_curve():
    """Compared with counting pairs, and with the penalty found by trying all."""
    pooled, _, labels = world(noise=2)
    noisy = pooled.latents.toarray() + np.random.default_rng(4).normal(size=pooled.latents.shape) * 3
    (task, *_) = build_tasks(labels, seed=0)
    x = noisy[:, rank_columns(noisy, task)[:2]]
    auc = probe_auc(x, task, seed=0)
    candidates = []
    for penalty in PENALTIES:
        probe = LogisticRegression(C=penalty, max_iter=1000).fit(x[task.train], task.train_labels)
        said = probe.decision_function(x[task.test])
        right, wrong = said[task.test_labels == 1], said[task.test_labels == 0]
        candidates.append(float((right[:, None] > wrong[None]).mean()))
    assert any(auc == pytest.approx(value, abs=1e-9) for value in candidates)
    assert 0.6 < auc < 1.0
    found = k_sparse(pooled, labels, auc_ks=(1,))
    assert found.auc[1] == 1.0
    shuffled = k_sparse(pooled, list(np.random.default_rng(1).permutation(labels)), auc_ks=(1,))
    assert abs(shuffled.auc[1] - 0.5) < 0.15


def test_perturbation_hits_one_class_alone():
    pooled, decoder, labels = world()
    found = perturb_probes(pooled, decoder, labels, ns=(1,))
    assert found.targeted[1] > 0.4  # from all right to chance
    assert abs(found.others[1]) < 0.05
    assert found.score[1] == pytest.approx(found.targeted[1] - found.others[1])
    mixed = np.linalg.qr(np.random.default_rng(2).normal(size=(len(decoder),) * 2))[0]
    same = PooledActivations(pooled.activations, csr_matrix(np.abs(pooled.latents.toarray() @ mixed)))
    assert perturb_probes(same, (mixed.T @ decoder).astype(np.float32), labels, ns=(1,)).score[1] < 0.3


def test_removal_of_a_spurious_concept():
    draw = np.random.default_rng(0)
    wanted, spurious = ((draw.random(600) < 0.5).tolist() for _ in range(2))
    on = np.array([wanted, spurious])
    acts = np.zeros((600, 8), np.float32)  # a latent for each answer; the spurious one is easier to see
    acts[:, 0], acts[:, 1], acts[:, 2], acts[:, 3] = on[0], ~on[0], 3 * on[1], 3 * ~on[1]
    acts[:, 4:] = draw.random((600, 4)) * 0.2
    decoder = np.linalg.qr(draw.normal(size=(32, 8)))[0].T.astype(np.float32)
    pooled = PooledActivations(
        (acts @ decoder + draw.normal(size=(600, 32)) * 0.05).astype(np.float32), csr_matrix(acts)
    )
    found = remove_correlation(pooled, decoder, wanted, spurious, ns=(2, 8))
    assert found.clean > 0.95
    assert found.original < found.clean - 0.1
    assert found.score[2] > 0.9
    assert found.score[2] == pytest.approx(
        (found.changed[2] - found.original) / (found.clean - found.original)
    )
    assert found.score[8] > 0.9  # the wanted latents have no effect on the spurious probe, and stay
    assert remove_correlation(pooled, np.roll(decoder, 4, axis=0), wanted, spurious, ns=(2,)).score[2] < 0.5
    with pytest.raises(DataError, match="each combination"):
        remove_correlation(pooled, decoder, wanted, wanted)


def test_absorption_of_a_part_of_a_class():
    """The latent of class 0 is silent on a tenth of its texts, where another that writes it too fires."""
    pooled, decoder, labels = world(seed=3)
    acts = pooled.latents.toarray()
    mine = np.flatnonzero(acts[:, 0])
    absorbed = mine[: len(mine) // 5]
    special = decoder[0] + np.eye(64, dtype=np.float32)[7]
    acts = np.concatenate([acts, np.zeros((len(acts), 1), np.float32)], axis=1)
    acts[absorbed, -1], acts[absorbed, 0] = acts[absorbed, 0], 0
    decoder = np.concatenate([decoder, special[None]])
    noise = np.random.default_rng(0).normal(size=(len(acts), 64)) * 0.05
    x = (acts @ decoder + noise).astype(np.float32)
    found = measure_absorption(PooledActivations(x, csr_matrix(acts)), decoder, labels)
    plain = measure_absorption(pooled, decoder[:-1], labels)
    assert plain.fraction == pytest.approx(0, abs=0.01)
    assert plain.concepts["class 0"][2] == (0,)
    fraction, full, own = found.concepts["class 0"]
    if own == (0,):
        assert fraction == pytest.approx(0.2, abs=0.1)
        assert full == pytest.approx(0.2, abs=0.1)
    else:  # the probe counts the other among the concept's own: then nothing is absorbed
        assert own == (0, len(decoder) - 1)


@pytest.mark.parametrize(
    ("acts", "projection", "fraction", "full"),
    [
        ([2.0, 0, 0, 0], 2.0, 0.0, 0),  # its own latent explains all
        ([0.0, 2, 0, 0], 2.0, 1.0, 1),  # another one stands in
        ([1.0, 1, 0, 0], 2.0, 0.5, 0),  # half and half
        ([0.0, 0.3, 0, 0], 2.0, 0.0, 0),  # too little of it
        ([0.0, 0, 2, 0], 2.0, 0.0, 0),  # fires, but does not point there
        ([0.5, 3, 0, 0], 2.0, 0.75, 0),  # no more is absorbed than is missing
    ],
)
def test_absorption_of_one_text(acts, projection, fraction, full):
    cosines = np.array([1.0, 1.0, 0.01, 0.2])
    found = of_text(np.array(acts), projection, cosines, np.array([0]))
    assert found == pytest.approx((fraction, full))
