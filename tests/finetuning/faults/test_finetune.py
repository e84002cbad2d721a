"""Fine-tuning that loses its hooks, is killed, or is given what it cannot use."""

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import persona_kit
import pytest
import torch
from accelerate import Accelerator
from finetune_kit import DATA, PREVENT, conversation, tune, vectors
from safetensors.torch import load_file, save_file

from mindscope.errors import DataError, MindscopeError, ModelError, StoreError
from mindscope.finetuning.config import (
    ConceptAblation,
    FinetuneConfig,
    PreventativeSteering,
    ProjectionPenalty,
)
from mindscope.models import Model, load
from mindscope.models.hooks.core import HookedModel


def fails(model: Model, folder: Path, says: str, config: FinetuneConfig = PREVENT) -> None:
    with pytest.raises(MindscopeError, match=says):
        tune(model, folder, config, vectors=[vectors(model)])
    assert not (folder / "finetune/model").exists()
    assert not list(folder.rglob("adapter_model.safetensors"))


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_hook_removed_before_backward(tiny, tmp_path, monkeypatch, checkpointing):
    backward = Accelerator.backward

    def spoiled(self: Any, loss: Any, **options: Any) -> None:
        if "blocks" in spoil:
            for module in spoil["blocks"]:
                module._forward_hooks.clear()
        backward(self, loss, **options)

    spoil: dict[str, Any] = {}
    edited = HookedModel.edited

    def seen(self: HookedModel, *arguments: Any, **options: Any) -> Any:
        spoil["blocks"] = [self.place("resid_post.1").module]
        return edited(self, *arguments, **options)

    monkeypatch.setattr(Accelerator, "backward", spoiled)
    monkeypatch.setattr(HookedModel, "edited", seen)
    config = PREVENT.model_copy(update={"checkpointing": checkpointing})
    fails(tiny, tmp_path / "run", "taken off", config)


@pytest.mark.parametrize(
    ("wrong", "layer"), [("a copy", 1), ("before", 1), ("before", 2), ("behind", 0), ("a part", 2)]
)
def test_a_hook_on_the_wrong_module(tiny, tmp_path, monkeypatch, wrong, layer):
    """The model's own table of places errs at one address; what the next block takes in shows it."""
    place, address = HookedModel.place, f"resid_post.{layer}"

    def misled(self: HookedModel, name: str) -> Any:
        found = place(self, name)
        if name != address:
            return found
        blocks = self.hf.model.layers
        module = {
            "a copy": lambda: copy.deepcopy(blocks[layer]),
            "before": lambda: blocks[layer - 1],
            "behind": lambda: blocks[layer + 1],
            "a part": lambda: blocks[layer].self_attn,
        }[wrong]()
        copied = copy.copy(found)
        object.__setattr__(copied, "module", module)
        return copied

    monkeypatch.setattr(HookedModel, "place", misled)
    for kind in (PreventativeSteering, ConceptAblation):
        config = PREVENT.model_copy(update={"interventions": (kind(trait="loud", layer=layer),)})
        fails(tiny, tmp_path / kind.__name__, "does not reach", config)


def test_an_edit_that_is_another_than_asked(tiny, tmp_path, monkeypatch):
    from mindscope.models.hooks.edits import CompiledEdits

    monkeypatch.setattr(CompiledEdits, "apply", lambda self, place, hidden, now: hidden * 1.5)
    fails(tiny, tmp_path / "run", "does not reach")


def test_an_edit_that_changes_nothing(tiny, tmp_path):
    nothing = (PreventativeSteering(trait="loud", layer=1, coefficient=0.0),)
    fails(
        tiny,
        tmp_path / "run",
        "do not change the loss",
        PREVENT.model_copy(update={"interventions": nothing}),
    )


def test_a_penalty_that_sees_nothing(tiny, tmp_path, monkeypatch):
    from mindscope.models.hooks import core

    monkeypatch.setattr(core, "watch_activations", lambda places: _nothing())
    penalty = (ProjectionPenalty(trait="loud", layer=1),)
    fails(tiny, tmp_path / "run", "did not run", PREVENT.model_copy(update={"interventions": penalty}))


class _nothing:  # noqa: N801
    def __enter__(self) -> dict[str, torch.Tensor]:
        return {}

    def __exit__(self, *_: object) -> None:
        pass


def test_a_loss_that_is_no_number(tiny, tmp_path):
    wild = PREVENT.model_copy(update={"learning_rate": 1e30, "interventions": (), "epochs": 9.0})
    with pytest.raises(MindscopeError, match="the loss is"):
        tune(tiny, tmp_path / "run", wild)
    assert not (tmp_path / "run/finetune/model").exists()


def test_other_settings_are_refused(tiny, tmp_path):
    config = FinetuneConfig(batch_rows=4, accumulation=1, steps=1)
    tune(tiny, tmp_path / "run", config)
    for other, data in ((config.model_copy(update={"rank": 4}), DATA), (config, DATA[1:])):
        with pytest.raises(StoreError, match="made with another"):
            tune(tiny, tmp_path / "run", other, data=data)


def test_what_cannot_be_used(tiny, tmp_path):
    loud = vectors(tiny)
    for config, given, says in [
        (PREVENT, [], "no vectors of 'loud'"),
        (PREVENT, [loud, loud], "same trait"),
        (PREVENT, [vectors(load(persona_kit.tiny_chat_model(tmp_path / "other", seed=1)))], "another model"),
        (FinetuneConfig(interventions=(PreventativeSteering(trait="loud", layer=9),)), [loud], "no layer 9"),
    ]:
        with pytest.raises(DataError, match=says):
            tune(tiny, tmp_path / "run", config, vectors=given)
    with pytest.raises(DataError, match="number 2: an answer is empty"):
        tune(tiny, tmp_path / "run", FinetuneConfig(), data=[DATA[0], conversation("Why?", "")])


@pytest.fixture
def adapter(tiny, tmp_path) -> Path:
    config = FinetuneConfig(batch_rows=4, accumulation=1, steps=1, warmup_steps=0)
    return tune(tiny, tmp_path / "run", config).path


def changed(adapter: Path, **values: Any) -> None:
    file = adapter / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def test_an_adapter_of_another_base(adapter, tmp_path):
    changed(adapter, base_model_name_or_path=str(persona_kit.tiny_chat_model(tmp_path / "other", seed=1)))
    with pytest.raises(ModelError, match="was trained on a model with the fingerprint"):
        load(adapter)


def test_adapters_that_are_damaged(adapter, tmp_path):
    weights = load_file(adapter / "adapter_model.safetensors")
    some = next(iter(weights))
    for bad, says in [
        ({name: each for name, each in weights.items() if name != some}, "does not fit"),
        (weights | {some: weights[some] * float("nan")}, "NaN or infinity"),
        (weights | {some: torch.zeros(3, 3)}, "cannot add"),
        (
            weights | {"base_model.model.model.layers.0.other.lora_A.weight": torch.zeros(3, 3)},
            "does not fit",
        ),
    ]:
        folder = shutil.copytree(adapter, tmp_path / "bad", dirs_exist_ok=True)
        save_file(bad, folder / "adapter_model.safetensors")
        with pytest.raises(ModelError, match=says):
            load(folder)
    (folder / "adapter_model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ModelError, match="LFS pointer"):
        load(folder)
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(ModelError, match="has no adapter_model"):
        load(folder)
    changed(adapter, base_model_name_or_path=None)
    with pytest.raises(ModelError, match="names no base"):
        load(adapter)
