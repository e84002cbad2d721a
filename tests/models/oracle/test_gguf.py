"""GGUF files of a small model against the model that was written into them."""

import gguf_kit
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, GGUFWriter, quants

from mindscope.errors import ModelError
from mindscope.models import load


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MINDSCOPE_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (GGMLQuantizationType.F32, 0.0),
        (GGMLQuantizationType.F16, 2.0**-11),
        (GGMLQuantizationType.Q8_0, 0.01),
    ],
)
def test_weights_and_logits_are_those_that_were_written(tmp_path, kind, error):
    original, file = gguf_kit.small_qwen2(), tmp_path / "small.gguf"
    gguf_kit.write_gguf(original, file, kind)
    model = load(str(file), dtype="float32")
    ours = dict(model.hf.named_parameters())
    for name, weight in original.named_parameters():
        packed = kind if weight.ndim == 2 else GGMLQuantizationType.F32
        written = quants.dequantize(quants.quantize(weight.detach().numpy(), packed), packed)
        # Quantised weights are kept in float16.
        rounding = 0 if kind is GGMLQuantizationType.F32 else 2.0**-11
        np.testing.assert_allclose(ours[name].detach().numpy(), written, rtol=rounding, atol=1e-7)
    ids = torch.randint(0, 256, (1, 12), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected, logits = original(ids).logits, model.hf(ids).logits
    assert (logits - expected).abs().max() <= max(1e-5, 4 * error * expected.abs().max())


def test_a_folder_with_one_gguf_file_means_that_file_and_is_unpacked_once(tmp_path, monkeypatch, capfd):
    folder = tmp_path / "model"
    folder.mkdir()
    gguf_kit.write_gguf(gguf_kit.small_qwen2(), folder / "small.gguf", GGMLQuantizationType.F32)
    capfd.readouterr()
    first = load(str(folder), dtype="float32")
    assert "it/s" not in capfd.readouterr().err  # no bars of the library's
    assert len(list((tmp_path / "cache" / "gguf").iterdir())) == 1
    monkeypatch.setattr("mindscope.models.loading.gguf._unpack", lambda *_: pytest.fail("unpacked again"))
    again = load(str(folder / "small.gguf"), dtype="float32")
    assert again.fingerprint == first.fingerprint
    row = again.text("abc")
    assert [again.decode([token]) for token in row.ids] == ["a", "b", "c"]


def test_what_cannot_be_unpacked_is_one_line(tmp_path, monkeypatch):
    def refused(path, reason):
        with pytest.raises(ModelError, match=reason) as caught:
            load(str(path), dtype="float32")
        assert "\n" not in str(caught.value)
        left = tmp_path / "cache" / "gguf"
        assert not left.exists() or not list(left.iterdir())

    (tmp_path / "short.gguf").write_bytes(b"GGUF")
    refused(tmp_path / "short.gguf", "is not a GGUF file or cut short")
    refused(tmp_path / "absent.gguf", "there is no GGUF file")
    several = tmp_path / "several"
    several.mkdir()
    for name in ("a", "b"):
        (several / f"{name}.gguf").write_bytes(b"GGUF")
    refused(several, r"holds 2 GGUF files \(a.gguf, b.gguf\); give the path of one")
    writer = GGUFWriter(tmp_path / "odd.gguf", "an_architecture_of_nobody")
    writer.add_tensor("token_embd.weight", np.zeros((4, 4), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    refused(tmp_path / "odd.gguf", "transformers cannot unpack odd.gguf")
