"""The study of classifiers: its texts, its pools, its probes, and what its verdicts need."""

import pytest
import torch

from mindscope.organism import build_world
from mindscope.studies.classifiers.claims import list_claims
from mindscope.studies.classifiers.lengths import READINGS
from mindscope.studies.classifiers.reading import POOLS, pool_tokens, rolling_means
from mindscope.studies.classifiers.results import ClassifiersStudy
from mindscope.studies.classifiers.shifts import ColumnProbe, area, find_threshold, share_above
from mindscope.studies.classifiers.texts import CUE, SETS, LabelledTexts, TextDraw


def said(talks: tuple) -> list[str]:
    return [talk[-1]["content"] for talk in talks]


def test_held_out_schemes_are_in_no_training_text():
    draw = TextDraw(3, 2)
    assert sorted([*draw.trained, *draw.held]) == sorted(build_world().schemes)
    assert set(draw.trained) != set(TextDraw(4, 2).trained)
    for scheme in draw.held:
        assert not any(scheme in text for text in said(draw.train(40).harmful))
    for text in said(draw.test("schemes", 40).harmful):
        assert any(scheme in text for scheme in draw.held)
        assert not any(scheme in text for scheme in draw.trained)


@pytest.mark.parametrize("name", SETS)
def test_every_set_is_what_it_is_called(name):
    texts = TextDraw(0, 2).test(name, 12)
    assert len(texts.harmful) == len(texts.harmless) == 12
    everything = [*texts.harmful, *texts.harmless]
    assert {len(talk) for talk in everything} == {{"style": 2, "long": 5}.get(name, 1)}
    assert all(talk[0]["role"] == ("system" if name == "style" else "user") for talk in everything)
    schemes = build_world().schemes
    assert all(any(scheme in text for scheme in schemes) for text in said(texts.harmful))
    assert not any(scheme in text for scheme in schemes for text in said(texts.harmless))
    assert texts == TextDraw(0, 2).test(name, 12)
    assert texts != TextDraw(1, 2).test(name, 12)


def test_the_cue_stands_where_it_is_said_to():
    def share(texts: tuple) -> float:
        return sum(text.startswith(CUE) for text in said(texts)) / len(texts)

    draw = TextDraw(0, 1)
    for harmful, harmless in ((True, False), (False, True), (False, False)):
        texts = draw.cued(20, harmful=harmful, harmless=harmless)
        assert (share(texts.harmful), share(texts.harmless)) == (harmful, harmless)


def test_pools_over_tokens():
    values = torch.tensor([[0.0, 4.0], [2.0, 0.0], [4.0, 2.0]])
    assert pool_tokens(values, "mean", 2).tolist() == [2.0, 2.0]
    assert pool_tokens(values, "max", 2).tolist() == [4.0, 4.0]
    assert pool_tokens(values, "windowed", 2).tolist() == [3.0, 2.0]
    assert rolling_means(values, 2).tolist() == [[1.0, 2.0], [3.0, 1.0]]
    assert all(pool_tokens(values[:1], pool, 2).tolist() == [0.0, 4.0] for pool in POOLS)


def test_a_probe_keeps_the_columns_of_the_whole_table():
    """Column 5 says the class, column 9 says it in training alone, the others are silent or noise."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.arange(80) % 2 == 0
    x = torch.zeros(80, 12)
    x[:, 3] = torch.rand(80, generator=generator)
    x[:, 5] = truth + 0.3 * torch.randn(80, generator=generator)
    x[:, 9] = truth + 0.1 * torch.randn(80, generator=generator)
    probe = ColumnProbe.fit(x, truth, 0)
    assert set(probe.top(2)) == {5, 9}
    turned = x.clone()
    turned[:, 9] = 1 - x[:, 9]
    assert probe.without([9]).auroc(turned, truth) > 0.9 > probe.auroc(turned, truth) + 0.2
    margins = probe.margins(x)
    torch.testing.assert_close(margins.sigmoid(), probe.probe.probabilities(x[:, probe.columns]))


def test_thresholds_are_at_a_rate():
    values = torch.arange(100.0)
    assert share_above(values, find_threshold(values, 0.05)) == pytest.approx(0.05)
    assert area(torch.tensor([2.0, 1.0]), torch.tensor([True, False])) == 1.0


def test_texts_are_labelled_in_their_order(tiny):
    texts = LabelledTexts(([{"role": "user", "content": "a"}],), ([{"role": "user", "content": "b"}],) * 2)
    rows, truth = texts.rows(tiny)
    assert len(rows) == 3
    assert truth == [True, False, False]


def verdict(study: ClassifiersStudy, statement: str) -> bool | None:
    (claim,) = [claim for claim in list_claims(study) if statement in claim.statement]
    return claim.holds


def test_verdicts_turn_with_the_numbers(small_classifiers):
    def planted(without: float, rank: int | None) -> ClassifiersStudy:
        values = {
            "features": 0.4,
            "features_without": without,
            "features_without_others": 0.41,
            "cue_rank": rank,
        }
        changed = tuple(draw.model_copy(update=values) for draw in small_classifiers.planted)
        return small_classifiers.model_copy(update={"planted": changed})

    assert verdict(planted(0.8, 3), "ablating these") is True
    assert verdict(planted(0.4, 3), "ablating these") is False
    assert verdict(planted(0.8, 3), "is found among") is True
    assert verdict(planted(0.8, None), "is found among") is False

    def lengths(alarms: float) -> ClassifiersStudy:
        values = {
            "alarms_short": (0.05,) * len(READINGS),
            "alarms_long": tuple(alarms if name == "max" else 0.05 for name in READINGS),
        }
        changed = tuple(draw.model_copy(update=values) for draw in small_classifiers.lengths)
        return small_classifiers.model_copy(update={"lengths": changed})

    for statement in ("raises more false alarms", "rolling means holds better"):
        assert verdict(lengths(0.4), statement) is True
        assert verdict(lengths(0.05), statement) is False
