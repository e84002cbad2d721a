"""The published .pt layout and llama.cpp's control vectors: index by index, and there and back."""

import dataclasses
import pickle
from pathlib import Path

import gguf
import numpy as np
import persona_kit
import pytest
import torch

from mindscope.errors import DataError
from mindscope.models import Edit, Last, Model, Raw, Read, load
from mindscope.personas.formats import load_gguf, load_pt, save_gguf, save_pt
from mindscope.personas.vectors import PersonaVectors


@pytest.fixture
def vectors(tiny: Model) -> PersonaVectors:
    generator = torch.Generator().manual_seed(0)
    return PersonaVectors(
        trait="loud",
        fingerprint=tiny.fingerprint,
        matrices={"answer_mean": torch.randn(3, 32, generator=generator)},
        layers=(0, 1, 2),
        embeddings={"answer_mean": torch.randn(32, generator=generator)},
        final_norm={"answer_mean": torch.randn(32, generator=generator)},
        model_type="llama",
    )


def test_pt_has_the_published_order(vectors: PersonaVectors, tmp_path: Path) -> None:
    save_pt(vectors, tmp_path / "loud_response_avg_diff.pt")
    published = torch.load(tmp_path / "loud_response_avg_diff.pt", weights_only=True)
    assert published.shape == (4, 32)
    assert published.dtype == torch.float32
    assert torch.equal(published[0], vectors.embeddings["answer_mean"])
    assert torch.equal(published[1], vectors.answer_mean[0])
    assert torch.equal(published[2], vectors.answer_mean[1])
    assert torch.equal(published[3], vectors.final_norm["answer_mean"])


def test_pt_there_and_back(tiny: Model, vectors: PersonaVectors, tmp_path: Path) -> None:
    save_pt(vectors, tmp_path / "v.pt")
    again = load_pt(tmp_path / "v.pt", tiny, trait="loud")
    assert again.layers == (0, 1)
    for layer in (0, 1):
        assert torch.equal(again.direction(layer).vector, vectors.direction(layer).vector)
    with pytest.raises(DataError, match="no vector at layer 2"):
        again.direction(2)
    assert torch.equal(again.direction(2, post_norm=True).vector, vectors.final_norm["answer_mean"])
    save_pt(again, tmp_path / "again.pt")
    assert torch.equal(
        torch.load(tmp_path / "again.pt", weights_only=True), torch.load(tmp_path / "v.pt", weights_only=True)
    )


def test_pt_says_whose_vectors_it_holds(tiny: Model, vectors: PersonaVectors, tmp_path: Path) -> None:
    save_pt(vectors, tmp_path / "v.pt")
    again = load_pt(tmp_path / "v.pt", tiny)
    assert (again.trait, again.fingerprint, list(again.matrices)) == (
        "loud",
        tiny.fingerprint,
        ["answer_mean"],
    )
    other = load(str(persona_kit.tiny_chat_model(tmp_path / "other", seed=1)), dtype="float32")
    with pytest.raises(DataError, match="come from another model"):
        load_pt(tmp_path / "v.pt", other)
    other.vectors_of_base = True
    borrowed = load_pt(tmp_path / "v.pt", other)
    assert borrowed.borrowed is not None
    assert borrowed.maker.fingerprint == tiny.fingerprint


@pytest.mark.parametrize(
    ("name", "trait", "kind"),
    [
        ("evil_response_avg_diff", "evil", "answer_mean"),
        ("evil_prompt_avg_diff", "evil", "prompt_mean"),
        ("evil_prompt_last_diff", "evil", "last_prompt"),
        ("mine", "mine", "answer_mean"),
    ],
)
def test_a_published_pt_says_in_its_name_what_it_holds(
    tiny: Model, tmp_path: Path, name, trait, kind
) -> None:
    torch.save(torch.ones(4, 32), tmp_path / f"{name}.pt")
    vectors = load_pt(tmp_path / f"{name}.pt", tiny)
    assert (vectors.trait, list(vectors.matrices)) == (trait, [kind])
    assert any("taken as those of" in line for line in vectors.metadata["unknown"])


