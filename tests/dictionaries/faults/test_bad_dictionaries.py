"""Bad dictionaries and bad training end in one line that says what is wrong."""

import shutil
from pathlib import Path

import pytest
import torch
from dictionary_kit import AtomSource
from tiny_models import FAMILIES, build

from mindscope.dictionaries import Coder, Dictionary, Site, TrainConfig, Wiring, train
from mindscope.dictionaries.training.learner import DictionaryTrainer
from mindscope.errors import DataError, MindscopeError, StoreError
from mindscope.models import Model
from mindscope.store import Run, load_artifact, save_artifact
from mindscope.store.tensors import read_tensors, write_tensors

WIDTH = 32


@pytest.fixture(scope="module")
def model() -> Model:
    return build(FAMILIES[0])


def coder(d_out: int = WIDTH, seed: int = 0) -> Coder:
    draw = torch.Generator().manual_seed(seed)
    return Coder(
        torch.randn(20, WIDTH, generator=draw), torch.zeros(20), torch.randn(20, d_out, generator=draw)
    )


def sae(address: str = "resid_post.1", width: int = WIDTH, fingerprint: str | None = None) -> Dictionary:
    sites = [Site(address, width)]
    return Dictionary.single(
        coder(),
        torch.zeros(width),
        reads=sites,
        writes=sites,
        activation="relu",
        models={"0": fingerprint},
    )


def clt(seed: int = 0) -> Dictionary:
    sites = [tuple(Site(f"{name}.{layer}", WIDTH) for layer in (0, 1)) for name in ("mlp_in", "mlp_out")]
    wiring = (Wiring((0,), (0, 1), 20), Wiring((1,), (1,), 20))
    coders = (coder(2 * WIDTH, seed), coder(WIDTH, seed + 1))
    return Dictionary(sites[0], sites[1], wiring, coders, torch.zeros(2 * WIDTH), "relu")


def test_of_another_width_or_model_or_place(model: Model, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"W_enc is 32 wide, resid_post.1 is 16 wide"):
        sae(width=16)
    sae(fingerprint="0" * 64).save(tmp_path / "other.safetensors")
    with pytest.raises(DataError, match="trained on another model"):
        Dictionary.load(tmp_path / "other.safetensors", model)
    sae(address="resid_post.9").save(tmp_path / "deep.safetensors")
    with pytest.raises(MindscopeError, match="layers 0 to 2"):
        Dictionary.load(tmp_path / "deep.safetensors", model)
    wide = build(FAMILIES[0])
    assert Dictionary.load(tmp_path / "deep.safetensors").reads[0].address == "resid_post.9"
    with pytest.raises(DataError, match=r"has 32 numbers at mlp_pre\.1, .* has 48"):
        sae(address="mlp_pre.1").bind(wide)


def test_activations_of_another_width() -> None:
    with pytest.raises(DataError, match="16 wide, this dictionary reads 32"):
        sae().encode(torch.zeros(3, 16))


def test_nan(tmp_path: Path) -> None:
    weights = coder().tensors()
    with pytest.raises(DataError, match="W_dec holds NaN"):
        Coder(**(weights | {"W_dec": weights["W_dec"] * float("nan")}))
    sae().save(tmp_path / "x.safetensors")
    tensors, metadata = read_tensors(tmp_path / "x.safetensors")
    tensors["W_enc"][0, 0] = float("nan")
    write_tensors(tmp_path / "x.safetensors", tensors, metadata)
    with pytest.raises(StoreError, match="W_enc"):
        Dictionary.load(tmp_path / "x.safetensors")


def test_truncated_and_foreign_files(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    sae().save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(StoreError, match="cut short"):
        Dictionary.load(path)
    save_artifact(path, {"a": torch.ones(2)}, schema="something", version=1, metadata={})
    with pytest.raises(StoreError, match="is needed"):
        Dictionary.load(path)
    save_artifact(path, {"b_dec": torch.ones(2)}, schema="mindscope.dictionary", version=1, metadata={})
    with pytest.raises(StoreError, match="does not describe a dictionary"):
        Dictionary.load(path)
    with pytest.raises(StoreError, match="no such file"):
        Dictionary.load(tmp_path / "absent.safetensors")


def test_all_dead() -> None:
    weights = coder().tensors()
    for name in ("W_enc", "W_dec"):
        with pytest.raises(DataError, match="every latent is dead"):
            Coder(**(weights | {name: torch.zeros_like(weights[name])}))


@pytest.mark.parametrize("lazy", [False, True])
def test_a_folder_of_two_dictionaries_mixed(tmp_path: Path, lazy: bool) -> None:
    for seed in (0, 10):
        clt(seed).save(tmp_path / str(seed))
    name = next(path.name for path in (tmp_path / "10").iterdir() if "001" in path.name)
    shutil.copy(tmp_path / "10" / name, tmp_path / "0" / name)
    with pytest.raises(StoreError, match="belongs to another dictionary"):
        list(Dictionary.load(tmp_path / "0", lazy=lazy).coders)
    (tmp_path / "0" / name).unlink()
    with pytest.raises(StoreError, match="no such file"):
        list(Dictionary.load(tmp_path / "0", lazy=lazy).coders)


def config(**options: object) -> TrainConfig:
    one = {"name": "a", "reads": ["here"], "n_latents": 32, "k": 3} | options
    return TrainConfig.model_validate(
        {"dictionaries": [one], "steps": 40, "batch_tokens": 64, "log_every": 5}
    )


class Spoilt(AtomSource):
    """Zeros, or NaN."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def fill(self, buffer: torch.Tensor, position: tuple[int, int]) -> tuple[int, int]:
        buffer.fill_(self.value)
        return position


def test_training_that_cannot_succeed(tmp_path: Path) -> None:
    def trained(source: AtomSource, **options: object) -> None:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        with Run.open(folder, kind="test", config={}) as run:
            train(source, run, config(**options))

    with pytest.raises(DataError, match=r"a wants resid_post\.7, the activations hold here, there"):
        trained(AtomSource(), reads=["resid_post.7"])
    with pytest.raises(DataError, match="all alike or zero"):
        trained(Spoilt(0.0))
    with pytest.raises(DataError, match="NaN or infinity"):
        trained(Spoilt(float("nan")))
    with pytest.raises(DataError, match="diverged"):
        trained(AtomSource(), method="relu", learning_rate=1e20)


def test_all_latents_died_in_training() -> None:
    source, one = AtomSource(), config().dictionaries[0]
    learner = DictionaryTrainer(one, source.sites[:1], source.sites[:1], steps=1)
    x = source.tokens(64, 0)[1][:, : source.sites[0].width]
    learner.begin(x, x)
    learner.step(x)
    assert learner.finish({}).n_latents == 32
    learner.silent[0].fill_(one.dead_tokens)
    with pytest.raises(DataError, match="every latent of a is dead"):
        learner.finish({})


def test_a_dictionary_keeps_what_it_was_trained_with(tmp_path: Path) -> None:
    with Run.open(tmp_path, kind="test", config={}) as run:
        train(AtomSource(), run, config(k=2))
    about = load_artifact(tmp_path / "a.safetensors", schema="mindscope.dictionary", version=3).metadata[
        "about"
    ]
    assert about["training"]["k"] == 2
    assert about["run"]["batch_tokens"] == 64
