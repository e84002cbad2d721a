"""What carries a difference, against plain hooks and closed forms."""

import diff_kit
import numpy as np
import pytest
import torch

from mindscope.diffing.claims import carrying
from mindscope.diffing.claims.carrying import (
    LEAST_TOKENS,
    ChangeSubspace,
    LayerDirections,
    carried_losses,
    find_subspaces,
    random_basis,
    read_changes,
)
from mindscope.diffing.claims.pushing import answer_losses
from mindscope.diffing.pairing import chat_row

ANSWERS = ["one and more", "two", "three of them", "", "five is enough", "six"]
PROMPTS = diff_kit.prompts(len(ANSWERS))


@pytest.fixture(scope="module")
def rows(tiny):
    return [chat_row(tiny, prompt, answer) for prompt, answer in zip(PROMPTS, ANSWERS, strict=True)]


@pytest.fixture(scope="module")
def vector():
    return torch.randn(32, generator=torch.Generator().manual_seed(3)) * 2


def subspace_of(base, tuned, inside, outside, layer, layers=None):
    """Of `inside`, raised at a layer and lowered there or at several."""
    kinds = {"these": set(range(len(inside)))}
    addresses = [f"resid_post.{number}" for number in layers or [layer]]
    return find_subspaces(base, tuned, [*inside, *outside], kinds, f"resid_post.{layer}", addresses).get(
        "these"
    )


def at_one(subspace):
    """The directions of the one layer of a subspace."""
    (found,) = subspace.layers.values()
    return found


def plain_losses(base, tuned, row, bases, moved):
    """The loss of one answer with one model moved towards the other at each layer, by plain hooks."""
    ids = torch.tensor([row.ids])
    target = {}
    for layer in bases:

        def keep(_module, _args, output, layer=layer):
            target[layer] = output[0] if isinstance(output, tuple) else output

        other = tuned if moved is base else base
        handle = other.hf.model.layers[layer].register_forward_hook(keep)
        other.hf(ids)
        handle.remove()
    handles = []
    for layer, basis in bases.items():

        def move(_module, _args, output, layer=layer, basis=basis):
            hidden = (output[0] if isinstance(output, tuple) else output).clone()
            for token in range(row.prompt_length - 1, len(row.ids) - 1):
                change = target[layer][0, token] - hidden[0, token]
                for unit in basis:
                    hidden[0, token] += (change @ unit) * unit
            return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

        handles.append(moved.hf.model.layers[layer].register_forward_hook(move))
    logits = moved.hf(ids).logits[0].log_softmax(-1)
    for handle in handles:
        handle.remove()
    said = [-float(logits[t - 1, row.ids[t]]) for t in range(row.prompt_length, len(row.ids))]
    return float(np.mean(said))


@pytest.mark.parametrize("layers", [[1], [0, 1]])
def test_both_arms_are_those_of_plain_hooks(tiny, rows, layers):
    """The base is raised at one layer, the tuned model lowered at every one."""
    tuned = diff_kit.noisy(tiny, 1, 0.1)
    subspace = subspace_of(tiny, tuned, rows, [], 1, layers)
    assert subspace is not None
    assert not subspace.has_control
    for found in subspace.layers.values():
        torch.testing.assert_close(found.basis @ found.basis.T, torch.eye(len(found.basis)))
    bases = {int(address.split(".")[1]): found.basis for address, found in subspace.layers.items()}
    assert list(bases) == layers
    losses = carried_losses(tiny, tuned, rows, subspace, seed=0)
    for index, row in enumerate(rows):
        if not row.answer:
            assert all(np.isnan(values[index]) for values in losses.values())
            continue
        with torch.no_grad():
            raised = plain_losses(tiny, tuned, row, {1: bases[1]}, tiny)
            lowered = plain_losses(tiny, tuned, row, bases, tuned)
        assert losses["raised"][index] == pytest.approx(raised, abs=1e-4)
        assert losses["lowered"][index] == pytest.approx(lowered, abs=1e-4)


