"""Attention sinks and very large activations in surveys, searches and pools."""

from pathlib import Path

import pytest
import torch
from tiny_models import FAMILIES, build

from mindscope.dictionaries import Coder, Dictionary, DictionaryBank, Site
from mindscope.explain import (
    Survey,
    SurveyConfig,
    fires_on,
    pooled_features,
    pooled_features_of,
    survey_features,
)
from mindscope.features import OutlierLimits
from mindscope.models import Model, Raw, Read, Row
from mindscope.models.hooks.core import HookedModel
from mindscope.store import Run

SINK, PLANTED = 5, 9
ADDRESS = "embeddings"


@pytest.fixture(scope="module")
def model() -> Model:
    """Token 5 has an embedding a thousand times as long as the others."""
    model = build(FAMILIES[0])
    with torch.no_grad():
        model.hf.get_input_embeddings().weight[SINK] *= 1000
    return model


@pytest.fixture(scope="module")
def bank(model: Model) -> DictionaryBank:
    """Latent 0 is active on token 9 alone, with 1; latents 1 to 3 on half of all tokens."""
    (vectors,) = model.read([Row(tuple(range(30)), 0)], {"x": Read(ADDRESS, Raw("all"))})["x"].values
    draw = torch.Generator().manual_seed(0)
    W_enc = torch.randn(4, model.d_model, generator=draw)
    W_enc[0] = torch.linalg.pinv(vectors.double()).float()[:, PLANTED] * 2
    W_enc[1:] *= (W_enc[1:] @ vectors[SINK]).sign()[:, None]  # the sink sets them off
    b_enc = torch.tensor([-1.0, 0, 0, 0])
    site = [Site(ADDRESS, model.d_model)]
    dictionary = Dictionary.single(
        Coder(W_enc, b_enc, torch.randn(4, model.d_model, generator=draw)),
        torch.zeros(model.d_model),
        reads=site,
        writes=site,
        activation="relu",
        models={"0": model.fingerprint},
    )
    return DictionaryBank(dictionary)


def rows(n_rows: int = 40) -> list[Row]:
    """A sink at the beginning of every row, at a second place of every other."""
    draw = torch.Generator().manual_seed(1)
    texts = []
    for number in range(n_rows):
        ids = torch.randint(6, 30, (16,), generator=draw)
        ids[0] = SINK
        if number % 2:
            ids[9] = SINK
        texts.append(Row(tuple(ids.tolist()), 8))
    return texts


def survey(model: Model, bank: DictionaryBank, folder: Path, texts: list[Row], **options) -> Survey:
    config = SurveyConfig(top=5, sample=10, before=3, after=2, block_rows=8, read_rows=4, **options)
    with Run.open(folder, kind="feature", config={}) as run:
        return survey_features(model, bank, texts, run, config)


def test_a_survey_does_not_count_sinks(model: Model, bank: DictionaryBank, tmp_path: Path) -> None:
    result = survey(model, bank, tmp_path / "a", rows())
    kept = survey(model, bank, tmp_path / "b", rows(), keep_outliers=True)
    assert (result.metadata["tokens"], result.metadata["outliers"]) == (40 * 16 - 60, 60)
    assert (kept.metadata["tokens"], kept.metadata["outliers"]) == (40 * 16, 0)
    ids = torch.tensor([i for row in rows() for i in row.ids])
    (vectors,) = model.read([Row(tuple(range(30)), 0)], {"x": Read(ADDRESS, Raw("all"))})["x"].values
    values = (vectors @ bank.dictionary.coder.W_enc.T + bank.dictionary.coder.b_enc).relu()[ids]
    ordinary = ids != SINK
    for feature in range(4):
        found = result.feature(feature)
        assert found.density == pytest.approx(float((values[ordinary, feature] > 0).float().mean()))
        assert found.highest == pytest.approx(float(values[ordinary, feature].max()), rel=1e-5)
        assert all(context.ids[context.peak] != SINK for context in (*found.top, *found.sample))
    assert all(context.ids[context.peak] == SINK for context in kept.feature(1).top)
    assert kept.feature(1).highest > 100 * result.feature(1).highest
    firing = fires_on(model, bank, result, rows(1)[0], dense=1.0)
    assert all(rows(1)[0].ids[fired.position] != SINK for fired in firing)


