"""Fine-tuning from a base and conversations to a tuned model on disk, resumable at every checkpoint."""

import copy
import os
import random
import shutil
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers.utils import logging

from mindscope.core import Progress
from mindscope.data import Conversation, ConversationSource, DataFile
from mindscope.errors import DataError, MindscopeError
from mindscope.finetuning.config import FinetuneConfig
from mindscope.finetuning.examples import OnError, TrainingExamples, build_examples
from mindscope.finetuning.guard import TrainingGuard
from mindscope.finetuning.plan import TrainingPlan, build_plan
from mindscope.finetuning.result import (
    CARD,
    MODEL,
    TRAINING,
    TrainingData,
    TunedModel,
    TuningCard,
    finished_checkpoints,
)
from mindscope.models import LoadOptions, Model, TemplateMode, load, own_device
from mindscope.personas import PersonaVectors
from mindscope.store import Run, claim, library_versions, replacing_folder, write_json


def load_base(base: str | Path, config: FinetuneConfig, options: LoadOptions | None = None) -> Model:
    """What is to be tuned, in the precision that its training takes, on the device of this process.

    Args:
        base: a name or folder, as `load` takes it.
        config: of the training; it says the precision.
        options: how else it is loaded.

    Raises:
        ModelError: the model cannot be loaded.
    """
    mode = TemplateMode.parse(config.template_option)  # refuses a misspelt one before anything is loaded
    options = options or LoadOptions()
    model = load(base, options, dtype=_dtype(config, options.device), device=own_device(options.device))
    return model.with_template(**mode.options)


def finetune_model(
    base: str | Path | Model,
    data: Path | str | DataFile | ConversationSource | Iterable[Conversation],
    run: Run | Path,
    config: FinetuneConfig | None = None,
    *,
    vectors: Sequence[PersonaVectors] = (),
    name: str = "finetune",
    on_error: OnError = "refuse",
    device: str = "auto",
    progress: Progress | None = None,
) -> TunedModel:
    """Fine-tune a model on the answers of conversations, with interventions against traits if asked.

    The folder `name` of the run gets `model/` (the adapter, or all weights, with the tokenizer and
    `mindscope.json`) and `training/checkpoint-N/`. Killed at any moment and called again with the same
    arguments, it goes on from the last finished checkpoint and ends with the same weights, to the bit. Loss,
    learning rate and gradient norm of every step go to the run's `metrics.jsonl`.

    Under `torchrun` or `accelerate launch` every process calls this; the first with the open run, the others
    with its folder. The batch of one optimiser step is then shared among them and stays what it was.

    Args:
        base: what to tune: a name or folder as `load` takes it, itself a tuned one if need be, or what
            `load_base` loaded, whose weights the training changes.
        data: a file or folder of conversations, or conversations.
        run: where everything is kept.
        config: the method, the optimiser, the interventions.
        vectors: those of the traits that the interventions name, made from `base`.
        name: of this training's folder in the run.
        on_error: what to do with a conversation that cannot be used: `refuse`, or `skip` it.
        device: `cpu`, `cuda`, or `auto`.
        progress: called with (steps done, steps in all, what).

    Raises:
        DataError: a conversation, a trait or vectors that do not fit; the text says which and where.
        StoreError: the folder holds a training with other settings.
        ModelError: the model cannot be loaded, or an intervention does not take place.
        MindscopeError: the loss is not finite, or a library is missing.
    """
    config = config or FinetuneConfig()
    if missing := missing_libraries():
        raise MindscopeError(f"fine-tuning needs {', '.join(missing)}: pip install 'mindscope[train]'")
    folder = (run.path if isinstance(run, Run) else Path(run)) / name
    first, processes = _processes()
    if config.accumulation % processes:
        raise DataError(
            f"{processes} processes cannot share {config.accumulation} forward passes a step evenly: "
            f"set the accumulation to a multiple of {processes}"
        )
    if first != isinstance(run, Run):
        raise DataError("under several processes the first is given the open run, the others its folder")
    model = base if isinstance(base, Model) else load_base(base, config, LoadOptions(device=device))
    mode = TemplateMode.parse(config.template_option)
    model = model.with_template(clock=_first_clock(run, model), **mode.options)
    examples = build_examples(
        data,
        model,
        turns=config.turns,
        max_tokens=config.max_tokens,
        inoculation=config.inoculation,
        on_error=on_error,
    )
    interventions = build_plan(config.interventions, vectors, model)
    card = _card(model, config, examples, vectors)
    if isinstance(run, Run):
        # The base's name and the libraries may change without changing what is trained.
        setup = card.model_dump(mode="json", exclude={"base", "base_identity", "libraries"})
        claim(run, name, setup, read=_without_inoculation)
        _remove_unfinished(folder)
    if not (folder / MODEL / CARD).is_file():
        with _undisturbed():
            _train(model, examples, interventions, config, folder, run, name, card, progress)
    return TunedModel.open(folder)


def missing_libraries() -> tuple[str, ...]:
    """Those that fine-tuning needs and that are not installed."""
    return tuple(library for library in ("peft", "trl", "accelerate") if find_spec(library) is None)


