"""What edits really did to the rows of a batch, read back from the passes that they happened in.

At an edited place the activations are taken twice in one pass: before the first write, and as the model goes
on with them. Behind a block that is the input of the next one, so that what is measured is what the model
computed with and not what a hook handed back. Only sums over tokens are kept, on the device.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mindscope.models.hooks.attach import ActivationTap
from mindscope.models.hooks.core import HookedModel
from mindscope.models.tokens.batch import PositionIndex

_PARTS = ("prompt", "answer")


@dataclass(frozen=True, slots=True, eq=False)
class EditEffect:
    """What happened to one row at one address.

    Attributes:
        address: the place.
        n_prompt: how many tokens of the prompt are not what they were without the edits at this place.
        n_answer: the same for the tokens behind the prompt. The newest token of an answer that was cut is not
            among them where no pass saw it.
        prompt_change: `[width]`, the sum over these tokens of what was changed.
        answer_change: the same behind the prompt.
    """

    address: str
    n_prompt: int
    n_answer: int
    prompt_change: Float[Tensor, "width"]
    answer_change: Float[Tensor, "width"]

    def mean_change(self, unit: Float[Tensor, "width"]) -> float | None:
        """How far the changed tokens were moved along a unit vector, on average; None where none was."""
        n_tokens = self.n_prompt + self.n_answer
        if not n_tokens:
            return None
        return ((self.prompt_change + self.answer_change).double() @ unit.double()).item() / n_tokens


class EditGauge:
    """The effects of all edits on the rows of a batch, one line a row."""

    def __init__(self, core: HookedModel, n_rows: int):
        self._core, self._n_rows, self._device = core, n_rows, core.device
        self._counts: dict[str, Int[Tensor, "rows 2"]] = {}
        self._sums: dict[str, Float[Tensor, "rows 2 width"]] = {}
        self._before: dict[str, Tensor] = {}

    def taps(self, addresses: Iterable[str]) -> tuple[list[ActivationTap], list[ActivationTap]]:
        """What hangs before the writes of a pass, and what hangs behind them."""
        before, after = [], []
        for address in addresses:
            place = self._core.place(address)
            before.append(ActivationTap(place, "all", partial(self._keep, address)))
            point, _, layer = address.partition(".")
            if point == "resid_post":
                place = self._core.passed_on_place(int(layer))
            after += [
                ActivationTap(place, part, partial(self._compare, address, index))
                for index, part in enumerate(_PARTS)
            ]
        return before, after

    def of_row(self, row: int) -> tuple[EditEffect, ...]:
        """What happened to a row, at every address that anything was changed at."""
        effects: list[EditEffect] = []
        for address, counts in self._counts.items():
            n_prompt, n_answer = counts[row].tolist()
            if n_prompt or n_answer:
                # A copy: the next row that takes the line writes over it.
                prompt, answer = self._sums[address][row].to("cpu", copy=True)
                effects.append(EditEffect(address, n_prompt, n_answer, prompt, answer))
        return tuple(effects)

    @torch.inference_mode()  # the tables are made in passes, which run in this mode
    def rearrange(self, kept: np.ndarray, n_blank: int) -> None:
        """Keep some rows in a new order, and append blank ones."""
        self._n_rows = len(kept) + n_blank
        for tables in (self._counts, self._sums):
            for address, table in tables.items():
                lines = table[torch.from_numpy(kept).to(table.device)]
                tables[address] = torch.cat([lines, lines.new_zeros(n_blank, *lines.shape[1:])])

    @torch.inference_mode()
    def put(self, rows: np.ndarray, other: "EditGauge") -> None:
        """Let the rows of another batch take the places of these."""
        for address in other._counts.keys() | self._counts.keys():
            if address in other._counts:
                self._require(address, other._sums[address].shape[-1])
            for tables, new in ((self._counts, other._counts), (self._sums, other._sums)):
                lines = torch.from_numpy(rows).to(tables[address].device)
                tables[address][lines] = new.get(address, tables[address].new_zeros(()))

    def forget(self) -> None:
        """Let go what a pass that did not come to its end has left."""
        self._before.clear()

    def _keep(self, address: str, _: PositionIndex, hidden: Tensor) -> None:
        self._before[address] = hidden

    def _compare(self, address: str, part: int, chosen: PositionIndex, hidden: Tensor) -> None:
        self._require(address, hidden.shape[-1])
        # Rows x columns x width. A row without edits differs by nothing.
        change = (hidden - self._before[address].to(hidden.device)).float()
        if not chosen.whole:
            change = torch.where(chosen.flags(hidden.device).unsqueeze(-1), change, 0)
        changed = change.any(-1)
        # A pass of one token a row, as most are, has nothing to sum.
        if change.shape[1] == 1:
            n_changed, change = changed[:, 0], change[:, 0]
        else:
            n_changed, change = changed.sum(1), change.sum(1)
        self._counts[address].select(1, part).add_(n_changed.to(self._device))
        self._sums[address].select(1, part).add_(change.to(self._device))

    def _require(self, address: str, width: int) -> None:
        """Have tables for a place."""
        if address not in self._counts:
            self._counts[address] = torch.zeros(
                self._n_rows, len(_PARTS), dtype=torch.long, device=self._device
            )
            self._sums[address] = torch.zeros(
                self._n_rows, len(_PARTS), width, dtype=torch.float32, device=self._device
            )
