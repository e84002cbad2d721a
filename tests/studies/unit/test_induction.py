"""The study of induction heads: scores on patterns that are known, and what its verdicts need."""

import pytest
import torch

from mindscope.studies.common import TinyConfig, TinyTransformers, draw_repeats
from mindscope.studies.induction.claims import find_change, list_claims, strongest
from mindscope.studies.induction.config import PRESETS, InductionConfig
from mindscope.studies.induction.results import HeadCost
from mindscope.studies.induction.scores import (
    attend_previous,
    match_beside,
    match_prefixes,
    score_copying,
)


def perfect(tokens: int, segment: int, first: int, ahead: int) -> torch.Tensor:
    """All attention goes `ahead` behind the latest earlier occurrence; before there is one, to oneself."""
    pattern = torch.eye(tokens)
    for query in range(first + segment, tokens):
        pattern[query] = 0
        pattern[query, query - segment + ahead] = 1
    return pattern


@pytest.mark.parametrize("first", [0, 1])
def test_a_perfect_induction_pattern_scores_one_and_its_neighbour_nothing(first):
    pattern = perfect(first + 100, 25, first, ahead=1)
    assert match_prefixes(pattern, 25, first) == pytest.approx(1.0)
    assert match_beside(pattern, 25, first) == pytest.approx(0.0, abs=0.02)
    beside = perfect(first + 100, 25, first, ahead=2)
    assert match_prefixes(beside, 25, first) == pytest.approx(0.0, abs=0.02)


def test_attention_that_is_shared_between_earlier_repeats_counts_whole():
    pattern = torch.zeros(100, 100)
    for query in range(25, 100):
        keys = [query - back * 25 + 1 for back in (1, 2, 3) if query - back * 25 >= 0]
        pattern[query, keys] = 1 / len(keys)
    assert match_prefixes(pattern, 25, 0) == pytest.approx(1.0)


def test_even_attention_scores_little():
    even = torch.ones(100, 100).tril()
    even = even / even.sum(1, keepdim=True)
    assert match_prefixes(even, 25, 0) < 0.05


def test_the_previous_token_score():
    assert attend_previous(torch.eye(6).roll(1, 0)) == pytest.approx(1.0)
    assert attend_previous(torch.eye(6)) == pytest.approx(0.0)


def test_copying_goes_from_minus_one_to_one():
    raised, total = torch.tensor([0.0, 1.0, 1.0]), torch.tensor([1.0, 1.0, 3.0])
    assert score_copying(raised, total).tolist() == pytest.approx([-1.0, 1.0, 0.0])


def test_repeated_rows_repeat():
    rows = draw_repeats(50, (2, 30, 64), torch.Generator().manual_seed(0))
    for row in rows.flatten(0, 1).tolist():
        assert any(row[length:] == row[:-length] for length in range(4, 33))


def test_the_change_is_where_a_curve_has_gone_half_of_its_way():
    assert find_change([0, 10, 20, 30], [0.0, 0.0, 1.0, 1.0]) == pytest.approx(15.0)
    assert find_change([0, 10, 20], [0.0, 1.0, 0.0]) == 20.0  # it falls back: it never changed for good


def test_only_heads_that_copy_are_called_strongest():
    heads = [
        HeadCost(layer=0, head=place, prefix=prefix, beside=0, copying=copying, previous=0, cost=None)
        for place, (prefix, copying) in enumerate([(0.9, -0.5), (0.5, 0.3), (0.7, 0.1)])
    ]
    assert [head.head for head in strongest(heads, 2)] == [2, 1]


def test_holding_patterns_separates_what_a_head_writes_from_what_others_do_with_it():
    models = TinyTransformers(TinyConfig(layers=2, width=16, heads=2, context=16, seeds=2), 20, 0)
    ids = torch.randint(20, (2, 3, 16), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits, patterns = models.run(ids)
        again, _ = models.run(ids, held=patterns)
        torch.testing.assert_close(again, logits)
        first, second = ([(layer, 1)] for layer in (0, 1))
        frozen, free = models.run(ids, held=patterns, silenced=first), models.run(ids, silenced=first)
        assert (frozen[0] - free[0]).abs().max() > 1e-3  # later patterns change where they may
        assert all(torch.equal(a, b) for a, b in zip(frozen[1], patterns, strict=True))
        frozen, free = models.run(ids, held=patterns, silenced=second), models.run(ids, silenced=second)
        torch.testing.assert_close(frozen[0], free[0])  # no pattern comes behind the last layer


def test_later_tokens_are_not_seen_and_keys_are_smeared_with_the_token_before():
    for smeared in (False, True):
        kind = TinyConfig(layers=1, width=16, heads=2, context=16, seeds=1, smeared=smeared)
        models = TinyTransformers(kind, 20, 0)
        ids = torch.randint(20, (1, 1, 8), generator=torch.Generator().manual_seed(1))
        changed = ids.clone()
        changed[..., 4] = (changed[..., 4] + 1) % 20
        with torch.no_grad():
            (before,), (after,) = models.run(ids)[1], models.run(changed)[1]
        moved = (before - after)[0, 0].abs().amax(0) > 1e-6  # queries x keys
        assert not moved[:4].any()
        # of the last query's scores that of the changed token moves, and with smeared keys the next one's
        ratio = (after / before)[0, 0, 0, 7]
        alike = torch.isclose(ratio, ratio[0], rtol=1e-4).tolist()
        assert alike == [True] * 4 + [False, not smeared, True, True]


def test_a_stack_is_its_seeds_alone():
    kind = TinyConfig(layers=2, mlp=True, width=16, heads=2, context=16, seeds=2)
    models = TinyTransformers(kind, 20, 0)
    ids = torch.randint(20, (2, 3, 16), generator=torch.Generator().manual_seed(0))
    other = ids.clone()
    other[1] = 0
    with torch.no_grad():
        torch.testing.assert_close(models.losses(ids)[0], models.losses(other)[0])
        assert not torch.allclose(models.losses(ids)[1], models.losses(other)[1])


def test_the_published_constants_stand_in_the_paper_preset():
    paper = PRESETS["paper"]
    assert {(kind.width, kind.heads) for kind in paper.models} == {(768, 12)}
    assert (paper.steps, paper.every) == (10_000, 50)
    assert PRESETS["quick"] == InductionConfig(models=PRESETS["quick"].models)


def test_verdicts_turn_with_the_numbers(small_induction):
    """An untrained model shows nothing; the same curves with a change in them do."""
    assert not any(
        claim.holds for claim in list_claims(small_induction) if "phase change, and" in claim.statement
    )
    kinds = []
    for kind in small_induction.kinds:
        count = len(kind.steps)
        high = kind.layers > 1 or kind.smeared
        prefix = tuple(0.9 if high and place >= count // 2 else 0.05 for place in range(count))
        score = tuple(-2.0 if high and place >= count // 2 else -0.1 for place in range(count))
        update = {"prefix": (prefix,) * 2, "context_score": (score,) * 2}
        kinds.append(kind.model_copy(update=update))
    claims = list_claims(small_induction.model_copy(update={"kinds": tuple(kinds)}))
    shown = [
        claim.holds
        for claim in claims
        if "induction heads" in claim.statement and "best" not in claim.statement
    ]
    assert shown == [True] * 4
    assert all(claim.holds for claim in claims if "same time" in claim.statement)