def test_what_a_later_layer_writes_again_is_taken_back_there_too(tiny, rows, vector):
    """An offset behind the first block and the last: lowered at the first alone, the last keeps its own."""
    last = tiny.n_layers - 1
    offset = diff_kit.with_offset(diff_kit.with_offset(tiny, 0, vector), last, vector.flip(0))
    of_base = answer_losses(tiny, PROMPTS, ANSWERS, [])
    lowered = []
    for addresses in (["resid_post.0"], ["resid_post.0", f"resid_post.{last}"]):
        layers = {address: LayerDirections(torch.eye(32)) for address in addresses}
        subspace = ChangeSubspace("all", "resid_post.0", layers, 1.0)
        lowered.append(carried_losses(tiny, offset, rows, subspace, seed=0)["lowered"])
    assert np.nanmax(abs(lowered[0] - of_base)) > 0.01
    np.testing.assert_allclose(lowered[1], of_base, atol=1e-3)


def test_prompts_of_another_kind_are_no_control(tiny, rows, monkeypatch):
    """Two words may name one kind: what is changed there must not stand against itself."""
    changes = list(torch.randn(4, 40, 32, generator=torch.Generator().manual_seed(0)))
    monkeypatch.setattr(carrying, "read_changes", lambda *_: {"resid_post.1": changes})
    kinds = {"one": {0}, "other": {1, 2}}
    found = find_subspaces(tiny, tiny, rows[:4], kinds, "resid_post.1", ["resid_post.1"])
    (expected,) = torch.linalg.svd(changes[3], full_matrices=False)[2][None, :8]
    for subspace in found.values():
        control = at_one(subspace).control
        torch.testing.assert_close((control @ expected.T).abs(), torch.eye(8), atol=1e-3, rtol=0)


def test_layers_read_one_by_one_have_the_same_directions(tiny, rows, monkeypatch):
    tuned = diff_kit.noisy(tiny, 1, 0.1)
    at_once = subspace_of(tiny, tuned, rows[:3], rows[3:], 1, [0, 1])
    monkeypatch.setattr(carrying, "CHANGE_BYTES", 1)
    one_by_one = subspace_of(tiny, tuned, rows[:3], rows[3:], 1, [0, 1])
    assert at_once is not None
    assert one_by_one is not None
    assert at_once.share == one_by_one.share
    for address, found in at_once.layers.items():
        assert torch.equal(found.basis, one_by_one.layers[address].basis)


def test_a_constant_offset_is_one_direction(tiny, rows, vector):
    offset = diff_kit.with_offset(tiny, 1, vector)
    subspace = subspace_of(tiny, offset, rows, [], 1)
    assert subspace is not None
    assert abs(float(at_one(subspace).basis[0] @ vector / vector.norm())) == pytest.approx(1, abs=1e-4)
    assert subspace.share == pytest.approx(1, abs=1e-6)


def test_all_directions_of_the_last_block_make_one_model_the_other(tiny, rows, vector):
    offset = diff_kit.with_offset(tiny, tiny.n_layers - 1, vector)
    address = f"resid_post.{tiny.n_layers - 1}"
    everything = ChangeSubspace("all", address, {address: LayerDirections(torch.eye(32))}, 1.0)
    losses = carried_losses(tiny, offset, rows, everything, seed=0)
    of_base, of_offset = (answer_losses(model, PROMPTS, ANSWERS, []) for model in (tiny, offset))
    assert np.nanmax(abs(of_base - of_offset)) > 0.01
    # Random directions that are as many as the stream is wide leave nothing out either.
    for arm in ("raised", "raised, control"):
        np.testing.assert_allclose(losses[arm], of_offset, atol=1e-3)
    for arm in ("lowered", "lowered, control"):
        np.testing.assert_allclose(losses[arm], of_base, atol=1e-3)


