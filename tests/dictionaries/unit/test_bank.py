"""The latents of a dictionary as a bank: some columns are those of the whole code, and cost no more."""

from dataclasses import replace

import pytest
import torch

from mindscope.dictionaries import Coder, Dictionary, DictionaryBank, Site, Wiring
from mindscope.errors import DataError
from mindscope.features import FeatureSet, feature_edits, written_directions

WIDTH, LATENTS = 6, 20
OF = {"0": "f" * 8}


def coder(d_in: int, d_out: int, seed: int = 0, threshold: float | None = None) -> Coder:
    draw = torch.Generator().manual_seed(seed)
    return Coder(
        torch.randn(LATENTS, d_in, generator=draw),
        torch.randn(LATENTS, generator=draw) / 4,
        torch.randn(LATENTS, d_out, generator=draw),
        None if threshold is None else torch.full((LATENTS,), threshold),
    )


def sae(activation: str = "relu", **options: object) -> Dictionary:
    threshold = 0.5 if activation in ("jumprelu", "batchtopk") else None
    sites = [Site("resid_post.1", WIDTH)]
    return Dictionary.single(
        coder(WIDTH, WIDTH, threshold=threshold),
        torch.arange(float(WIDTH)),
        reads=sites,
        writes=sites,
        activation=activation,
        k=3 if activation == "topk" else None,
        models=OF,
        **options,
    )


def clt() -> Dictionary:
    sites = [tuple(Site(f"{name}.{layer}", WIDTH) for layer in (0, 1)) for name in ("mlp_in", "mlp_out")]
    wiring = (Wiring((0,), (0, 1), LATENTS), Wiring((1,), (1,), LATENTS))
    coders = (coder(WIDTH, 2 * WIDTH), coder(WIDTH, WIDTH, 1))
    return Dictionary(sites[0], sites[1], wiring, coders, torch.ones(2 * WIDTH), "relu", models=OF)


@pytest.mark.parametrize("activation", ["relu", "jumprelu", "batchtopk", "topk"])
@pytest.mark.parametrize("centred", [False, True])
def test_some_latents_are_columns_of_the_whole_code(activation: str, centred: bool) -> None:
    bank = DictionaryBank(sae(activation, apply_b_dec_to_input=centred))
    x = torch.randn(50, WIDTH, generator=torch.Generator().manual_seed(2))
    chosen = [7, 3, 19]
    torch.testing.assert_close(bank.values(x, chosen), bank.encode(x).dense()[:, chosen])
    torch.testing.assert_close(bank.encode(x).columns(torch.tensor(chosen)), bank.values(x, chosen))


def test_only_the_latents_asked_for_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(self, *arguments):
        raise AssertionError("all latents were encoded")

    monkeypatch.setattr(Coder, "preactivations", never)
    x = torch.randn(5, WIDTH)
    assert DictionaryBank(sae("jumprelu")).values(x, [1]).shape == (5, 1)
    with pytest.raises(AssertionError, match="all latents"):
        DictionaryBank(sae("topk")).values(x, [1])


def test_sixteen_latents_of_a_topk_dictionary_are_one_encode(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    encode = Coder.preactivations

    def counted(self, x):
        calls.append(len(x))
        return encode(self, x)

    monkeypatch.setattr(Coder, "preactivations", counted)
    dictionary = sae("topk")
    features = FeatureSet([DictionaryBank(dictionary).feature(latent) for latent in range(16)])
    values = features.values(torch.randn(9, WIDTH), range(16))
    assert values.shape == (9, 16)
    assert calls == [9]  # also where each latent came of a bank of its own


def test_a_digest_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    dictionary = sae()
    first = dictionary.digest()
    monkeypatch.setattr(Coder, "tensors", lambda self: pytest.fail("the weights were read again"))
    latents = [DictionaryBank(dictionary).feature(latent) for latent in (0, 1)]
    assert dictionary.digest() == first
    assert latents[0].digest() != latents[1].digest()


def test_rows_and_edits_of_a_latent_that_writes_two_sites() -> None:
    bank = DictionaryBank(clt())
    rows = bank.decoder_rows([1, LATENTS + 2])
    (first, second), sites = bank.dictionary.coders, bank.writes
    assert torch.equal(rows[sites[0]], torch.stack([first.W_dec[1, :WIDTH], torch.zeros(WIDTH)]))
    assert torch.equal(rows[sites[1]], torch.stack([first.W_dec[1, WIDTH:], second.W_dec[2]]))
    assert [d.address for d in written_directions(bank, 1)] == ["mlp_out.0", "mlp_out.1"]
    edits = feature_edits(bank, 1, 2.0)
    assert [(edit.address, edit.value) for edit in edits["0"]] == [("mlp_out.0", 2.0), ("mlp_out.1", 2.0)]
    with pytest.raises(DataError, match=r"writes 2 sites.*feature_edits"):
        bank.feature(1).edit(1.0)
    assert bank.feature(LATENTS + 2).edit(1.0).address == "mlp_out.1"


def test_a_latent_of_a_clt_reads_what_its_coder_reads() -> None:
    bank = DictionaryBank(clt())
    latent = bank.feature(LATENTS + 2)
    assert [site.name for site in latent.reads] == ["mlp_in.1"]
    x = torch.randn(8, 2 * WIDTH)
    torch.testing.assert_close(latent.project(x[:, WIDTH:]), bank.encode(x).dense()[:, LATENTS + 2])


def test_what_no_model_owns_or_nothing_writes_is_refused() -> None:
    with pytest.raises(DataError, match="bind it"):
        DictionaryBank(replace(sae(), models={}))
    weights = coder(WIDTH, WIDTH).tensors()
    weights["W_dec"][4] = 0
    site = [Site("resid_post.1", WIDTH)]
    dead = Dictionary.single(
        Coder(**weights), torch.zeros(WIDTH), reads=site, writes=site, activation="relu", models=OF
    )
    with pytest.raises(DataError, match="latent 4 is dead"):
        DictionaryBank(dead).feature(4)


def test_weights_of_another_type_are_made_float32_once(monkeypatch: pytest.MonkeyPatch) -> None:
    dictionary = sae("topk").to(dtype=torch.bfloat16)
    bank = DictionaryBank(dictionary)
    x = torch.randn(5, WIDTH)
    first = bank.values(x, [0, 1])
    monkeypatch.setattr(Coder, "to", lambda self, *_: pytest.fail("the weights were converted again"))
    assert torch.equal(bank.values(x, [0, 1]), first)
    wide = dictionary.coder.tensors()
    pre = x @ wide["W_enc"].float().T + wide["b_enc"].float()
    top = pre * (pre >= pre.topk(3).values[:, -1:]) * (pre > 0)
    torch.testing.assert_close(first, top[:, :2])
