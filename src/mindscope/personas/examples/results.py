"""What is known of vectors that were made from examples; no torch is needed to read it."""

from mindscope.stats import Estimate, RateEstimate
from mindscope.store import Document


class ExampleStatistics(Document):
    """What is known of vectors that were made from examples, beside `LayerStatistics`.

    Attributes:
        positive, negative: how many examples were used.
        paired: whether they are pairs that answer the same prompts.
        units: how many independent ones: conversations that begin with different questions.
        auroc_low, auroc_high: 95 % interval of the held-out AUROC at every layer, over units.
        shuffled: the 95th percentile of the AUROC with sides drawn at random, at every layer.
        pair_rate: of pairs, how often the positive answer projects higher, at every layer; None without
            pairs.
        length: AUROC of the number of the answer's tokens alone.
        prompt: AUROC of the prompts alone, held out, at the default layer; None where both sides have the
            same prompts, as pairs do.
        notes: what was left out, and what to mind, a line each.
        sources: the files.
    """

    positive: int
    negative: int
    paired: bool
    units: int
    auroc_low: tuple[float, ...]
    auroc_high: tuple[float, ...]
    shuffled: tuple[float, ...]
    pair_rate: tuple[RateEstimate, ...] | None
    length: Estimate
    prompt: Estimate | None
    notes: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    def describe(self) -> tuple[str, ...]:
        """What the vectors were made from and what to mind, a line each."""
        what = (
            f"{self.positive} pairs"
            if self.paired
            else f"{self.positive} examples with and {self.negative} without"
        )
        where = ", ".join(self.sources) or "in memory"
        return (
            f"made from {what} ({self.units} independent questions): {where}",
            *self.notes,
            *self.warnings(),
        )

    def warnings(self) -> tuple[str, ...]:
        """What to mind before the vectors are believed, a line each."""
        lines: list[str] = []
        if self.length.low > 0.5 or self.length.high < 0.5:
            length = self.length
            longer = length.mean > 0.5
            low, mean, high = (
                (length.low, length.mean, length.high)
                if longer
                else (1 - length.high, 1 - length.mean, 1 - length.low)
            )
            lines.append(
                f"answers that show the trait are {'longer' if longer else 'shorter'}: their length alone "
                f"tells the sides apart with an AUROC of {mean:.2f} ({low:.2f} to {high:.2f})"
            )
        if self.prompt is not None and self.prompt.low > 0.5:
            lines.append(
                f"the prompts alone tell the sides apart with an AUROC of {self.prompt.mean:.2f} "
                f"({self.prompt.low:.2f} to {self.prompt.high:.2f}): the vector may be about subjects; give "
                "both sides the same prompts"
            )
        return tuple(lines)
