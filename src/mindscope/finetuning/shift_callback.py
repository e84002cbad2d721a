"""A trainer's callback that logs how far the model has moved along persona vectors, and may stop it.

For any `transformers.Trainer`, those of trl among them. It reads a few held-out prompts whenever a checkpoint
is written: one forward pass without gradients, up to the deepest layer that is asked for. It draws no random
numbers, so a training with it ends with the same weights as one without.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from peft import PeftModel
from torch import Tensor
from transformers import Trainer, TrainerCallback

from mindscope.core import require_same_model
from mindscope.errors import DataError, MindscopeError
from mindscope.models import Last, Model, Read
from mindscope.personas import PersonaVectors, Prompt, default_layer
from mindscope.stats import bootstrap_interval
from mindscope.store import Document, SavedDocument

LOG = "shift.json"
"""In the trainer's output folder, beside its checkpoints."""
FEWEST_PROMPTS = 8
"""With fewer prompts an interval over them says little."""


class ShiftRecord(Document):
    """How far the model was along one trait's vector after so many steps."""

    step: int
    trait: str
    layer: int
    shift: float
    """Of the last prompt token's mean activation along the unit vector, in activations' own units."""
    low: float
    high: float
    """The 95 % interval over the prompts."""
    share: float
    """The shift as a share of the vector's norm: 1 is the way from answers without it to those with."""


class ShiftLog(SavedDocument):
    """All records of a training, and what they are measured from."""

    SCHEMA: ClassVar[str] = "mindscope.shift_log/1"

    prompts: int
    limits: dict[str, float]
    base: dict[str, tuple[float, ...]]
    """By trait, every prompt's projection before the training."""
    records: tuple[ShiftRecord, ...] = ()
    stopped: str | None = None
    """Why the training was stopped; None if it was not."""


