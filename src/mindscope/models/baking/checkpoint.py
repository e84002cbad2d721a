"""A checkpoint with edits in its weights: written, opened in plain transformers, held against the edits."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.errors import ModelError
from mindscope.models.baking.comparison import BakedCheckpoint, BakedComparison
from mindscope.models.baking.weight_changes import WeightChanges, build_skeleton, change_weights
from mindscope.models.hooks.edits import Edit
from mindscope.models.hooks.read import Read
from mindscope.models.hooks.reduce import Raw
from mindscope.models.loading.loading import DTYPES, quiet_library
from mindscope.models.loading.tuning_card import CARD, SCHEMA
from mindscope.models.model import Model
from mindscope.models.tokens.rows import Row
from mindscope.store import replacing_folder, write_json


def bake_checkpoint(
    model: Model,
    edits: Sequence[Edit],
    folder: Path,
    rows: Sequence[Row],
    *,
    precision: str = "float32",
    card: Mapping[str, Any] | None = None,
) -> BakedCheckpoint:
    """Write a checkpoint that does what edits do, once it is seen to do it.

    The folder is one like any other: transformers opens it, and so does a server that reads the
    architecture's biases. It appears after the comparison, whole or not at all, and replaces one that is there.

    Args:
        model: unsteered, in float32.
        edits: see `change_weights`.
        folder: where the checkpoint goes.
        rows: texts on which it is compared with the steered model.
        precision: of the weights on disk: float32, bfloat16 or float16.
        card: what else its `mindscope.json` says, beside the base.

    Raises:
        ModelError: the weights cannot hold the edits, or the checkpoint does something else.
    """
    if precision not in DTYPES:
        raise ModelError(f"unknown precision {precision!r}; use {', '.join(DTYPES)}")
    if not rows:
        raise ModelError("give at least one text to compare the checkpoint with the steered model on")
    changes = change_weights(model, edits)
    with replacing_folder(folder) as temporary:
        with quiet_library():
            hf = _assembled(model, changes, DTYPES[precision])
            hf.save_pretrained(temporary)
            del hf
            model.tokenizer.save_pretrained(temporary)
            baked = _opened(temporary, changes).to(model.device)
        comparison = _compare(model, edits, baked, rows, precision)
        if not comparison.equal:
            raise ModelError(_what_differs(model, edits, baked, rows[0], comparison))
        base = model.identity
        written = {"base": model.name, "base_fingerprint": base.fingerprint, "baked": list(changes.sentences)}
        identity = base.model_dump(mode="json")
        write_json(temporary / CARD, {"schema": SCHEMA, **written, "base_identity": identity, **(card or {})})
    return BakedCheckpoint(
        folder=str(folder),
        architecture=changes.architecture.__name__,
        changes=changes.sentences,
        comparison=comparison,
    )


def _assembled(model: Model, changes: WeightChanges, dtype: torch.dtype) -> Any:
    """The changed model on the CPU; weights that did not change and keep their precision are shared."""
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


def _opened(folder: Path, changes: WeightChanges) -> Any:
    """The checkpoint as transformers opens it, calculating in float32 with the weights that are on disk."""
    architecture: Any = changes.architecture
    hf, report = architecture.from_pretrained(folder, dtype="float32", output_loading_info=True)
    if strange := sorted({*report["missing_keys"], *report["unexpected_keys"]}):
        raise ModelError(f"the checkpoint does not hold its architecture's weights: {', '.join(strange[:3])}")
    return hf.eval()


@torch.no_grad()
def _compare(
    model: Model, edits: Sequence[Edit], baked: Any, rows: Sequence[Row], precision: str
) -> BakedComparison:
    """Every token's log-probability at every position, in plain transformers beside the steered model."""
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
    return BakedComparison(
        texts=len(rows),
        tokens=n_tokens,
        largest=largest,
        rms=(squares / n_values) ** 0.5,
        steering_rms=(effects / n_values) ** 0.5,
        precision=precision,
    )


def _logprobs(model: Model, row: Row, edits: Sequence[Edit]) -> Float[Tensor, "tokens vocabulary"]:
    with model.edited(list(edits), rows=[row]):
        logits = model.hf(**model.batch([row]), use_cache=False).logits[0]
    return logits.double().log_softmax(-1)


def _what_differs(
    model: Model, edits: Sequence[Edit], baked: Any, row: Row, comparison: BakedComparison
) -> str:
    """The refusal of a checkpoint that does something else, with the first place where it does."""
    reads = {
        address: Read(address, Raw("all"))
        for address in ("resid_pre.0", *(f"resid_post.{layer}" for layer in range(model.n_layers)))
    }
    alone = Model.wrap(baked, model.tokenizer, name=model.name).read([row], reads)
    steered = model.read([row], reads, edits=list(edits))
    first = "the logits"
    for address in reads:
        wanted = steered[address].values[0]
        if (alone[address].values[0] - wanted).norm() > 1e-3 * wanted.norm():
            first = address
            break
    return (
        f"{model.name} ({model.architecture}) cannot hold these edits: with them in its weights "
        f"log-probabilities differ from the steered model's by up to {comparison.largest:.2g} nats, first at "
        f"{first}, where the architecture computes with more than what is written to the "
        "stream; steer at run time"
    )
