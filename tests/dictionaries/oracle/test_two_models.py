"""A crosscoder between two models, of which one has a planted direction that the other lacks."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_models import FAMILIES, build

from mindscope.dictionaries import (
    Dictionary,
    DictionaryBank,
    DictionaryEvaluation,
    ModelSource,
    TrainConfig,
    evaluate,
    relative_decoder_norms,
    train,
)
from mindscope.dictionaries.evaluation.rows import MeasuredTokens, read_other_models
from mindscope.dictionaries.evaluation.splice import spliced
from mindscope.errors import DataError
from mindscope.explain import SurveyConfig, feature_logits, survey_features
from mindscope.features import encode_rows
from mindscope.models import Model, Row
from mindscope.store import Run, read_tensors, write_tensors

ADDRESS = "resid_pre.0"
GPT2 = next(family for family in FAMILIES if family.name == "gpt2")
"""Learned positions: what is added to them is added whatever the token is."""
TOKENS, LENGTH = 12, 24


@pytest.fixture(scope="module")
def planted() -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(32, generator=torch.Generator().manual_seed(5)), dim=0)


@pytest.fixture(scope="module")
def models(planted: torch.Tensor) -> dict[str, Model]:
    """`tuned` is `base` with the planted direction at every fourth position."""
    base, tuned = build(GPT2), build(GPT2)
    for model in (base, tuned):
        with torch.no_grad():
            model.hf.transformer.wpe.weight.zero_()
            model.hf.transformer.wte.weight.div_(model.hf.transformer.wte.weight.norm(dim=1, keepdim=True))
    with torch.no_grad():
        tuned.hf.transformer.wpe.weight[::4] += planted
    return {"base": base, "tuned": tuned}


def corpus(start: int) -> Iterator[Row]:
    """Random tokens; the same row under the same number."""
    for number in range(start, 400):
        draw = torch.Generator().manual_seed(number)
        yield Row(tuple(torch.randint(0, TOKENS, (LENGTH,), generator=draw).tolist()), 1)


@pytest.fixture(scope="module")
def crosscoder(models: dict[str, Model], tmp_path_factory: pytest.TempPathFactory) -> Dictionary:
    config = TrainConfig.model_validate(
        {
            "dictionaries": [
                {
                    "name": "both",
                    "kind": "crosscoder",
                    "reads": [f"base:{ADDRESS}", f"tuned:{ADDRESS}"],
                    "n_latents": 16,
                    "k": 2,
                    "learning_rate": 3e-3,
                }
            ],
            "steps": 600,
            "batch_tokens": 256,
            "buffer_batches": 8,
        }
    )
    source = ModelSource(models, (f"base:{ADDRESS}", f"tuned:{ADDRESS}"), corpus)
    with Run.open(tmp_path_factory.mktemp("both"), kind="test", config={}) as run:
        return train(source, run, config)["both"]


def test_the_latent_of_one_model(models, crosscoder: Dictionary, planted: torch.Tensor) -> None:
    assert crosscoder.models == {name: model.fingerprint for name, model in models.items()}
    assert [site.name for site in crosscoder.reads] == [f"base:{ADDRESS}", f"tuned:{ADDRESS}"]
    cosines = torch.nn.functional.normalize(crosscoder.decoder(0, 1), dim=1) @ planted
    relative = relative_decoder_norms(crosscoder, "tuned")
    code = encode_rows(DictionaryBank(crosscoder), models, list(corpus(390)))
    shown = torch.bincount(code.indices, minlength=16) > 0
    latent = int(cosines.argmax())
    assert cosines[latent] > 0.99
    assert relative[latent] > 0.95
    shared = shown & ((relative - 0.5).abs() < 0.25)
    assert shared.sum() >= TOKENS  # the tokens, which both models have
    assert (cosines[shown & ~shared].abs() > 0.9).all()  # spare latents have its direction, of either sign
    torch.testing.assert_close(relative_decoder_norms(crosscoder, "base"), 1 - relative)
    values = code.columns(torch.tensor([latent])).view(10, LENGTH)
    shows = torch.arange(LENGTH) % 4 == 0
    assert (values[:, shows] > 0).float().mean() > 0.8
    assert (values[:, ~shows] > 0).float().mean() < 0.2


def test_a_plain_hook_splices_the_same(models, crosscoder: Dictionary) -> None:
    rows = [*corpus(398), Row((1, 2, 3), 1)]
    activations = [model.hf.transformer.wte.weight for model in models.values()]
    for number, (name, model) in enumerate(models.items()):
        given = read_other_models(models, crosscoder, name, rows)
        with spliced(model, crosscoder, MeasuredTokens().mask(rows), given), torch.inference_mode():
            logits = model.hf(**model.batch(rows)).logits
        for row, found in zip(rows, logits, strict=True):
            ids, positions = torch.tensor(row.ids), range(len(row))
            read = [
                table[ids] + other.hf.transformer.wpe.weight[list(positions)]
                for table, other in zip(activations, models.values(), strict=True)
            ]
            written = crosscoder.split(crosscoder(torch.cat(read, dim=1)))[number]
            handle = model.hf.transformer.h[0].register_forward_pre_hook(
                lambda _module, inputs, written=written: (written[None], *inputs[1:])
            )
            with torch.inference_mode():
                expected = model.hf(input_ids=ids[None]).logits[0]
            handle.remove()
            torch.testing.assert_close(found[: len(row)], expected, rtol=1e-4, atol=1e-4)
    with (
        pytest.raises(DataError, match=f"reads tuned:{ADDRESS}, of another model"),
        spliced(models["base"], crosscoder, MeasuredTokens().mask(rows)),
    ):
        pass


def test_it_is_evaluated_in_both_models(models, crosscoder: Dictionary, tmp_path: Path) -> None:
    rows = list(corpus(380))
    with Run.open(tmp_path / "run", kind="dictionary-evaluate", config={}) as run:
        (result,) = evaluate(models, {"both": crosscoder}, rows, run)
    assert DictionaryEvaluation.load(run.path / "evaluate/both/evaluation.json") == result
    code = encode_rows(DictionaryBank(crosscoder), models, rows)
    assert result.sparsity.l0 == pytest.approx(code.l0.double().mean().item())
    assert list(result.sites) == [f"base:{ADDRESS}", f"tuned:{ADDRESS}"]
    for site in result.sites.values():
        assert site.explained_variance > 0.8
    assert list(result.by_model) == ["base", "tuned"]
    assert result.recovered == result.by_model["base"]
    for losses in result.by_model.values():
        assert losses.kl_spliced < min(losses.kl_mean, losses.kl_zero) / 2
    assert {"CE recovered in base", "CE recovered in tuned"} < set(result.row())


def test_it_is_explained_over_both_models(models, crosscoder: Dictionary, tmp_path: Path) -> None:
    bank = DictionaryBank(crosscoder)
    latent = int(relative_decoder_norms(crosscoder, "tuned").argmax())
    config = SurveyConfig(top=5, sample=5, before=2, after=2)
    with Run.open(tmp_path / "run", kind="feature", config={}) as run:
        survey = survey_features(models, bank, corpus(380), run, config)
    assert survey.metadata["fingerprint"] == bank.fingerprint
    assert all((context.start + context.peak) % 4 == 0 for context in survey.contexts(latent))
    (effects,) = feature_logits(models["tuned"], bank, [latent])
    (base_effects,) = feature_logits(models["base"], bank, [latent])
    assert effects.top[0].value > 5 * base_effects.top[0].value
    with pytest.raises(DataError, match="tuned is missing"):
        survey_features({"base": models["base"]}, bank, corpus(380), Run.open(
            tmp_path / "other", kind="feature", config={}), config)  # fmt: skip


def test_saved_and_loaded_with_its_models(models, crosscoder: Dictionary, tmp_path: Path) -> None:
    path = tmp_path / "both.safetensors"
    crosscoder.save(path)
    for given in (models, list(models.values())[::-1]):  # fingerprints tell them apart
        loaded = Dictionary.load(path, given)
        assert (loaded.models, loaded.reads, loaded.digest()) == (
            crosscoder.models, crosscoder.reads, crosscoder.digest(),
        )  # fmt: skip
    other = build(FAMILIES[0])
    for given, error in (
        ({"base": models["base"]}, r"2 models \(base, tuned\), and tuned is missing"),
        (models["tuned"], "base is missing"),
        ({"base": models["base"], "tuned": other}, "trained on another model"),
        ({"base": models["tuned"], "tuned": models["base"]}, "trained on another model"),
        ([models["base"], other], "trained on another model"),
    ):
        with pytest.raises(DataError, match=error) as caught:
            Dictionary.load(path, given)
        assert "\n" not in str(caught.value)
    free = replace(crosscoder, models={})
    assert free.models == {"base": None, "tuned": None}
    assert free.bind(list(models.values())).models == crosscoder.models  # in the order of the names
    with pytest.raises(DataError, match="bind it"):
        DictionaryBank(free)


def test_a_file_of_version_1(models, crosscoder: Dictionary, tmp_path: Path) -> None:
    """Sites had fingerprints, and models no names."""
    path = tmp_path / "old.safetensors"
    crosscoder.save(path)
    tensors, header = read_tensors(path)
    metadata = json.loads(header["mindscope"])
    metadata["version"] = 1
    fingerprints = metadata.pop("models")
    for side in ("reads", "writes"):
        for site in metadata["config"][side]:
            site["fingerprint"] = fingerprints[site.pop("model")]
    write_tensors(path, tensors, {"mindscope": json.dumps(metadata)})
    loaded = Dictionary.load(path, list(models.values()))
    assert loaded.models == {"0": models["base"].fingerprint, "1": models["tuned"].fingerprint}
    assert [site.name for site in loaded.writes] == [ADDRESS, f"1:{ADDRESS}"]
    assert torch.equal(loaded.coder.W_dec, crosscoder.coder.W_dec)


def test_relative_norms_need_two_models(models, crosscoder: Dictionary) -> None:
    with pytest.raises(DataError, match="relative norms compare two models"):
        relative_decoder_norms(crosscoder, "other")


def test_models_with_unlike_tokenizers(models) -> None:
    other = build(GPT2)
    other.tokenizer.add_tokens(["more"])
    with pytest.raises(DataError, match="unlike tokenizers"):
        ModelSource({"base": models["base"], "other": other}, (f"base:{ADDRESS}",), corpus)