class ShiftCallback(TrainerCallback):
    """Logs the shift along persona vectors at every checkpoint, and stops a training that goes too far."""

    def __init__(
        self,
        trainer: Trainer,
        tokenizer: Any,
        vectors: Sequence[PersonaVectors],
        prompts: Sequence[Prompt],
        *,
        layers: Mapping[str, int] | None = None,
        limits: Mapping[str, float] | None = None,
        every: int | None = None,
    ):
        """See `follow_shift`, which makes one and gives it to the trainer."""
        self._trainer, self._tokenizer = trainer, tokenizer
        self._vectors = {item.trait: item for item in vectors}
        self._prompts, self._every = list(prompts), every
        self._layers = {
            trait: (layers or {}).get(trait, default_layer(item.n_layers))
            for trait, item in self._vectors.items()
        }
        self._limits = dict(limits or {})
        self._model: Model | None = None
        self._measured_at = -1
        self.log = ShiftLog(prompts=len(prompts), limits=self._limits, base={})
        if len(self._vectors) < len(vectors):
            raise DataError("two sets of vectors are of the same trait: give one for each trait")
        if len(prompts) < FEWEST_PROMPTS:
            raise DataError(f"a shift is measured on {FEWEST_PROMPTS} prompts at least, not {len(prompts)}")
        if strange := sorted(self._limits.keys() - self._vectors.keys()):
            raise DataError(f"there is a limit for {strange[0]!r}, and no vectors of it")
        for trait, item in self._vectors.items():
            item.direction(self._layers[trait])  # refuses a layer that they lack

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Measure where the model stands before it is trained, or take up the log of an interrupted training.

        Raises:
            DataError: vectors of another model, or a training that goes on without its log.
            MindscopeError: a trainer that shards the weights.
        """
        if getattr(args, "fsdp", None) or getattr(args, "deepspeed", None):
            raise MindscopeError(
                "the shift cannot be read of weights that are sharded: train with DDP or alone"
            )
        hf = self._trainer.accelerator.unwrap_model(self._trainer.model)
        adapter = hf if isinstance(hf, PeftModel) else None
        model = Model.wrap(adapter.get_base_model() if adapter else hf, self._tokenizer, name="the model")
        self._model = model
        file = Path(args.output_dir) / LOG
        for item in self._vectors.values():
            if (item.n_layers, item.d_model) != (model.n_layers, model.d_model):
                raise DataError(
                    f"the vectors of '{item.trait}' are {item.n_layers} layers x {item.d_model} wide, the "
                    f"model has {model.n_layers} x {model.d_model}: extract them with the model that is tuned"
                )
            if adapter is None and not state.global_step:
                require_same_model(
                    f"the vectors of '{item.trait}' are of", item.fingerprint, model, "extract them with it"
                )
        if state.global_step and file.is_file():
            log = ShiftLog.load(file)
            kept = tuple(record for record in log.records if record.step <= state.global_step)
            self.log = log.model_copy(update={"records": kept, "limits": self._limits})
        elif state.global_step and adapter is None:
            raise DataError(
                f"the training goes on without {file}, which says where the model began: begin anew"
            )
        if self.log.base.keys() != self._vectors.keys():
            with adapter.disable_adapter() if adapter else nullcontext():
                projections = self._project()
            base = {trait: tuple(values.tolist()) for trait, values in projections.items()}
            self.log = self.log.model_copy(update={"base": base})

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Measure every so many steps, if that was asked for."""
        if self._every and state.global_step % self._every == 0:
            self._measure(args, state, control)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Measure at every checkpoint."""
        self._measure(args, state, control)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Measure the last weights."""
        self._measure(args, state, control)

    def _measure(self, args: Any, state: Any, control: Any) -> None:
        if state.global_step == self._measured_at:
            return
        self._measured_at = state.global_step
        records = [self._record(state.global_step, trait, now) for trait, now in self._project().items()]
        over = [
            f"the shift along '{record.trait}' is {record.share:.2f} of the vector (at least "
            f"{record.low / self._norm(record.trait):.2f}) after {record.step} steps, over its limit of "
            f"{self._limits[record.trait]:g}"
            for record in records
            if record.trait in self._limits
            and record.low / self._norm(record.trait) > self._limits[record.trait]
        ]
        changes: dict[str, Any] = {"records": (*self.log.records, *records)}
        if over:
            control.should_training_stop = True
            changes["stopped"] = self.log.stopped or "; ".join(over)
        self.log = self.log.model_copy(update=changes)
        if state.is_world_process_zero:
            self.log.save(Path(args.output_dir) / LOG)
            self._trainer.log({f"shift/{record.trait}": record.share for record in records})

    def _record(self, step: int, trait: str, now: Float[Tensor, "prompts"]) -> ShiftRecord:
        moved = now - torch.tensor(self.log.base[trait], dtype=torch.float64)
        low, high = bootstrap_interval(moved)
        shift = float(moved.mean())
        return ShiftRecord(
            step=step,
            trait=trait,
            layer=self._layers[trait],
            shift=shift,
            low=low,
            high=high,
            share=shift / self._norm(trait),
        )

    def _project(self) -> dict[str, Float[Tensor, "prompts"]]:
        """Every prompt's last token along each trait's unit vector; the same in every process."""
        assert self._model is not None
        model = self._model
        rows = [
            model.chat([{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt)
            for prompt in self._prompts
        ]
        addresses = {trait: f"resid_post.{layer}" for trait, layer in self._layers.items()}
        reads = {address: Read(address, Last("prompt")) for address in addresses.values()}
        readings = model.read(rows, reads)
        return {
            trait: torch.stack(list(readings[address].values)).double().cpu() @ self._unit(trait)
            for trait, address in addresses.items()
        }

    def _unit(self, trait: str) -> Float[Tensor, "d_model"]:
        return self._vectors[trait].direction(self._layers[trait]).unit.double()

    def _norm(self, trait: str) -> float:
        return float(self._vectors[trait].direction(self._layers[trait]).vector.double().norm())


def follow_shift(
    trainer: Trainer,
    tokenizer: Any,
    vectors: Sequence[PersonaVectors],
    prompts: Sequence[Prompt],
    *,
    layers: Mapping[str, int] | None = None,
    limits: Mapping[str, float] | None = None,
    every: int | None = None,
) -> ShiftCallback:
    """Let a trainer log the shift along persona vectors, and stop where it goes too far.

    The trainer logs `shift/TRAIT`, the shift as a share of the vector's norm, to whatever it reports to, and
    `shift.json` in its output folder has every record with its interval over the prompts.

    Args:
        trainer: of transformers or trl, with all weights or an adapter, before its training.
        tokenizer: of the model, with its chat template.
        vectors: made from the model that is tuned.
        prompts: questions or messages that the training does not see; `FEWEST_PROMPTS` at least.
        layers: by trait, where to measure; 0.55 of the depth by default.
        limits: by trait, the share of the vector's norm beyond which the training stops; it does so when the
            whole 95 % interval is beyond it.
        every: measure after so many steps too, and not at checkpoints alone.

    Raises:
        DataError: a trait without vectors, a layer that they lack, or too few prompts.
    """
    callback = ShiftCallback(trainer, tokenizer, vectors, prompts, layers=layers, limits=limits, every=every)
    trainer.add_callback(callback)
    return callback
