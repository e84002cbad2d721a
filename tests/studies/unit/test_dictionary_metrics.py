"""The study of metrics: its atoms, what is recovered of them, and what a metric is worth."""

import numpy as np
import pytest
import torch

from mindscope.studies.dictionary_metrics import AtomConfig, DictionaryMetricsStudy
from mindscope.studies.dictionary_metrics.agreement import (
    SPARSITY,
    correlate_ranks,
    leave_out_dead,
    rank_metrics,
    weigh_metric,
)
from mindscope.studies.dictionary_metrics.atoms import AtomSource, AtomWorld
from mindscope.studies.dictionary_metrics.claims import FAILED, PROBES, USUAL, list_claims
from mindscope.studies.dictionary_metrics.measure import match_atoms
from mindscope.studies.dictionary_metrics.results import AtomWorldScores, DictionaryScores

SMALL = AtomConfig(width=32, parents=3, children=2, singles=10, noise=0.0)


def drawn(count: int = 4000, **given: torch.Tensor) -> tuple[AtomWorld, torch.Tensor, torch.Tensor]:
    world = AtomWorld(SMALL, 0)
    return world, *world.draw(count, torch.Generator().manual_seed(1), **given)


def test_samples_are_sums_of_their_atoms():
    world, x, strengths = drawn()
    torch.testing.assert_close(x, strengths @ world.directions)
    torch.testing.assert_close(world.directions.norm(dim=1), torch.ones(SMALL.atoms))


def test_atoms_come_as_often_as_they_are_said_to():
    _, _, strengths = drawn(20_000)
    there = (strengths > 0).float()
    parents, children, singles = there.split((3, 6, 10), 1)
    assert parents.sum(1).max() == 1  # they exclude one another
    assert float(parents.sum(1).mean()) == pytest.approx(SMALL.parent_share, abs=0.02)
    assert children.sum(1).max() == 1
    own = children.view(-1, 3, 2).sum(2)
    assert bool((own <= parents).all())  # no child without its parent
    share = float(children.sum() / parents.sum())
    assert share == pytest.approx(SMALL.child_share, abs=0.02)
    rates = singles.mean(0)
    assert float(rates[0]) == pytest.approx(SMALL.most, abs=0.02)
    assert float(rates[3]) == pytest.approx(SMALL.most / 2, abs=0.02)


def test_labelled_samples_have_the_parent_and_the_flag_that_were_asked_for():
    labels = torch.arange(3).repeat_interleave(5)
    flags = torch.tensor([0.0, 1.0, 1.0] * 5)
    _, _, strengths = drawn(15, parents=labels, flags=flags)
    assert strengths[:, :3].argmax(1).tolist() == labels.tolist()
    assert (strengths[:, -10] > 0).float().tolist() == flags.tolist()


def test_training_reads_other_samples_at_every_position_and_the_same_at_the_same():
    source = AtomSource(AtomWorld(SMALL, 0))
    first, again, later = (torch.empty(8, 32) for _ in range(3))
    then = source.fill(first, (0, 0))
    assert then == (0, 8)
    source.fill(again, (0, 0))
    source.fill(later, then)
    assert torch.equal(first, again)
    assert not torch.equal(first, later)


def test_atoms_are_matched_one_to_one():
    atoms = torch.eye(4)
    assert match_atoms(atoms, 5 * torch.eye(4)[[2, 0, 3, 1]]) == pytest.approx(1)
    assert match_atoms(atoms, torch.eye(4)[[0, 0, 0, 0]]) == pytest.approx(0.25)
    assert match_atoms(atoms, torch.eye(4)[:2]) == pytest.approx(0.5)
    assert match_atoms(atoms, -torch.eye(4)) == 0


def world_of(metric: dict[str, list[float | None]], recovery: list[float]) -> AtomWorldScores:
    """Five kinds, each trained twice; a metric has one value a kind, with a little noise."""
    return AtomWorldScores(
        active=3.0,
        baseline=0.2,
        dictionaries=tuple(
            DictionaryScores(
                method=f"method {kind}",
                latents=64,
                reseed=reseed,
                recovery=value + 0.001 * reseed,
                matched=value,
                metrics={
                    name: tuple(
                        None if values[kind] is None else values[kind] + 0.01 * reseed + 0.002 * draw
                        for draw in range(2)
                    )
                    for name, values in metric.items()
                },
            )
            for kind, value in enumerate(recovery)
            for reseed in range(2)
        ),
    )


RECOVERY = [0.1, 0.2, 0.3, 0.4, 0.5]


def test_what_a_metric_is_worth():
    metric: dict[str, list[float | None]] = {
        "right": [0.0, 1.0, 2.0, 3.0, 4.0],
        "wrong": [4.0, 3.0, 2.0, 1.0, 0.0],
        "blunt": [0.0, 0.001, 0.002, 0.003, 0.004],
        "flat": [1.0] * 5,
    }
    right, *_, wrong = rank_metrics([world_of(metric, RECOVERY)] * 2)
    assert (right.metric, wrong.metric) == ("right", "wrong")
    assert right.agreement.mean > 0.95
    assert wrong.agreement.mean < -0.9
    assert (right.right.mean, right.wrong.mean) == (1.0, 0.0)
    assert (wrong.right.mean, wrong.wrong.mean) == (0.0, 1.0)
    assert right.train_noise == pytest.approx(0.01 / 2**0.5)
    assert right.draw_noise == pytest.approx(0.002 / 2**0.5)
    assert right.smallest_difference == pytest.approx(1.96 * 0.01)
    blunt = weigh_metric("blunt", [world_of(metric, RECOVERY)] * 2)
    assert (blunt.right.mean, blunt.wrong.mean) == (0.0, 0.0)  # its differences drown in its noise


def test_kinds_that_died_in_a_world_are_left_out_of_all():
    alive: list[float | None] = [-5.0] * 5
    one_dead: list[float | None] = [-5.0, -5.0, -0.1, -5.0, -5.0]
    worlds = leave_out_dead([world_of({SPARSITY: values}, RECOVERY) for values in (alive, one_dead)])
    kinds = [{each.method for each in world.dictionaries} for world in worlds]
    assert kinds == [{f"method {kind}" for kind in (0, 1, 3, 4)}] * 2


def test_a_value_that_is_missing_is_left_out():
    metric: dict[str, list[float | None]] = {"some": [0.0, None, 2.0, 3.0, 4.0]}
    worth = weigh_metric("some", [world_of(metric, RECOVERY)])
    assert worth.missing == 4
    assert worth.agreement.mean > 0.9
    assert correlate_ranks(np.array([1.0, np.nan, 2.0]), np.array([1.0, 2.0, 3.0])) == 0.0


def test_verdicts_turn_with_the_numbers(small_dictionary_metrics: DictionaryMetricsStudy):
    def holds(probes: list[float | None], others: list[float | None]) -> list[bool | None]:
        metric = {PROBES: probes, USUAL: others, **dict.fromkeys(FAILED, others)}
        worlds = tuple(world_of(metric, [value + 0.01 * n for value in RECOVERY]) for n in range(3))
        claims = list_claims(small_dictionary_metrics.model_copy(update={"worlds": worlds}))
        return [claim.holds for claim in claims]

    up, down = [0.0, 1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0, 0.0]
    assert holds([*up], [*down]) == [True, True, True, False, True, True, True, True]
    assert holds([*down], [*up]) == [True, False, False, True, False, False, False, True]
