"""What the tests of fine-tuning share: conversations, vectors, and a look at the gradients of a training."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from event_kit import killed_at
from persona_kit import random_vectors as vectors
from torch import Tensor

from mindscope.data import Conversation
from mindscope.finetuning import finetune as job
from mindscope.finetuning.config import FinetuneConfig, PreventativeSteering, ProjectionPenalty
from mindscope.finetuning.finetune import finetune_model
from mindscope.finetuning.result import TunedModel
from mindscope.finetuning.trainer import InterventionTrainer, RunCallback
from mindscope.models import Model, load
from mindscope.store import Run


def conversation(*texts: str, system: str | None = None) -> Conversation:
    """Turns of user and assistant, one after the other."""
    turns = [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]
    if system is not None:
        turns.insert(0, {"role": "system", "content": system})
    return Conversation(tuple(turns))  # pyright: ignore[reportArgumentType]


PREVENT = FinetuneConfig(
    batch_rows=2,
    accumulation=2,
    learning_rate=1e-2,
    dropout=0.1,
    warmup_steps=0,
    save_every=1,
    interventions=(
        PreventativeSteering(trait="loud"),
        ProjectionPenalty(trait="loud", layer=1),
    ),
)
"""A short training with two interventions, saved at every step."""

DATA = [conversation(f"Ask {i}" + "?" * i, f"Answer number {i}" + "!" * (7 * i % 5)) for i in range(12)]


def tune(model: Model, folder: Path, config: FinetuneConfig, **options: Any) -> TunedModel:
    """Fine-tunes the model of that name in a run of its own."""
    options.setdefault("data", DATA)
    with Run.open(folder, kind="test", config={}) as run:
        return finetune_model(model.name, run=run, config=config, **options)


def tune_and_die(model: str, folder: str, config: str, *events: str) -> None:
    """Fine-tunes once for each event, in a fork of this process that kills itself there.

    Args:
        model: its folder.
        folder: of the run.
        config: as JSON.
        events: which ones, from 1, of steps, and of saves before their mark; the last line says which it met.
    """
    points = ((RunCallback, "on_step_end"), (RunCallback, "on_save"), (job, "write_json"))
    loaded, settings = load(model, dtype="float32"), FinetuneConfig.model_validate_json(config)

    def work() -> None:
        tune(loaded, Path(folder), settings, vectors=[vectors(loaded)])

    print(json.dumps([killed_at(int(event), points, work, seconds=300) for event in events]))


class Look:
    """The gradients and the batch of the first forward and backward pass."""

    gradients: dict[str, Tensor]
    parameters: dict[str, Tensor]
    batch: dict[str, Tensor]


def looking(monkeypatch: pytest.MonkeyPatch) -> Look:
    look, step = Look(), InterventionTrainer.training_step

    def training_step(self: Any, model: Any, inputs: Any, *rest: Any) -> Tensor:
        look.batch = {name: tensor.clone() for name, tensor in inputs.items()}
        loss = step(self, model, inputs, *rest)
        named = dict(self.accelerator.unwrap_model(model).named_parameters())
        look.parameters = {name: each.detach().clone() for name, each in named.items()}
        look.gradients = {name: each.grad.clone() for name, each in named.items() if each.grad is not None}
        return loss

    monkeypatch.setattr(InterventionTrainer, "training_step", training_step)
    return look


Write = Callable[[Tensor], Tensor]
