"""Making sure that interventions happen: on the first step by what arrives, on every step by their hooks."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.errors import ModelError
from mindscope.finetuning.plan import TrainingPlan
from mindscope.models import ActiveEdits, Edit, Model

Batch = Mapping[str, Tensor]
CHECKED_ROWS = 2
"""Conversations of the first batch that the check looks at: whether an edit arrives shows on any token, and
the loss of a whole batch, with its logits, would take more memory than a step of the training."""


class TrainingGuard:
    """Stops a training whose interventions do not take place.

    A hook can miss: it hangs on a module that no longer runs, on another than the one meant, or it is taken
    off between forward and backward, which under activation checkpointing gives wrong gradients in silence.
    """

    def __init__(self, model: Model, plan: TrainingPlan, editing: ActiveEdits) -> None:
        self._model, self._plan, self._editing = model, plan, editing

    def check_effect(self, trained: torch.nn.Module, batch: Batch) -> None:
        """On some rows of a batch of the training, compare what arrives with what the edits ask for.

        One pass with all edits: what the block behind each address takes in must be what came to the address
        with its edits, computed here in float64. One pass without: its loss must be another. The random state
        is left as it was.

        Args:
            trained: what the trainer trains, without the wrapper of multi-process training.
            batch: `input_ids`, `attention_mask` and `labels`.

        Raises:
            ModelError: an edit is missing, is made elsewhere or otherwise, or changes nothing.
        """
        if not self._plan.edits:
            return
        some = {name: values[:CHECKED_ROWS] for name, values in batch.items()}
        passed_on = {address: address.replace("resid_post", "passed_on") for address in self._plan.edited}
        real = some["attention_mask"].bool()
        with torch.no_grad():
            with self._model.watched(*passed_on.values()) as seen, self._editing.before() as before:
                changed = self._loss(trained, some)
                arrived, came = dict(seen), dict(before)
            with self._editing.only():
                without = self._loss(trained, some)
        for address, name in passed_on.items():
            if name not in arrived:
                raise ModelError(f"the block behind {address} does not run in the model that is trained")
            if address not in came:
                raise ModelError(
                    f"the edit at {address} does not reach the block behind it: its module does not run; "
                    "training is stopped"
                )
            edits = [edit for edit in self._plan.edits if edit.address == address]
            _require_edit(address, edits, came[address][real], arrived[name][real])
        self._editing.require()
        if without == changed:
            raise ModelError(
                "the interventions do not change the loss of the first batch, so training would go on "
                "without them; raise the coefficient, or give vectors made from this model"
            )

    def require(self) -> None:
        """After a backward pass: every edit was made in its forward pass and still hangs on the model."""
        self._editing.require()

    def _loss(self, trained: torch.nn.Module, batch: Batch) -> float:
        devices = [batch["input_ids"].device] if batch["input_ids"].is_cuda else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(0)  # dropout must not pass for an effect
            return float(trained(**batch).loss)


def _require_edit(
    address: str,
    edits: Sequence[Edit],
    plain: Float[Tensor, "tokens width"],
    seen: Float[Tensor, "tokens width"],
) -> None:
    """Raises ModelError unless `seen` is `plain` with the edits, to within half of what they change.

    Half, because in a half precision a small edit of large activations is rounded coarsely.
    """
    asked = plain.double()
    for edit in edits:
        vector = edit.vector.to(plain.device).double()
        if edit.op == "add":
            asked = asked + edit.value * vector
        else:
            unit = vector / vector.norm()
            asked = asked - (asked @ unit)[:, None] * unit
    change, error = (asked - plain.double()).norm(), (asked - seen.double()).norm()
    if not error <= 0.5 * change:
        raise ModelError(
            f"the edit at {address} does not reach the block behind it: it should change the activations by "
            f"{float(change):.3g} and is off by {float(error):.3g}; training is stopped"
        )
