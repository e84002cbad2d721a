"""What splicing a dictionary into the model costs: CE and KL loss recovered, against ablation."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax

from mindscope.dictionaries.dictionary import Dictionary
from mindscope.dictionaries.evaluation.rows import MeasuredTokens
from mindscope.dictionaries.evaluation.splice import Given, ablated, spliced
from mindscope.models import Model, Row, Where

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
    tokens: MeasuredTokens,
    means: Float[Tensor, "d_out"],
    predictions: Where = "all",
    given: Given | None = None,
) -> dict[str, float]:
    """Sums over the predictions of one batch of rows: `predictions`, `ce_ARM` and `kl_ARM`.

    Args:
        model: in which the dictionary is spliced.
        dictionary: whose writes are replaced.
        rows: of the batch.
        tokens: where they are replaced.
        means: what mean ablation writes.
        predictions: those that are scored, of the ones made where something is replaced.
        given: what other models that the dictionary reads have on these rows.
    """
    keep = tokens.mask(rows)
    lengths = torch.tensor([len(row) for row in rows])
    followed = torch.arange(keep.shape[1]) < lengths[:, None] - 1
    made = keep & followed & MeasuredTokens(predictions).mask(rows)
    batch = model.batch(rows)
    targets = batch["input_ids"].roll(-1, dims=1)[made.to(model.device)]
    sums: dict[str, float] = {"predictions": float(made.sum())}
    clean = torch.zeros(0)
    for arm in ARMS:
        with torch.inference_mode(), _arm(arm, model, dictionary, keep, means, given):
            logits = model.hf(**batch, use_cache=False).logits[made.to(model.device)].float()
        sums[f"ce_{arm}"] = float(cross_entropy(logits, targets, reduction="none").double().sum())
        log_p = log_softmax(logits, dim=-1)
        if arm == "clean":
            clean = log_p
        else:
            sums[f"kl_{arm}"] = float((clean.exp() * (clean - log_p)).sum(-1).double().sum())
    return sums


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
