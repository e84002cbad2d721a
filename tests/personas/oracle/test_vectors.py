"""What persona vectors refuse, hand out and keep."""

import dataclasses
from pathlib import Path

import persona_kit
import pytest
import torch

from mindscope.errors import DataError, ModelError, StoreError
from mindscope.models import Model, load
from mindscope.personas.vectors import PersonaVectors


def random_vectors(model: Model, seed: int = 0) -> PersonaVectors:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    return PersonaVectors(
        trait="loud",
        fingerprint=model.fingerprint,
        matrices={"answer_mean": draw(3, 32), "prompt_mean": draw(3, 32), "last_prompt": draw(3, 32)},
        layers=(0, 1, 2),
        embeddings={"answer_mean": draw(32)},
        final_norm={"answer_mean": draw(32)},
        model_type="llama",
    )


def test_increments_sum_to_the_vectors(tiny: Model) -> None:
    vectors = random_vectors(tiny)
    increments = vectors.incremental()
    assert torch.equal(increments[0], vectors.answer_mean[0])
    expected = vectors.answer_mean[2].double() - vectors.answer_mean[1].double()
    assert torch.allclose(increments[2].double(), expected, atol=1e-6)
    assert torch.allclose(increments.cumsum(0), vectors.answer_mean, atol=1e-6)


def test_directions_keep_the_raw_norm(tiny: Model) -> None:
    vectors = random_vectors(tiny)
    direction = vectors.direction(2, "prompt_mean")
    assert direction.address == "resid_post.2"
    assert torch.equal(direction.vector, vectors.prompt_mean[2])
    assert torch.allclose(vectors.norms, vectors.answer_mean.norm(dim=1))


def test_save_and_load(tiny: Model, tmp_path: Path) -> None:
    vectors = random_vectors(tiny)
    vectors.save(tmp_path / "v.safetensors")
    again = PersonaVectors.load(tmp_path / "v.safetensors", tiny)
    for kind in vectors.matrices:
        assert torch.equal(again.matrix(kind), vectors.matrix(kind))
    assert torch.equal(again.final_norm["answer_mean"], vectors.final_norm["answer_mean"])
    assert again.digest() == vectors.digest()
    assert (again.trait, again.layers, again.model_type) == ("loud", (0, 1, 2), "llama")
    assert random_vectors(tiny, seed=1).digest() != vectors.digest()


def test_another_models_vectors(tiny: Model, tmp_path: Path) -> None:
    random_vectors(tiny).save(tmp_path / "v.safetensors")
    other = load(str(persona_kit.tiny_chat_model(tmp_path / "other", seed=1)), dtype="float32")
    with pytest.raises(DataError, match="another model"):
        PersonaVectors.load(tmp_path / "v.safetensors", other)
    deeper = load(str(persona_kit.tiny_chat_model(tmp_path / "deeper", n_layers=4)), dtype="float32")
    with pytest.raises(DataError, match="3 layers x 32 wide but"):
        PersonaVectors.load(tmp_path / "v.safetensors", deeper)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda matrix: matrix[1].fill_(float("nan")), "layer 1 holds NaN or infinity"),
        (lambda matrix: matrix[2].fill_(float("inf")), "layer 2 holds NaN or infinity"),
        (lambda matrix: matrix[0].zero_(), "layer 0 is zero"),
    ],
)
def test_unusable_vectors(tiny: Model, spoil, message: str) -> None:
    matrix = random_vectors(tiny).answer_mean.clone()
    spoil(matrix)
    with pytest.raises(DataError, match=message):
        dataclasses.replace(random_vectors(tiny), matrices={"answer_mean": matrix})


def test_shapes_that_do_not_fit(tiny: Model) -> None:
    vectors = random_vectors(tiny)
    with pytest.raises(DataError, match="one shape"):
        dataclasses.replace(
            vectors, matrices={"answer_mean": vectors.answer_mean, "last_prompt": vectors.last_prompt[:2]}
        )
    with pytest.raises(DataError, match="not 32 numbers"):
        dataclasses.replace(vectors, embeddings={"answer_mean": torch.ones(31)})
    with pytest.raises(DataError, match="float32"):
        dataclasses.replace(vectors, matrices={"answer_mean": vectors.answer_mean.half()})


def test_layers_and_kinds_that_are_not_there(tiny: Model) -> None:
    vectors = dataclasses.replace(
        random_vectors(tiny), matrices={"answer_mean": random_vectors(tiny).answer_mean}, layers=(1,)
    )
    for layer in (3, -1):
        with pytest.raises(DataError, match="there is no layer"):
            vectors.direction(layer)
    with pytest.raises(DataError, match="no vector at layer 0: use one of 1"):
        vectors.direction(0)
    with pytest.raises(DataError, match="hold answer_mean, not last_prompt"):
        vectors.direction(1, "last_prompt")
    with pytest.raises(DataError, match="every layer"):
        vectors.incremental()


def test_a_zero_row_of_another_kind_is_refused_when_used(tiny: Model) -> None:
    matrices = dict(random_vectors(tiny).matrices) | {"last_prompt": torch.zeros(3, 32)}
    vectors = dataclasses.replace(random_vectors(tiny), matrices=matrices)
    with pytest.raises(ModelError, match="zero"):
        vectors.direction(1, "last_prompt")


def test_damaged_files(tiny: Model, tmp_path: Path) -> None:
    path = tmp_path / "v.safetensors"
    random_vectors(tiny).save(path)
    whole = path.read_bytes()
    for content in (whole[:-10], b"", b"version https://git-lfs.github.com/spec/v1\n"):
        path.write_bytes(content)
        with pytest.raises(StoreError):
            PersonaVectors.load(path)