def test_the_planted_direction_alone_carries_the_change_and_a_random_one_does_not(tiny, rows, vector):
    last = tiny.n_layers - 1
    offset = diff_kit.with_offset(tiny, last, vector)
    subspace = subspace_of(tiny, offset, rows[:3], [], last)
    assert subspace is not None
    directions = {subspace.address: LayerDirections(at_one(subspace).basis[:1])}
    one = ChangeSubspace("offset", subspace.address, directions, subspace.share)
    losses = carried_losses(tiny, offset, rows[4:], one, seed=0)
    of_base, of_offset = (answer_losses(model, PROMPTS[4:], ANSWERS[4:], []) for model in (tiny, offset))
    np.testing.assert_allclose(losses["raised"], of_offset, atol=1e-3)
    np.testing.assert_allclose(losses["lowered"], of_base, atol=1e-3)
    assert np.all(abs(losses["raised, control"] - of_offset) > 0.01)
    assert np.all(abs(losses["lowered, control"] - of_base) > 0.01)


def test_what_carries_the_change_everywhere_carries_nothing_of_its_own_here(tiny, rows, vector):
    """The same offset on all prompts: the control, found on other prompts, does as much."""
    last = tiny.n_layers - 1
    offset = diff_kit.with_offset(tiny, last, vector)
    subspace = subspace_of(tiny, offset, rows[:3], rows[3:], last)
    assert subspace is not None
    found = at_one(subspace)
    assert found.control is not None
    directions = {subspace.address: LayerDirections(found.basis[:1], found.control[:1])}
    one = ChangeSubspace("one", subspace.address, directions, 1.0)
    losses = carried_losses(tiny, offset, rows, one, seed=0)
    for arm in ("raised", "lowered"):
        np.testing.assert_allclose(losses[arm], losses[f"{arm}, control"], atol=1e-4)


def test_changes_are_those_of_plain_hooks_at_the_tokens_that_predict(tiny, rows):
    tuned = diff_kit.noisy(tiny, 1, 0.1)
    changes = read_changes(tiny, tuned, rows, ["resid_post.1"])["resid_post.1"]
    for row, change in zip(rows, changes, strict=True):
        kept = []
        for model in (tiny, tuned):
            handle = model.hf.model.layers[1].register_forward_hook(
                lambda _module, _args, output, kept=kept: kept.append(
                    output[0] if isinstance(output, tuple) else output
                )
            )
            with torch.no_grad():
                model.hf(torch.tensor([row.ids]))
            handle.remove()
        expected = (kept[1] - kept[0])[0, row.prompt_length - 1 : len(row.ids) - 1]
        torch.testing.assert_close(change, expected if row.answer else expected[:0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("width", [32, 96])
def test_directions_are_those_of_a_dense_decomposition(tiny, rows, monkeypatch, width):
    """Wide streams with many tokens take another way to the same directions."""
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(200, width, generator=generator) * torch.linspace(1, 5, width)
    changes = {"resid_post.1": [matrix[:150], matrix[150:]]}
    monkeypatch.setattr(carrying, "read_changes", lambda *_: changes)
    subspace = subspace_of(tiny, tiny, rows[:2], [], 1)
    assert subspace is not None
    _, sizes, expected = torch.linalg.svd(matrix.double(), full_matrices=False)
    torch.testing.assert_close(
        (at_one(subspace).basis.double() @ expected[:8].T).abs(), torch.eye(8).double(), atol=1e-4, rtol=0
    )
    assert subspace.share == pytest.approx(float((sizes[:8] ** 2).sum() / (sizes**2).sum()), abs=1e-6)


def test_no_change_and_too_few_tokens_have_no_directions(tiny, rows, vector):
    assert subspace_of(tiny, tiny, rows, [], 1) is None
    assert subspace_of(tiny, tiny, [], rows, 1) is None
    offset = diff_kit.with_offset(tiny, 1, vector)
    short = [row for row in rows if 0 < len(row.answer) < LEAST_TOKENS][:1]
    assert short
    assert subspace_of(tiny, offset, short, [], 1) is None


def test_random_directions_are_orthonormal_and_drawn_by_the_seed():
    basis = random_basis(4, 32, 1)
    torch.testing.assert_close(basis @ basis.T, torch.eye(4), atol=1e-5, rtol=0)
    assert torch.equal(basis, random_basis(4, 32, 1))
    assert not torch.allclose(basis, random_basis(4, 32, 2))
