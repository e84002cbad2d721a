"""Making sure that interventions happen: on the first step by what arrives, on every step by their hooks."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.errors import ModelError
from mindscope.finetuning.plan import TrainingPlan
from mindscope.models import ActiveEdits, Edit, Model

Batch = Mapping[str, Tensor]


class TrainingGuard:
    """Stops a training whose interventions do not take place.

    A hook can miss: it hangs on a module that no longer runs, on another than the one meant, or it is taken
    off between forward and backward, which under activation checkpointing gives wrong gradients in silence.
    """

    def __init__(self, model: Model, plan: TrainingPlan, editing: ActiveEdits) -> None:
        self._model, self._plan, self._editing = model, plan, editing

    def check_effect(self, trained: torch.nn.Module, batch: Batch) -> None:
        """On a batch of the training, compare what the model computes with and without the edits.

        Each layer's edits are switched on alone, and what the next block takes in must have changed by what
        they ask for, computed here in float64 from what it takes in without them. With all edits on, the
        loss must change. The random state is left as it was.

        Args:
            trained: what the trainer trains, without the wrapper of multi-process training.
            batch: `input_ids`, `attention_mask` and `labels`.

        Raises:
            ModelError: an edit is missing, is made elsewhere or otherwise, or changes nothing.
        """
        if not self._plan.edits:
            return
        passed_on = {address: address.replace("resid_post", "passed_on") for address in self._plan.edited}
        real = batch["attention_mask"].bool()
        with torch.no_grad(), self._model.watched(*passed_on.values()) as seen:
            with self._editing.only():
                without = self._loss(trained, batch)
                plain = dict(seen)
            for address, name in passed_on.items():
                seen.clear()
                with self._editing.only(address):
                    self._loss(trained, batch)
                if name not in seen or name not in plain:
                    raise ModelError(f"the block behind {address} does not run in the model that is trained")
                edits = [edit for edit in self._plan.edits if edit.address == address]
                _require_edit(address, edits, plain[name][real], seen[name][real])
            changed = self._loss(trained, batch)
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
    """Raises ModelError unless `seen` is `plain` with the edits, to within half of what they change."""
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
