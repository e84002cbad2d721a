"""TRL's trainer with interventions: guarded, penalised, quiet, and logging into a run."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor
from transformers import PrinterCallback, TrainerCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from mindscope.core import Progress
from mindscope.errors import MindscopeError
from mindscope.finetuning.config import FinetuneConfig
from mindscope.finetuning.examples import IGNORED
from mindscope.finetuning.guard import TrainingGuard
from mindscope.finetuning.plan import TrainingPlan
from mindscope.finetuning.result import CARD, TuningCard
from mindscope.store import Run, write_json


class TrainingFinishedError(Exception):
    """All steps were taken before the process was killed: the last checkpoint is the result.

    The library's trainer would take one step more, as it asks only behind a step whether it was the last.
    """


class InterventionTrainer(SFTTrainer):
    """Trains on answers, with penalties in the loss and a guard on every forward and backward pass."""

    def __init__(
        self,
        plan: TrainingPlan,
        watched: Mapping[str, Tensor],
        guard: TrainingGuard,
        *,
        mixed: bool,
        progress: Progress | None = None,
        **options: Any,
    ) -> None:
        self._plan, self._watched, self._guard, self._mixed = plan, watched, guard, mixed
        self._progress = progress
        self._unproved = True
        super().__init__(**options)
        self.remove_callback(PrinterCallback)
        if isinstance(self.model, PeftModel):
            # Else each save asks the hub whether the base's vocabulary is as it was, and writes a page.
            save = partial(self.model.save_pretrained, save_embedding_layers=False)
            setattr(self.model, "save_pretrained", save)  # noqa: B010  (peft's stub takes no partial)
            setattr(self.model, "create_or_update_model_card", lambda *_: None)  # noqa: B010
            for config in self.model.peft_config.values():
                # The library makes a set of them, whose order is another in every process, and writes it.
                if isinstance(named := getattr(config, "target_modules", None), set):
                    setattr(config, "target_modules", sorted(named))  # noqa: B010

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        if self.state.global_step >= self.state.max_steps:
            raise TrainingFinishedError
        if self._unproved:
            # The library counts tokens from 0 again where a training is taken up.
            counts = [entry["num_tokens"] for entry in self.state.log_history if "num_tokens" in entry]
            self._total_train_tokens = int(counts[-1]) if counts else 0
            batch = self._prepare_inputs(dict(inputs))
            model.train()
            self._say_check(0)
            self._guard.check_effect(self.accelerator.unwrap_model(model), batch)
            self._say_check(1)
            self._unproved = False
        loss = super().training_step(model, inputs, num_items_in_batch)
        self._guard.require()
        if not torch.isfinite(loss):
            raise MindscopeError(
                f"the loss is {loss.item()} after {self.state.global_step} steps; lower the learning rate or "
                "the coefficients"
            )
        return loss

    def _say_check(self, done: int) -> None:
        if self._progress is not None and self._plan.edits:
            self._progress(done, 1, "checking that the interventions arrive")

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        with torch.autocast(self.args.device.type, torch.bfloat16, enabled=self._mixed):
            loss = super().compute_loss(model, inputs, num_items_in_batch=num_items_in_batch)
        if not self._plan.penalties:
            return loss
        learnt = inputs["labels"] != IGNORED
        penalty = torch.zeros((), device=loss.device)
        for term in self._plan.penalties:
            if term.address not in self._watched:
                raise MindscopeError(f"{term.address} did not run, so its projection cannot be penalised")
            penalty = penalty + term.sum(self._watched[term.address], learnt)
        if not penalty.requires_grad:
            raise MindscopeError("the penalty has no gradient: nothing before its layer is trained")
        own = learnt.sum().clamp(min=1)
        self._metrics["train"]["penalty"].append(float(penalty.detach() / own))
        if num_items_in_batch is None:
            return loss + penalty / own
        # As the loss: a mean over the learnt tokens of the whole step, on all processes, which DDP averages.
        return loss + penalty / num_items_in_batch * self.accelerator.num_processes

    def floating_point_ops(self, inputs: Any) -> int:
        """Not counted: the count walks over all modules at every step, and nobody reads it."""
        return 0

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """No page beside the weights; `mindscope.json` says what they are."""


class RunCallback(TrainerCallback):
    """Logs into the run, reports progress, and marks finished checkpoints.

    A checkpoint without its mark was being written when the process was killed.
    """

    def __init__(self, run: Run | None, part: str, card: TuningCard, progress: Progress | None) -> None:
        self._run, self._part, self._card, self._progress = run, part, card, progress
        self.trainer: InterventionTrainer | None = None

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._progress and self._run:
            self._progress(state.global_step, state.max_steps, self._part)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        names = {
            "loss": "loss",
            "learning_rate": "lr",
            "grad_norm": "grad_norm",
            "penalty": "penalty",
            "mean_token_accuracy": "token_accuracy",
            "num_tokens": "tokens",
        }
        kept = {ours: float(logs[theirs]) for theirs, ours in names.items() if theirs in logs}
        if self._run and "loss" in kept:
            self._run.log(part=self._part, step=state.global_step, **kept)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        assert self.trainer is not None
        self.trainer.accelerator.wait_for_everyone()
        if self._run:
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            write_json(folder / CARD, self._card.document(step=state.global_step))


def training_arguments(
    config: FinetuneConfig, folder: Path, device: torch.device, processes: int
) -> SFTConfig:
    """The trainer's settings: ours, quiet, without network or reports."""
    return SFTConfig(
        output_dir=str(folder),
        per_device_train_batch_size=config.batch_rows,
        gradient_accumulation_steps=config.accumulation // processes,
        learning_rate=config.learning_rate,
        lr_scheduler_type=config.schedule,
        warmup_steps=config.warmup_steps,
        weight_decay=config.weight_decay,
        num_train_epochs=config.epochs,
        max_steps=config.steps or -1,
        seed=config.seed,
        data_seed=config.seed,
        optim="adamw_torch",
        use_cpu=device.type == "cpu",
        bf16=False,  # accelerate's setting is global; ours holds for one trainer
        activation_checkpointing=config.checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False} if config.checkpointing else None,
        save_strategy="steps",
        save_steps=config.save_every,
        save_total_limit=config.keep,
        logging_steps=1,
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        router_aux_loss_coef=0.0,  # the loss is of the answers alone, in mixtures of experts too
        max_length=None,
        packing=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        dataloader_pin_memory=device.type == "cuda",
        ddp_find_unused_parameters=False,
    )
