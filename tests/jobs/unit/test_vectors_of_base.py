"""What was made with a base is refused on its fine-tune and its float16 copy, and used there on request."""

import json
from pathlib import Path
from types import SimpleNamespace

import persona_kit
import pytest
import torch
from peft import LoraConfig, get_peft_model

from mindscope.dictionaries import Coder, Dictionary, Site
from mindscope.errors import DataError
from mindscope.features import FeatureSet
from mindscope.jobs import RunFolder, SilentReporter
from mindscope.jobs.chat import ChatSpec
from mindscope.jobs.feature.using import AlarmFeaturesSpec
from mindscope.jobs.monitor import MonitorVectorsSpec, monitor_vectors
from mindscope.models import Model, load
from mindscope.monitoring import Calibration, Signal
from mindscope.personas import PersonaVectors


def write_adapter(base: Model, folder: Path) -> Path:
    config = LoraConfig(r=2, lora_alpha=4, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM")
    wrapped = get_peft_model(base.hf, config)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if "lora_" in name:
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    wrapped.save_pretrained(folder)
    return folder


def save_float16(base: Model, folder: Path) -> Path:
    base.hf.half().save_pretrained(folder)
    base.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A base, two models that are related to it and one that is not, and what was made with the base."""
    place = tmp_path_factory.mktemp("related")
    folder = persona_kit.tiny_chat_model(place / "base")
    model = load(folder, dtype="float32")
    matrix = torch.randn(3, 32, generator=torch.Generator().manual_seed(0))
    vectors = PersonaVectors(
        "loud", model.fingerprint, {"answer_mean": matrix}, (0, 1, 2), made_with=model.identity
    )
    vectors.save(place / "vectors.safetensors")
    site, draw = Site("resid_post.1", 32), torch.Generator().manual_seed(1)
    coder = Coder(torch.randn(8, 32, generator=draw), torch.zeros(8), torch.randn(8, 32, generator=draw))
    dictionary = Dictionary.single(
        coder,
        torch.zeros(32),
        reads=[site],
        writes=[site],
        activation="relu",
        models={"0": model.fingerprint},
    )
    dictionary.save(place / "sae.safetensors")
    features = FeatureSet([vectors.direction(1)])
    scores = torch.linspace(0, 1, 40, dtype=torch.float64)[:, None]
    Calibration(
        features.keys, features.digest(), model.fingerprint, Signal(), 0.05, "each", scores, model.identity
    ).save(place / "thresholds.safetensors")
    data = place / "talks.jsonl"
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello there"}]
    data.write_text(json.dumps({"messages": turns}) + "\n")
    return SimpleNamespace(
        place=place,
        data=data,
        base=folder,
        tuned=write_adapter(load(folder, dtype="float32"), place / "tuned"),
        half=save_float16(load(folder, dtype="float32"), place / "half"),
        stranger=persona_kit.tiny_chat_model(place / "stranger", seed=5),
    )


def monitor(made, model: Path, run: Path, **options):
    spec = MonitorVectorsSpec(
        data=made.data,
        model=str(model),
        dtype="auto" if model != made.half else "float16",
        device="cpu",
        vectors=(made.place / "vectors.safetensors",),
        thresholds=made.place / "thresholds.safetensors",
        layers=(1,),
        **options,
    )
    return monitor_vectors(spec, run=RunFolder(run), reporter=SilentReporter())


@pytest.mark.parametrize(
    ("name", "hint", "relation"),
    [
        ("tuned", "was tuned from it, so add --vectors-of-base", "tuned from"),
        ("half", "other precision, so add --vectors-of-base", "same weights, other precision"),
        ("stranger", "if one comes from the other, add --vectors-of-base", "as stated"),
    ],
)
def test_monitoring_names_the_option_and_then_the_relation(made, tmp_path, name, hint, relation):
    model = getattr(made, name)
    with pytest.raises(DataError, match=hint) as error:
        monitor(made, model, tmp_path / "refused")
    assert "\n" not in str(error.value)
    report = monitor(made, model, tmp_path / "run", vectors_of_base=True)
    assert [artifact.relation for artifact in report.borrowed] == [relation] * 2
    assert [artifact.artifact for artifact in report.borrowed] == [
        "the vectors of 'loud'",
        "the thresholds of loud/answer_mean@resid_post.1",
    ]
    assert report.calibration is not None
    assert report.calibration.fingerprint == load(model, dtype="float16").fingerprint or name != "half"


def test_its_own_model_borrows_nothing(made, tmp_path):
    assert monitor(made, made.base, tmp_path / "own").borrowed == ()
    assert monitor(made, made.base, tmp_path / "asked", vectors_of_base=True).borrowed == ()


def test_features_of_the_base_are_taken_by_its_fine_tune(made):
    def load_features(**options):
        sae = str(made.place / "sae.safetensors")
        spec = AlarmFeaturesSpec(
            data=made.data,
            model=str(made.tuned),
            dictionary=sae,
            latents=(1, 2),
            thresholds=made.place / "vectors.safetensors",  # looked at, and not read here
            **options,
        )
        model = spec.load()
        bank = spec.load_bank(model)
        FeatureSet([bank.feature(latent) for latent in spec.latents]).match(model)
        return model.borrowed

    with pytest.raises(DataError, match="was tuned from it, so add --vectors-of-base"):
        load_features()
    (taken,) = load_features(vectors_of_base=True)
    assert (taken.artifact, taken.relation) == ("this dictionary", "tuned from")


def test_a_dictionary_that_is_borrowed_stays_its_own(made, tmp_path):
    path, tuned = made.place / "sae.safetensors", load(made.tuned)
    tuned.vectors_of_base = True
    own, borrowed = Dictionary.load(path), Dictionary.load(path, tuned)
    assert borrowed.models == {"0": tuned.fingerprint}
    assert borrowed.digest() == own.digest()
    borrowed.save(tmp_path / "copy.safetensors")
    assert Dictionary.load(tmp_path / "copy.safetensors").models == own.models


def test_a_copy_of_borrowed_vectors_still_belongs_to_the_base(made, tmp_path):
    tuned = load(made.tuned)
    tuned.vectors_of_base = True
    vectors = PersonaVectors.load(made.place / "vectors.safetensors", tuned)
    assert vectors.fingerprint == tuned.fingerprint
    assert vectors.borrowed is not None
    assert vectors.borrowed.relation == "tuned from"
    vectors.save(tmp_path / "copy.safetensors")
    with pytest.raises(DataError, match="add --vectors-of-base"):
        PersonaVectors.load(tmp_path / "copy.safetensors", load(made.tuned))


def test_a_chat_says_whose_vectors_push(made):
    spec = ChatSpec(
        model=str(made.tuned),
        vectors=(made.place / "vectors.safetensors",),
        layer=1,
        coefficient=1,
        max_new_tokens=2,
        vectors_of_base=True,
    )
    (taken,) = spec.open().answer("Hi").borrowed
    assert taken.relation == "tuned from"
    assert taken.made_with.name == str(made.base)
