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
from mindscope.models import Model, Row, Where

ARMS = ("clean", "spliced", "zero", "mean")
"""The model as it is; with the reconstructions; with zeros; with the mean activations in their place."""
LOGITS_OF_A_PASS = 2**28
"""About how many logits a pass may give out: half a gigabyte in bfloat16. They decide how many tokens a pass
takes where the vocabulary is large (1,024 with Gemma's)."""
LOGITS_AT_ONCE = 2**25
"""How many logits are in float32 at a time, while losses are computed of them."""


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


def count_pass_tokens(model: Model) -> int:
    """How many tokens of rows side by side a pass takes that gives out logits for all of them."""
    return min(model.pass_tokens, max(1, LOGITS_OF_A_PASS // model.engine.vocab_size))


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
    batch = model.batch(rows)
    targets = batch["input_ids"].roll(-1, dims=1)[made]
    sums: dict[str, float] = {"predictions": float(made.sum())}
    clean = torch.zeros(0)
    for arm in ARMS:
        with torch.inference_mode(), _arm(arm, model, dictionary, keep, means, given):
            logits = model.hf(**batch, use_cache=False).logits[made]
        if arm == "clean":
            clean = logits
        sums[f"ce_{arm}"], kl = _losses(logits, clean, targets)
        if arm != "clean":
            sums[f"kl_{arm}"] = kl
    return sums


def _losses(
    logits: Float[Tensor, "predictions vocabulary"],
    clean: Float[Tensor, "predictions vocabulary"],
    targets: Int[Tensor, "predictions"],
) -> tuple[float, float]:
    """The sums of -log p(target), and of KL(clean ‖ logits), in pieces that bound the memory."""
    ce = kl = 0.0
    size = max(1, LOGITS_AT_ONCE // logits.shape[1])
    for part, of_clean, target in zip(
        logits.split(size), clean.split(size), targets.split(size), strict=True
    ):
        log_p, log_clean = (log_softmax(piece.float(), dim=-1) for piece in (part, of_clean))
        # a number a prediction, added up in float64 on the CPU: some devices have none
        ce -= float(log_p.gather(1, target[:, None]).cpu().double().sum())
        kl += float(log_clean.exp().mul_(log_clean.sub_(log_p)).sum(-1).cpu().double().sum())
    return ce, kl


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