def test_where_and_skip(model: Model, bank: DictionaryBank, tmp_path: Path) -> None:
    result = survey(model, bank, tmp_path / "a", rows(), where="answer")
    assert result.metadata["tokens"] + result.metadata["outliers"] == 40 * 8
    for context in result.feature(1).top:
        assert context.start + context.peak >= 8
    skipped = survey(model, bank, tmp_path / "b", rows(), skip=10, keep_outliers=True)
    assert skipped.metadata["tokens"] == 40 * 6
    assert all(context.start + context.peak >= 10 for context in skipped.feature(1).sample)


def test_an_activation_of_70_000_survives(model: Model, bank: DictionaryBank, tmp_path: Path) -> None:
    """Half precision ends at 65,504: windows are shares of their largest activation."""
    result = survey(model, bank, tmp_path, rows(), keep_outliers=True)
    big = max(result.feature(feature).highest for feature in (1, 2, 3))
    factor = 70_000 / big
    coder = bank.dictionary.coder
    scaled = Dictionary.single(
        Coder(coder.W_enc * factor, coder.b_enc * factor, coder.W_dec),
        bank.dictionary.b_dec,
        reads=bank.dictionary.reads,
        writes=bank.dictionary.writes,
        activation="relu",
        models=bank.dictionary.models,
    )
    large = survey(model, DictionaryBank(scaled), tmp_path / "large", rows(), keep_outliers=True)
    for feature in range(4):
        for context, wanted in zip(large.contexts(feature), result.contexts(feature), strict=True):
            assert context.ids == wanted.ids
            assert context.value == pytest.approx(factor * wanted.value, rel=1e-5)
            scaled_back = [value / factor for value in context.activations]
            assert scaled_back == pytest.approx(list(wanted.activations), abs=6e-4 * wanted.value)


def test_pools_do_not_count_sinks(model: Model, bank: DictionaryBank) -> None:
    texts = rows()
    pooled = pooled_features(model, bank, texts)
    kept = pooled_features(model, bank, texts, limits=OutlierLimits({}))
    assert (pooled.outliers, kept.outliers) == (60, 0)
    (vectors,) = model.read([Row(tuple(range(30)), 0)], {"x": Read(ADDRESS, Raw("all"))})["x"].values
    values = (vectors @ bank.dictionary.coder.W_enc.T + bank.dictionary.coder.b_enc).relu()
    for number, row in enumerate(texts):
        ordinary = torch.tensor([i for i in row.ids if i != SINK])
        torch.testing.assert_close(pooled["all", ""][number], values[ordinary].max(0).values)
        torch.testing.assert_close(kept["all", ""][number], values[list(row.ids)].max(0).values)


def test_several_banks_are_pooled_in_one_pass_as_each_alone(model: Model, bank: DictionaryBank) -> None:
    draw = torch.Generator().manual_seed(2)
    later = [Site("resid_post.1", model.d_model)]
    weights = torch.randn(5, model.d_model, generator=draw)
    other = DictionaryBank(
        Dictionary.single(
            Coder(weights, torch.zeros(5), weights),
            torch.zeros(model.d_model),
            reads=later,
            writes=later,
            activation="relu",
            models={"0": model.fingerprint},
        )
    )
    pools = (("all", ""), ("prompt", ""))
    passes = []
    plain = HookedModel.forward_pass

    def counted(self, *args, **options):
        passes.append(1)
        return plain(self, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HookedModel, "forward_pass", counted)
        together = pooled_features_of(model, [bank, other, bank], rows(), pools)
        n_together = len(passes)
        alone = [pooled_features(model, one, rows(), pools) for one in (bank, other, bank)]
    assert len(passes) == 4 * n_together > 0
    for one, wanted in zip(together, alone, strict=True):
        assert (one.outliers, one.limits) == (wanted.outliers, wanted.limits)
        assert one.tables.keys() == wanted.tables.keys() == set(pools)
        for pool in pools:
            torch.testing.assert_close(one[pool], wanted[pool])
