"""What splicing a dictionary into the model costs: CE and KL loss recovered, against ablation."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import log_softmax

from mindscope.dictionaries.dictionary import Dictionary
from mindscope.dictionaries.evaluation.splice import Given, ablated, spliced
from mindscope.features import MeasuredTokens
from mindscope.models import Model, Row, Where, make_logits, read_before_head, split_positions

ARMS = ("clean", "spliced", "zero", "mean")
"""The model as it is; with the reconstructions; with zeros; with the mean activations in their place."""


@dataclass(frozen=True, slots=True)
class LossRecovered:
    """Losses in nats a token, and how much of what ablation costs the dictionary saves.

    With CE the mean -log p(next token) and KL the mean KL(clean ‖ arm) of the predictions that are scored:
    ce_recovered = (CE_zero - CE_spliced) / (CE_zero - CE_clean) and
    kl_recovered = 1 - KL_spliced / KL_zero, 1 for a perfect dictionary and 0 for one that writes zeros; with
    `mean` in place of zero for those against mean ablation. None where ablation costs nothing.
    """

    ce_clean: float
    ce_spliced: float
    ce_zero: float
    ce_mean: float
    kl_spliced: float
    kl_zero: float
    kl_mean: float
    ce_recovered: float | None
    kl_recovered: float | None
    ce_recovered_mean: float | None
    kl_recovered_mean: float | None

    @classmethod
    def of(cls, sums: Mapping[str, float]) -> "LossRecovered":
        """From the sums of `loss_sums` over any number of batches."""
        count = sums["predictions"]
        ce = {arm: sums[f"ce_{arm}"] / count for arm in ARMS}
        kl = {arm: sums[f"kl_{arm}"] / count for arm in ARMS[1:]}

        def ce_share(arm: str) -> float | None:
            cost = ce[arm] - ce["clean"]
            return (ce[arm] - ce["spliced"]) / cost if cost > 0 else None

        def kl_share(arm: str) -> float | None:
            return 1 - kl["spliced"] / kl[arm] if kl[arm] > 0 else None

        return cls(
            **{f"ce_{arm}": value for arm, value in ce.items()},
            **{f"kl_{arm}": value for arm, value in kl.items()},
            ce_recovered=ce_share("zero"),
            kl_recovered=kl_share("zero"),
            ce_recovered_mean=ce_share("mean"),
            kl_recovered_mean=kl_share("mean"),
        )


def loss_sums(
    model: Model,
    dictionary: Dictionary,
    rows: Sequence[Row],
    keep: Bool[Tensor, "rows columns"],
    means: Float[Tensor, "d_out"],
    predictions: Where = "all",
    given: Given | None = None,
) -> dict[str, float]:
    """Sums over the predictions of one batch of rows: `predictions`, `ce_ARM` and `kl_ARM`.

    Args:
        model: in which the dictionary is spliced.
        dictionary: whose writes are replaced.
        rows: of the batch.
        keep: where they are replaced, for rows side by side, padded to the right.
        means: what mean ablation writes.
        predictions: those that are scored, of the ones made where something is replaced.
        given: what other models that the dictionary reads have on these rows.
    """
    lengths = torch.tensor([len(row) for row in rows])
    followed = torch.arange(keep.shape[1]) < lengths[:, None] - 1
    made = (keep & followed & MeasuredTokens(predictions).mask(rows)).to(model.device)
    # What the head reads is kept of all arms, predictions x d_model, and read a few predictions at a time: no
    # arm's logits are ever there as a whole.
    states: dict[str, Tensor] = {}
    for arm in ARMS:
        with _arm(arm, model, dictionary, keep, means, given):
            states[arm] = read_before_head(model, rows)[made]
    targets = torch.nn.utils.rnn.pad_sequence([torch.tensor(row.ids) for row in rows], batch_first=True)
    return sum_losses(model, states, targets.to(model.device).roll(-1, dims=1)[made])


@torch.inference_mode()
def sum_losses(
    model: Model,
    states: Mapping[str, Float[Tensor, "predictions d_model"]],
    targets: Int[Tensor, "predictions"],
) -> dict[str, float]:
    """The sums of -log p(target) of each arm, and of KL(clean ‖ arm), from what the head reads in each."""
    sums = {"predictions": float(len(targets))}
    for part in split_positions(model, len(targets)):
        log_clean = torch.zeros(0)
        for arm in ARMS:
            log_p = log_softmax(make_logits(model, states[arm][part]).float(), dim=-1)
            # a number a prediction, added up in float64 on the CPU: some devices have none
            ce = -log_p.gather(1, targets[part, None])
            sums[f"ce_{arm}"] = sums.get(f"ce_{arm}", 0.0) + float(ce.cpu().double().sum())
            if arm == "clean":
                log_clean = log_p
                continue
            kl = log_p.neg_().add_(log_clean).mul_(log_clean.exp()).sum(-1)
            sums[f"kl_{arm}"] = sums.get(f"kl_{arm}", 0.0) + float(kl.cpu().double().sum())
    return {"predictions": sums["predictions"]} | {
        name: sums.get(name, 0.0)
        for name in (*(f"ce_{arm}" for arm in ARMS), *(f"kl_{arm}" for arm in ARMS[1:]))
    }


def _arm(
    arm: str, model: Model, dictionary: Dictionary, keep: Tensor, means: Tensor, given: Given | None
) -> AbstractContextManager[None]:
    match arm:
        case "spliced":
            return spliced(model, dictionary, keep, given)
        case "zero":
            return ablated(model, dictionary, keep)
        case "mean":
            return ablated(model, dictionary, keep, means)
    return nullcontext()
