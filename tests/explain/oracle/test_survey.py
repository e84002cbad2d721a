"""A survey against planted latents and a plain loop over every token of the corpus."""

from pathlib import Path

import explain_kit
import pytest
import torch
from explain_kit import PLANTED

from mindscope.dictionaries import Dictionary, DictionaryBank
from mindscope.explain import Survey, SurveyConfig, survey_features
from mindscope.explain.survey.best import PeakActivations, TopContexts
from mindscope.features import Direction, FeatureSet, encode_rows
from mindscope.models import Model
from mindscope.store import Run


def places(token: int) -> list[tuple[int, int]]:
    """(row, position) of every occurrence of a token in the corpus."""
    return [(r, p) for r, row in enumerate(explain_kit.corpus()) for p, i in enumerate(row.ids) if i == token]


@pytest.mark.parametrize("latent", PLANTED)
def test_planted_latents(surveyed: Survey, latent: int):
    token, rows = PLANTED[latent], explain_kit.corpus()
    found, where = surveyed.feature(latent), places(token)
    assert found.density == pytest.approx(len(where) / sum(map(len, rows)))
    assert found.row_density == pytest.approx(len({row for row, _ in where}) / len(rows))
    assert found.highest == pytest.approx(1 + latent, abs=1e-3)
    assert sum(found.histogram.counts) == len(where)
    (use,) = surveyed.tokens_of(latent)
    assert (use.token, use.times, use.precision, use.recall) == (token, len(where), 1.0, 1.0)
    assert surveyed.features_of(token)[0].feature == latent
    assert len(found.top) == 4
    assert len(found.sample) == 10
    for context in (*found.top, *found.sample):
        row = rows[context.row].ids
        start, stop = context.start, context.start + len(context.ids)
        peak = start + context.peak
        assert row[peak] == token
        assert start == max(0, peak - 3)
        assert context.ids == row[start:stop]
        assert stop == min(len(row), peak + 3)
        wanted = [(1.0 + latent) * (i == token) for i in context.ids]
        assert context.activations == pytest.approx(wanted, abs=2e-3)
    assert len({context.row for context in found.sample}) == 10
    for context in surveyed.silent(latent):
        assert token not in rows[context.row].ids


def test_dead_latent(surveyed: Survey):
    found = surveyed.feature(3)
    assert (found.density, found.top, found.sample, found.quantiles()) == (0.0, (), (), [])
    assert surveyed.statistics.dead.tolist() == [False, False, False, True]


def test_top_and_histogram_of_directions_against_a_loop(model: Model, tmp_path: Path):
    draw = torch.Generator().manual_seed(4)
    directions = [
        Direction(f"d{i}", f"resid_post.{i}", torch.randn(model.d_model, generator=draw), model.fingerprint)
        for i in range(2)
    ]
    features, rows = FeatureSet(directions), explain_kit.corpus()
    config = SurveyConfig(top=5, sample=200, before=2, after=2, block_rows=7, read_rows=3)
    with Run.open(tmp_path, kind="feature", config={}) as run:
        found = survey_features(model, features, rows, run, config)
    for index in range(2):
        values = [encode_rows(features, model, [row]).dense()[:, index] for row in rows]
        mine, flat = found.feature(index), torch.cat(values)
        peaks = sorted((part.max().item() for part in values if len(part)), reverse=True)
        lows = sorted(part.min().item() for part in values if len(part))
        assert [one.value for one in mine.top] == pytest.approx(peaks[:5], rel=1e-3)
        assert [one.value for one in mine.bottom] == pytest.approx(lows[:5], rel=1e-3)
        assert len(mine.sample) == sum(peak > 0 for peak in peaks)
        assert mine.mean == pytest.approx(flat.mean().item(), abs=1e-5)
        assert mine.density == pytest.approx((flat > 0).float().mean().item())
        for low, high, count in zip(
            mine.histogram.edges, mine.histogram.edges[1:], mine.histogram.counts, strict=False
        ):
            inside = (flat >= low) & (flat < high) if low >= 0 else (flat > low) & (flat <= high)
            assert count == int(inside.sum())


def test_sample_is_uniform(model: Model, dictionary: Dictionary, tmp_path: Path):
    """Every row in which a feature is active is drawn as often as any other, over seeds."""
    rows = explain_kit.corpus(40)
    active = sorted({row for row in range(40) if PLANTED[0] in rows[row].ids})
    drawn = torch.zeros(40)
    for seed in range(40):
        config = SurveyConfig(sample=5, top=1, before=0, after=0, seed=seed)
        with Run.open(tmp_path / str(seed), kind="feature", config={}) as run:
            found = survey_features(model, DictionaryBank(dictionary), rows, run, config)
        for context in found.contexts(0, "sample"):
            drawn[context.row] += 1
    expected = 40 * 5 / len(active)
    chi2 = ((drawn[active] - expected) ** 2 / expected).sum().item()
    assert chi2 < len(active) + 4 * (2 * len(active)) ** 0.5


@pytest.mark.parametrize("block", [1, 7, 60])
def test_places_hold_the_largest_keys_of_all_and_of_equal_ones_the_earlier_row(block: int):
    draw = torch.Generator().manual_seed(block)
    n, features, size = 240, 5, 6
    owners = torch.randint(features, (n,), generator=draw)
    keys = torch.randint(9, (n,), generator=draw).double()  # many are equal
    table = TopContexts(features, size, 1)
    for rows in torch.arange(n).split(block):
        # A chunk's peaks come in any order.
        rows = rows[torch.randperm(len(rows), generator=draw)]
        peaks = PeakActivations(owners[rows], rows, rows % 3, keys[rows].float())
        table.offer(peaks, keys[rows], lambda own: own.values[:, None])
    kept = table.state()
    for feature in range(features):
        mine = [row for row in range(n) if owners[row] == feature]
        best = sorted(mine, key=lambda row: (-keys[row].item(), row))[:size]
        assert kept["rows"][feature].tolist() == best
        assert kept["keys"][feature].tolist() == keys[best].tolist()
        assert kept["positions"][feature].tolist() == [row % 3 for row in best]