def test_pt_keeps_its_kind_and_widens_half_precision(tiny: Model, tmp_path: Path) -> None:
    torch.save(torch.ones(4, 32, dtype=torch.bfloat16), tmp_path / "v.pt")
    again = load_pt(tmp_path / "v.pt", tiny, trait="loud", kind="last_prompt")
    assert again.last_prompt.dtype == torch.float32
    with pytest.raises(DataError, match="hold last_prompt, not answer_mean"):
        again.direction(1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch.ones(4, 31), "needs"),
        (torch.ones(5, 32), "needs"),
        (torch.ones(4), "one floating-point tensor"),
        (torch.ones(4, 32, dtype=torch.int64), "one floating-point tensor"),
        ({"v": torch.ones(4, 32)}, "not a dict"),
        (torch.full((4, 32), float("nan")), "NaN"),
        (torch.zeros(4, 32), "zero"),
    ],
)
def test_pt_that_does_not_fit(tiny: Model, tmp_path: Path, content: object, message: str) -> None:
    torch.save(content, tmp_path / "v.pt")
    with pytest.raises(DataError, match=message):
        load_pt(tmp_path / "v.pt", tiny, trait="loud")


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_pt_is_never_unpickled(tiny: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pickle.pt").write_bytes(pickle.dumps(Bomb()))
    torch.save(Bomb(), tmp_path / "torch.pt")
    for name in ("pickle.pt", "torch.pt", "absent.pt"):
        with pytest.raises(DataError):
            load_pt(tmp_path / name, tiny, trait="loud")
    assert not (tmp_path / "exploded").exists()


def test_gguf_of_one_layer(tiny: Model, vectors: PersonaVectors, tmp_path: Path) -> None:
    save_gguf(vectors, tmp_path / "v.gguf", layer=2)
    reader = gguf.GGUFReader(tmp_path / "v.gguf")
    assert reader.fields["general.architecture"].contents() == "controlvector"
    assert reader.fields["controlvector.model_hint"].contents() == "llama"
    assert reader.fields["controlvector.layer_count"].contents() == 3
    [tensor] = reader.tensors
    assert tensor.name == "direction.2"
    assert np.array_equal(tensor.data, vectors.answer_mean[2].numpy())
    again = load_gguf(tmp_path / "v.gguf", tiny)
    assert (again.trait, again.layers) == ("loud", (2,))
    assert torch.equal(again.direction(2).vector, vectors.direction(2).vector)


def test_gguf_of_all_layers_adds_up(tiny: Model, vectors: PersonaVectors, tmp_path: Path) -> None:
    save_gguf(vectors, tmp_path / "v.gguf")
    tensors = {tensor.name: np.array(tensor.data) for tensor in gguf.GGUFReader(tmp_path / "v.gguf").tensors}
    assert set(tensors) == {"direction.1", "direction.2"}
    assert np.array_equal(tensors["direction.1"], vectors.answer_mean[1].numpy())
    both = tensors["direction.1"] + tensors["direction.2"]
    assert np.allclose(both, vectors.answer_mean[2].numpy(), atol=1e-6)
    again = load_gguf(tmp_path / "v.gguf", tiny)
    assert again.layers == (1, 2)
    for layer in again.layers:
        assert torch.allclose(again.answer_mean[layer], vectors.answer_mean[layer], atol=1e-6)
    with pytest.raises(DataError, match="embeddings"):
        save_pt(again, tmp_path / "v.pt")


def foreign(path: Path, tensors: dict[str, np.ndarray], architecture: str = "controlvector") -> Path:
    writer = gguf.GGUFWriter(path, architecture)
    for name, data in tensors.items():
        writer.add_tensor(name, data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_foreign_gguf_is_taken_as_it_is(tiny: Model, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(2, 32)).astype(np.float32)
    path = foreign(tmp_path / "sad.gguf", {"direction.1": rows[0], "direction.2": rows[1]})
    again = load_gguf(path, tiny)
    assert again.trait == "sad"
    assert np.array_equal(again.answer_mean[2].numpy(), rows[1])


@pytest.mark.parametrize(
    ("tensors", "architecture", "message"),
    [
        ({"direction.1": np.ones(31, np.float32)}, "controlvector", "32 wide"),
        ({"direction.3": np.ones(32, np.float32)}, "controlvector", "layers 1 to 2"),
        ({"direction.0": np.ones(32, np.float32)}, "controlvector", "layers 1 to 2"),
        ({"direction.1": np.ones(32, np.float16)}, "controlvector", "not a float32"),
        ({"blk.0.weight": np.ones(32, np.float32)}, "controlvector", "not a float32"),
        ({"direction.1": np.zeros(32, np.float32)}, "controlvector", "zero"),
        ({"direction.1": np.full(32, np.nan, np.float32)}, "controlvector", "NaN"),
        ({"direction.1": np.ones(32, np.float32)}, "llama", "not a 'controlvector'"),
        ({}, "controlvector", "no direction"),
    ],
)
def test_gguf_that_does_not_fit(
    tiny: Model, tmp_path: Path, tensors, architecture: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        load_gguf(foreign(tmp_path / "v.gguf", tensors, architecture), tiny)


def test_gguf_refusals(tiny: Model, vectors: PersonaVectors, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="layer 0"):
        save_gguf(vectors, tmp_path / "v.gguf", layer=0)
    save_gguf(dataclasses.replace(vectors, fingerprint="f" * 64), tmp_path / "other.gguf")
    with pytest.raises(DataError, match="another model"):
        load_gguf(tmp_path / "other.gguf", tiny)
    (tmp_path / "broken.gguf").write_bytes((tmp_path / "other.gguf").read_bytes()[:100])
    for name in ("broken.gguf", "absent.gguf"):
        with pytest.raises(DataError):
            load_gguf(tmp_path / name, tiny)


def run_llama_cpp(model: Model, ids: torch.Tensor, file: Path) -> torch.Tensor:
    """The residual stream after the last block as llama.cpp makes it, told from its source.

    Its loader keeps `direction.i` as row i - 1 and gives row i - 1 to the block that it counts as i from 0.
    The block adds it to its output, behind the sum with the MLP.
    """
    rows = {
        int(tensor.name.removeprefix("direction.")) - 1: torch.from_numpy(np.array(tensor.data))
        for tensor in gguf.GGUFReader(file).tensors
    }
    handles = []
    for il, block in enumerate(model.hf.model.layers):
        row = rows.get(il - 1)
        if row is not None:
            handles.append(block.register_forward_hook(lambda _m, _a, out, row=row: out + row))
    last = []
    handles.append(model.hf.model.layers[-1].register_forward_hook(lambda _m, _a, out: last.append(out)))
    with torch.no_grad():
        model.hf(ids)
    for handle in handles:
        handle.remove()
    return last[0][0]


@pytest.mark.parametrize("layer", [1, 2, None])
def test_a_control_vector_acts_where_llama_cpp_adds_it(
    tiny: Model, vectors: PersonaVectors, tmp_path: Path, layer: int | None
) -> None:
    save_gguf(vectors, tmp_path / "v.gguf", layer=layer)
    row = tiny.text("Hello there")
    expected = run_llama_cpp(tiny, torch.tensor([row.ids]), tmp_path / "v.gguf")
    if layer is None:  # the increments of all layers, each at its own
        increments = vectors.incremental()
        edits = [Edit("resid_post.1", "add", vectors.answer_mean[1], 1.0, "all")]
        edits += [Edit(f"resid_post.{i}", "add", increments[i], 1.0, "all") for i in (2,)]
    else:
        edits = [load_gguf(tmp_path / "v.gguf", tiny).direction(layer).edit(1.0, "all")]
    read = tiny.read([row], {"out": Read("resid_post.2", Raw("all"))}, edits=edits)["out"].values[0]
    torch.testing.assert_close(read, expected, rtol=1e-5, atol=1e-5)


def test_a_direction_of_repeng_was_measured_at_the_layer_of_its_number(tiny: Model) -> None:
    """It reads layer i at `hidden_states[i + 1]` of the last token: `resid_post.i`, but for the last layer,
    which Hugging Face hands out behind the final norm.
    """
    row = tiny.text("Hello there")
    states = tiny.hf(torch.tensor([row.ids]), output_hidden_states=True).hidden_states
    for layer in range(1, tiny.n_layers):
        read = tiny.read([row], {"r": Read(f"resid_post.{layer}", Last("prompt"))})["r"].values[0]
        same = torch.allclose(states[layer + 1][0, -1], read, atol=1e-5)
        assert same == (layer < tiny.n_layers - 1)
