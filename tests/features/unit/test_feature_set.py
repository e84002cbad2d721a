"""Features that are read together, of one model and of two."""

import pytest
import torch
from tiny_models import FAMILIES, build

from mindscope.dictionaries import Coder, Dictionary, DictionaryBank, Site
from mindscope.errors import DataError
from mindscope.features import Direction, FeatureBank, FeatureSet, encode_rows
from mindscope.models import Model, Raw, Read, Row
from mindscope.monitoring import Monitor, project_turns

ROWS = [Row(tuple(range(start, start + 5)), 2) for start in (0, 7, 11)]


@pytest.fixture(scope="module")
def models() -> dict[str, Model]:
    """Two models of one family with unlike weights."""
    first, second = build(FAMILIES[0]), build(FAMILIES[0])
    with torch.no_grad():
        for parameter in second.hf.parameters():
            parameter.mul_(1.1)
    return {"0": first, "1": second}


@pytest.fixture(scope="module")
def crosscoder(models: dict[str, Model]) -> Dictionary:
    width = models["0"].d_model
    draw = torch.Generator().manual_seed(0)
    sites = [Site("resid_post.1", width, name) for name in models]
    return Dictionary.single(
        Coder(
            torch.randn(10, 2 * width, generator=draw),
            torch.zeros(10),
            torch.randn(10, 2 * width, generator=draw),
        ),
        torch.zeros(2 * width),
        reads=sites,
        writes=sites,
        activation="relu",
    ).bind(models)


def at_site(model: Model, address: str) -> torch.Tensor:
    return torch.cat(list(model.read(ROWS, {"x": Read(address, Raw("all"))})["x"].values))


def test_directions_latents_and_two_models_in_one_call(models, crosscoder) -> None:
    first, second = models.values()
    vector = torch.randn(first.d_model, generator=torch.Generator().manual_seed(1))
    bank = DictionaryBank(crosscoder)
    features = FeatureSet(
        [
            Direction("d", "resid_post.1", vector, first.fingerprint),
            bank.feature(3),
            Direction("d", "resid_post.1", vector, second.fingerprint),
            bank.feature(8),
        ]
    )
    assert isinstance(features, FeatureBank)
    assert features.keys == (
        "d@resid_post.1",
        "latent 3@resid_post.1+1:resid_post.1",
        "d@1:resid_post.1",
        "latent 8@resid_post.1+1:resid_post.1",
    )
    here, there = (at_site(model, "resid_post.1") for model in models.values())
    code = crosscoder.encode(torch.cat([here, there], dim=1)).dense()
    unit = vector / vector.norm()
    expected = torch.stack([here @ unit, code[:, 3], there @ unit, code[:, 8]], dim=1)
    for given in (models, [second, first]):  # by name, or in any order: fingerprints tell them apart
        read = torch.cat(features.read(given, ROWS))
        torch.testing.assert_close(read, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(encode_rows(features, models, ROWS).dense(), expected, rtol=1e-4, atol=1e-5)
    some = features.values(torch.cat([here, there], dim=1), [3, 0])
    torch.testing.assert_close(some, expected[:, [3, 0]], rtol=1e-4, atol=1e-5)
    rows = features.decoder_rows()
    assert torch.equal(rows[Site("resid_post.1", first.d_model, "1")][1], crosscoder.coder.W_dec[3, 32:])


def test_a_monitor_reads_two_models(models, crosscoder) -> None:
    features = FeatureSet([DictionaryBank(crosscoder).feature(3)])
    talk = [{"role": "user", "content": "w1 w2 w3"}, {"role": "assistant", "content": "w4 w5"}]
    (trace,) = project_turns(models, features, [talk])
    (turn,) = trace.turns
    (expected,) = features.read(models, [turn.row])
    torch.testing.assert_close(turn.tokens, expected[turn.row.prompt_length :], rtol=1e-4, atol=1e-5)
    with pytest.raises(DataError, match="several models cannot be read while"):
        Monitor(features).generate(models["0"], [turn.row])


@pytest.mark.parametrize(
    ("names", "error"),
    [(["0"], "2 models .* 1 is missing"), (["1"], "0 is missing"), ([], "0, 1 is missing")],
)
def test_a_missing_model(models, crosscoder, names: list[str], error: str) -> None:
    features = FeatureSet([DictionaryBank(crosscoder).feature(3)])
    with pytest.raises(DataError, match=error):
        features.read([models[name] for name in names], ROWS)


def test_another_model(models, crosscoder) -> None:
    features = FeatureSet([DictionaryBank(crosscoder).feature(3)])
    other = build(FAMILIES[1])
    with pytest.raises(DataError, match="another model"):
        features.read({"0": models["0"], "1": other}, ROWS)
    with pytest.raises(DataError, match="another model"):
        features.read([models["0"], other], ROWS)
