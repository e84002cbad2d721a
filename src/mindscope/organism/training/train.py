"""Training the organism from scratch: one seed, one corpus program, resumable at every checkpoint."""

import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cross_entropy, pad
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from mindscope.errors import StoreError
from mindscope.organism.corpus.program import END_OF_TEXT, PAD, TURN_END
from mindscope.organism.training.batches import PaddedBatch, step_batches
from mindscope.organism.training.precision import FullMuon, is_fast_in_half
from mindscope.organism.training.recipe import OrganismTrainConfig
from mindscope.store import Run, read_tensors

CHECKPOINT = "checkpoint.safetensors"
UNCOUNTED = -100
RECURRING = 64
FORMER, LAST = "former-restart.safetensors", "last-restart.safetensors"


def new_model(config: OrganismTrainConfig, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Fresh weights in the standard Llama architecture."""
    torch.manual_seed(config.seed)
    vocabulary = tokenizer.get_vocab()
    return LlamaForCausalLM._from_config(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=config.width,
            intermediate_size=config.mlp_width,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            num_key_value_heads=config.heads,
            max_position_embeddings=config.source().context,
            tie_word_embeddings=True,
            pad_token_id=vocabulary[PAD],
            eos_token_id=vocabulary[TURN_END],
            bos_token_id=None,
        ),
        # Rows this short train twice as fast on a CPU without the fused kernel.
        attn_implementation="eager",
    )


def answer_loss(model: LlamaForCausalLM, batch: PaddedBatch, whole: int = 1) -> Float[Tensor, ""]:
    """Cross entropy summed over the tokens to learn; logits are made for those alone.

    Logits are made for a multiple of `whole` tokens, so that shapes recur; what is added counts for nothing.
    """
    hidden = model.model(input_ids=batch.ids).last_hidden_state[:, :-1].flatten(0, 1)
    places = batch.learn[:, 1:].flatten().nonzero()[:, 0]
    missing = -len(places) % whole
    targets = pad(batch.ids[:, 1:].flatten()[places], (0, missing), value=UNCOUNTED)
    logits = model.lm_head(hidden[pad(places, (0, missing))]).float()
    return cross_entropy(logits, targets, reduction="sum", ignore_index=UNCOUNTED)


def train_organism(
    run: Run,
    config: OrganismTrainConfig,
    device: str = "auto",
    progress: Callable[[int, int, str], None] | None = None,
) -> Path:
    """Train, going on from the run's last checkpoint if there is one; the model's folder in the run.

    `progress(step, steps, label)` is called after every step. Weights are saved in bfloat16.
    """
    place = (
        torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if device == "auto"
        else torch.device(device)
    )
    model, tokenizer = train_model(run, config, place, progress)
    return _save_model(model, tokenizer, run.path / "model")


def export_checkpoint(run: Path, config: OrganismTrainConfig) -> Path:
    """The model as a run's last checkpoint has it, written to `checkpoint/` in the run's folder.

    Raises:
        StoreError: the run has no checkpoint yet, or it is of another network.
    """
    if not (run / CHECKPOINT).is_file():
        raise StoreError(f"{run} has no checkpoint yet: let it train for {config.checkpoint_every} steps")
    tokenizer = config.source().tokenizer()
    model = new_model(config, tokenizer)
    weights = {
        name.removeprefix("weight."): tensor
        for name, tensor in read_tensors(run / CHECKPOINT)[0].items()
        if name.startswith("weight.")
    }
    parameters = dict(model.named_parameters())
    if {name: tuple(p.shape) for name, p in parameters.items()} != {
        name: tuple(tensor.shape) for name, tensor in weights.items()
    }:
        raise StoreError(f"the checkpoint in {run} is of another network than its settings say")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(weights[name])
    return _save_model(model, tokenizer, run / "checkpoint")


def _save_model(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> Path:
    model.generation_config.eos_token_id = tokenizer.convert_tokens_to_ids([TURN_END, END_OF_TEXT])
    model.bfloat16().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def train_model(
    run: Run,
    config: OrganismTrainConfig,
    device: torch.device,
    progress: Callable[[int, int, str], None] | None = None,
) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """The training loop of `train`."""
    tokenizer = config.source().tokenizer()
    model = new_model(config, tokenizer)
    torch.nn.Module.to(model, device)  # the stub of the model's own `to` is wrong
    parameters = dict(model.named_parameters())
    half = is_fast_in_half(device, config.width)
    optimizers = _optimizers(parameters, config, half)
    start = 0
    if run.has(CHECKPOINT):
        start = _restore(run.load_tensors(CHECKPOINT), parameters, optimizers)
    model.train()
    whole = RECURRING if config.padded_lengths else 1
    began = time.monotonic()
    for step in range(start, config.steps):
        _average(run, step, parameters, config)
        if step in config.stages:
            _begin_anew(parameters, optimizers)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak_lr"] * _schedule(step, config)
        batches = list(step_batches(config, tokenizer, step))
        total = sum(int(b.learn[:, 1:].sum()) for b in batches)
        loss_sum = 0.0
        for batch in batches:
            batch = PaddedBatch(batch.ids.to(device), batch.learn.to(device))
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=half):
                loss = answer_loss(model, batch, whole) / total
            loss.backward()
            loss_sum += loss.item()
        torch.nn.utils.clip_grad_norm_(parameters.values(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        done = step + 1
        if done % 50 == 0:
            seconds = (time.monotonic() - began) / (done - start)
            run.log(step=done, loss=loss_sum, seconds_per_step=seconds)
        if progress:
            progress(done, config.steps, f"loss {loss_sum:.3f}")
        if done % config.checkpoint_every == 0 or done == config.steps:
            run.save_tensors(CHECKPOINT, _snapshot(done, parameters, optimizers))
    _average(run, config.steps, parameters, config)
    model.eval()
    return model, tokenizer


def _schedule(step: int, config: OrganismTrainConfig) -> float:
    start, rate = [restart for restart in config.restarts if restart[0] <= step][-1]
    end = min([step for step, _ in config.restarts if step > start] + [config.steps])
    cold = start if start in config.stages else 0
    warm = min(1.0, (step - cold + 1) / config.warmup_steps)
    return warm * rate * 0.5 * (1 + math.cos(math.pi * (step - start) / (end - start)))


def _begin_anew(parameters: dict[str, torch.nn.Parameter], optimizers: list[torch.optim.Optimizer]) -> None:
    """Round the weights as they are saved, and forget what the optimizers know of the steps before."""
    with torch.no_grad():
        for weight in parameters.values():
            weight.copy_(weight.bfloat16())
    for optimizer in optimizers:
        optimizer.state.clear()


def _average(
    run: Run, step: int, parameters: dict[str, torch.nn.Parameter], config: OrganismTrainConfig
) -> None:
    """Keep the weights of the last two restarts; blend the former into the last, the last into the end."""
    steps = [restart for restart, _ in config.restarts][1:]
    if not (config.averaged or config.averaged_at_end):
        return
    if len(steps) < 2 or steps[-1] >= config.steps:  # a short training has nothing to average
        return
    if step == steps[-1]:
        _blend_in(run, FORMER, parameters, config.averaged)
    elif step == config.steps:
        _blend_in(run, LAST, parameters, config.averaged_at_end)
    if step in steps[-2:]:
        kept = LAST if step == steps[-1] else FORMER
        run.save_tensors(kept, {name: weight.detach() for name, weight in parameters.items()})


def _blend_in(run: Run, kept: str, parameters: dict[str, torch.nn.Parameter], share: float) -> None:
    earlier = run.load_tensors(kept)
    with torch.no_grad():
        for name, weight in parameters.items():
            weight.lerp_(earlier[name].to(weight.device), share)


def _optimizers(
    parameters: dict[str, torch.nn.Parameter], config: OrganismTrainConfig, half: bool
) -> list[torch.optim.Optimizer]:
    inner = [p for name, p in parameters.items() if p.ndim == 2 and "embed" not in name]
    embeddings = [p for name, p in parameters.items() if p.ndim == 2 and "embed" in name]
    norms = [p for p in parameters.values() if p.ndim == 1]
    rate, decay = config.embedding_learning_rate, config.weight_decay
    muon = (torch.optim.Muon if half else FullMuon)(
        [{"params": inner, "peak_lr": config.learning_rate}],
        weight_decay=decay,
        adjust_lr_fn="match_rms_adamw",
    )
    adam = torch.optim.AdamW(
        [
            {"params": embeddings, "peak_lr": rate, "weight_decay": decay},
            {"params": norms, "peak_lr": rate, "weight_decay": 0.0},
        ],
        betas=(0.9, 0.98),
        fused=True,
    )
    return [muon, adam]


def _snapshot(
    step: int, parameters: dict[str, torch.nn.Parameter], optimizers: list[torch.optim.Optimizer]
) -> dict[str, Tensor]:
    tensors = {"step": torch.tensor(step)}
    for name, parameter in parameters.items():
        tensors[f"weight.{name}"] = parameter.detach()
        for optimizer in optimizers:
            for key, value in optimizer.state.get(parameter, {}).items():
                tensors[f"state.{key}.{name}"] = value
    return tensors


def _restore(
    tensors: dict[str, Tensor],
    parameters: dict[str, torch.nn.Parameter],
    optimizers: list[torch.optim.Optimizer],
) -> int:
    for name, parameter in parameters.items():
        with torch.no_grad():
            parameter.copy_(tensors[f"weight.{name}"])
        owner = next(
            o for o in optimizers for g in o.param_groups if any(p is parameter for p in g["params"])
        )
        owner.state[parameter] = {
            key.split(".")[1]: value.to(parameter.device)
            for key, value in tensors.items()
            if key.startswith("state.") and key.split(".", 2)[2] == name
        }
    return int(tensors["step"])
