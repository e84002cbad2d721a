"""Changed weights on disk, opened again in plain transformers, and held against the steered model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.errors import ModelError
from mindscope.models.baking.weight_changes import WeightChanges, build_skeleton
from mindscope.models.hooks.edits import Edit
from mindscope.models.hooks.read import Read
from mindscope.models.hooks.reduce import Raw
from mindscope.models.loading.loading import DTYPES, quiet_library
from mindscope.models.model import Model
from mindscope.models.tokens.rows import Row


@dataclass(frozen=True)
class LogprobComparison:
    """A checkpoint in plain transformers beside the steered model, on the same texts, in nats.

    Attributes:
        n_tokens: how many positions were compared, at each of them every token of the vocabulary.
        largest: the largest difference of a log-probability.
        rms: the root mean square of the differences.
        steering_rms: what steering changes: the root mean square between steered and unsteered model.
    """

    n_tokens: int
    largest: float
    rms: float
    steering_rms: float


def save_changed(model: Model, changes: WeightChanges, folder: Path, *, precision: str) -> None:
    """Configuration, weights and tokenizer of the changed model, as transformers writes them.

    Weights that do not change and keep their precision are not copied on the way.

    Args:
        model: whose weights these are but for the changes.
        changes: what differs.
        folder: a folder to write into.
        precision: of the weights on disk: float32, bfloat16 or float16.

    Raises:
        ModelError: another precision.
    """
    if precision not in DTYPES:
        raise ModelError(f"unknown precision {precision!r}; use {', '.join(DTYPES)}")
    with quiet_library():
        _assembled(model, changes, DTYPES[precision]).save_pretrained(folder)
        model.tokenizer.save_pretrained(folder)


def open_changed(folder: Path, changes: WeightChanges, device: torch.device) -> Any:
    """The checkpoint as transformers opens it, calculating in float32 with the weights that are on disk.

    Raises:
        ModelError: it lacks weights, or has some that its architecture does not take.
    """
    architecture: Any = changes.architecture
    with quiet_library():
        hf, report = architecture.from_pretrained(folder, dtype="float32", output_loading_info=True)
    if strange := sorted({*report["missing_keys"], *report["unexpected_keys"]}):
        raise ModelError(f"the checkpoint does not hold its architecture's weights: {', '.join(strange[:3])}")
    return hf.to(device).eval()


@torch.no_grad()
def compare_logprobs(
    model: Model, edits: Sequence[Edit], baked: Any, rows: Sequence[Row]
) -> LogprobComparison:
    """Every token's log-probability at every position: `baked`, by itself, beside the model under edits."""
    largest, squares, effects, n_tokens, n_values = 0.0, 0.0, 0.0, 0, 0
    for row in rows:
        ids = torch.tensor([row.ids], device=model.device)
        alone = baked(input_ids=ids, use_cache=False).logits[0].double().log_softmax(-1)
        steered = _logprobs(model, row, edits)
        difference = alone - steered
        largest = max(largest, float(difference.abs().max()))
        squares += float(difference.square().sum())
        effects += float((steered - _logprobs(model, row, [])).square().sum())
        n_tokens, n_values = n_tokens + len(row), n_values + difference.numel()
    return LogprobComparison(n_tokens, largest, (squares / n_values) ** 0.5, (effects / n_values) ** 0.5)


def first_difference(model: Model, edits: Sequence[Edit], baked: Any, row: Row) -> str:
    """The first address of the stream where `baked` and the model under edits differ; else `the logits`."""
    reads = {
        address: Read(address, Raw("all"))
        for address in ("resid_pre.0", *(f"resid_post.{layer}" for layer in range(model.n_layers)))
    }
    alone = Model.wrap(baked, model.tokenizer, name=model.name).read([row], reads)
    steered = model.read([row], reads, edits=list(edits))
    for address in reads:
        wanted = steered[address].values[0]
        if (alone[address].values[0] - wanted).norm() > 1e-3 * wanted.norm():
            return address
    return "the logits"


def _assembled(model: Model, changes: WeightChanges, dtype: torch.dtype) -> Any:
    hf = build_skeleton(changes.architecture, changes.config)
    known = model.hf.state_dict() | changes.tensors
    state = {name: _cast(known[name], dtype) for name in hf.state_dict()}
    hf.load_state_dict(state, strict=True, assign=True)
    hf.tie_weights()
    hf.config.dtype = dtype
    hf.generation_config = model.hf.generation_config
    return hf


def _cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    tensor = tensor.detach().cpu()
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _logprobs(model: Model, row: Row, edits: Sequence[Edit]) -> Float[Tensor, "tokens vocabulary"]:
    with model.edited(list(edits), rows=[row]):
        logits = model.hf(**model.batch([row]), use_cache=False).logits[0]
    return logits.double().log_softmax(-1)
