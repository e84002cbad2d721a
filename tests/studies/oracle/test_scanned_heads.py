"""The scan of a model's heads, against patterns that transformers gives out and plain hooks."""

import pytest
import torch
from persona_kit import tiny_chat_model
from torch.nn.functional import cross_entropy

from mindscope.models import load
from mindscope.studies.induction.scan import HeadScanner, _silenced_losses
from mindscope.studies.induction.scores import SEGMENT, match_prefixes


@pytest.fixture(scope="module")
def scanner(tmp_path_factory) -> HeadScanner:
    model = load(str(tiny_chat_model(tmp_path_factory.mktemp("model"))), dtype="float32")
    return HeadScanner(model, seed=0)


def test_scores_are_those_of_the_patterns_of_transformers(scanner):
    model, repeated = scanner.model, scanner.rows[0]
    model.hf.set_attn_implementation("eager")
    with torch.no_grad():
        patterns = model.hf(**model.batch([repeated.row]), output_attentions=True).attentions
    expected = torch.stack([match_prefixes(p[0], SEGMENT, repeated.again - SEGMENT) for p in patterns])
    found = torch.tensor(scanner.score_row(0).scores[0]).view(expected.shape)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_silencing_a_head_is_zeroing_its_part_of_what_is_mixed(scanner):
    """In the last layer, behind which no pattern comes that could be held."""
    model, repeated = scanner.model, scanner.rows[0]
    layer, head = model.n_layers - 1, 1
    (plain, ours), _ = _silenced_losses(model, repeated, [[], [(layer, head)]])
    module = model.hf.model.layers[layer].self_attn
    size = module.head_dim

    def zero(_module: object, args: tuple) -> tuple:
        mixed = args[0].clone()
        mixed[..., head * size : (head + 1) * size] = 0
        return (mixed, *args[1:])

    ids = torch.tensor(repeated.row.ids)
    expected = []
    for hook in (None, zero):
        handle = module.o_proj.register_forward_pre_hook(hook) if hook else None
        with torch.no_grad():
            logits = model.hf(**model.batch([repeated.row])).logits[0]
        if handle:
            handle.remove()
        losses = cross_entropy(logits[:-1].float(), ids[1:], reduction="none")
        expected.append(losses[repeated.again - 1 :].mean())
    torch.testing.assert_close(torch.stack([plain, ours]), torch.stack(expected), atol=1e-5, rtol=1e-5)
    assert (plain - ours).abs() > 1e-5


def test_every_ablation_of_a_batch_is_its_own_and_none_stays(scanner):
    model, repeated = scanner.model, scanner.rows[0]
    together, first = _silenced_losses(model, repeated, [[], [(0, 0)], [(0, 1), (1, 0)]])
    alone, again = _silenced_losses(model, repeated, [[(0, 1), (1, 0)]])
    torch.testing.assert_close(together[2:], alone)
    assert len({round(float(value), 6) for value in together}) == 3
    untouched, _ = _silenced_losses(model, repeated, [[]])
    torch.testing.assert_close(untouched, together[:1])
    assert first != again  # what stands first also changes where heads are out


def test_random_groups_have_as_many_heads_of_every_layer_and_none_of_the_strongest(scanner):
    heads = scanner.rank_heads([scanner.score_row(0)])
    group, _, drawn = scanner._parts(heads)
    for other in drawn:
        assert sorted(layer for layer, _ in other) == sorted(layer for layer, _ in group) or len(other) < len(
            group
        )
        assert not {*other} & {*group}
        assert len({*other}) == len(other)