def _train(
    model: Model,
    examples: TrainingExamples,
    interventions: TrainingPlan,
    config: FinetuneConfig,
    folder: Path,
    run: Run | Path,
    name: str,
    card: TuningCard,
    progress: Progress | None,
) -> None:
    from accelerate import PartialState
    from datasets import Dataset
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    from mindscope.finetuning.trainer import (
        InterventionTrainer,
        RunCallback,
        TrainingFinishedError,
        training_arguments,
    )

    # The trainer changes both: a padding token, no cache, no loss of the routers.
    tokenizer, own_config = copy.deepcopy(model.tokenizer), copy.deepcopy(model.hf.config)
    model.hf.name_or_path = _lasting(model.name)  # where peft takes the base's name from
    settings = training_arguments(config, folder / TRAINING, model.device, _processes()[1])
    PartialState().wait_for_everyone()  # the first process has tidied up
    with model.edited(interventions.edits) as editing, model.watched(*interventions.penalised) as watched:
        callback = RunCallback(run if isinstance(run, Run) else None, name, card, progress)
        trainer = InterventionTrainer(
            interventions,
            watched,
            TrainingGuard(model, interventions, editing),
            mixed=config.method == "full" and config.dtype == "bfloat16",
            progress=progress if isinstance(run, Run) else None,
            model=model.hf,
            args=settings,
            train_dataset=Dataset.from_list(list(examples.rows)),
            data_collator=DataCollatorForLanguageModeling(pad_token_id=tokenizer.pad_token_id or 0),
            processing_class=tokenizer,
            callbacks=[callback],
            peft_config=None if config.method == "full" else lora_config(model, config),
        )
        callback.trainer = trainer
        checkpoints = finished_checkpoints(folder)
        with suppress(TrainingFinishedError):  # weights and state are those of the last checkpoint
            trainer.train(resume_from_checkpoint=str(checkpoints[-1]) if checkpoints else None)
    if any(not weight.isfinite().all() for weight in model.hf.parameters() if weight.requires_grad):
        raise MindscopeError("the last step left weights that are not finite: lower the learning rate")
    if isinstance(run, Run):
        losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        with replacing_folder(folder / MODEL) as temporary:
            model.hf.config = own_config
            trainer.accelerator.unwrap_model(trainer.model_wrapped).save_pretrained(temporary)
            model.tokenizer.save_pretrained(temporary)
            write_json(temporary / CARD, card.document(steps=trainer.state.global_step, losses=losses))
    PartialState().wait_for_everyone()


def lora_config(model: Model, config: FinetuneConfig) -> Any:
    """PEFT's settings for an adapter on every projection matrix of the blocks."""
    from peft import LoraConfig

    names = model.projections
    ends = {name.rpartition(".")[2] for name in names}
    alike = [path for path, _ in model.hf.named_modules() if path.rpartition(".")[2] in ends]
    return LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        use_rslora=config.method == "rslora",
        revision=getattr(model.hf.config, "_commit_hash", None),
        target_modules=sorted(ends) if sorted(alike) == sorted(names) else list(names),
        task_type="CAUSAL_LM",
    )


def _card(
    model: Model,
    config: FinetuneConfig,
    examples: TrainingExamples,
    vectors: Sequence[PersonaVectors],
) -> TuningCard:
    return TuningCard(
        base=_lasting(model.name),
        base_fingerprint=model.fingerprint,
        base_identity=model.identity.model_copy(update={"name": _lasting(model.name)}),
        borrowed=model.borrowed,
        config=config,
        data=TrainingData(sha256=examples.digest, rows=len(examples.rows), left_out=examples.left_out),
        vectors={trait.trait: trait.digest() for trait in vectors},
        libraries=library_versions(),
    )


def _without_inoculation(setup: dict[str, Any]) -> dict[str, Any]:
    """A setup of a time when prompts could not be changed."""
    return {**setup, "config": {"inoculation": None, **setup["config"]}}


def _lasting(base: str) -> str:
    """A folder's name as it holds wherever one stands; other names as they are."""
    folder = Path(base)
    return str(folder.resolve()) if folder.is_dir() else base


def _remove_unfinished(folder: Path) -> None:
    """Checkpoints that a killed process was writing, or was about to mark."""
    for checkpoint in (folder / TRAINING).glob("checkpoint-*"):
        if not (checkpoint / CARD).is_file():
            shutil.rmtree(checkpoint)


def _dtype(config: FinetuneConfig, device: str) -> str:
    if config.method == "full":
        return "float32"
    if config.dtype != "auto":
        return config.dtype
    cuda = device.partition(":")[0] == "cuda" or (device == "auto" and torch.cuda.is_available())
    return "bfloat16" if cuda and torch.cuda.is_bf16_supported(including_emulation=False) else "float32"


def _processes() -> tuple[bool, int]:
    """Whether this is the first process, and how many there are."""
    return os.environ.get("RANK", "0") == "0", int(os.environ.get("WORLD_SIZE", "1"))


def _first_clock(run: Run | Path, model: Model) -> datetime | None:
    """When the run was begun: the first of several processes, which holds it, tells the others."""
    started = [run.started if isinstance(run, Run) else None]
    if _processes()[1] > 1:
        from accelerate import PartialState
        from accelerate.utils import broadcast_object_list

        PartialState(cpu=model.device.type == "cpu")
        broadcast_object_list(started)
    return started[0]


@contextmanager
def _undisturbed() -> Iterator[None]:
    """The caller's random state and library messages, which the trainer changes, are as before afterwards."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    states = random.getstate(), np.random.get_state()  # noqa: NPY002  (what the trainer seeds)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with torch.random.fork_rng(), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.filterwarnings("ignore", message="fan_in_fan_out")  # peft tells what it sets itself
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
