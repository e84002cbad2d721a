"""The page of a screening: data sets against ordinary ones, and the samples that score highest."""

import numpy as np

from mindscope.reports import CurveLine, Report, TokenHeat, lines_with_bands
from mindscope.screening.results import COLUMNS, RankedSample, ScreeningResult, TraitScreening, trait_rows

FORMS = {
    "exact": "the base model's own answer to the same prompt",
    "prompt": "the prompt's last token",
    "sample": "the mean of the base model's own answers to a random subsample of the prompts",
}
LEAST_BINS, BINS = 5, 40
SHOWN_IN_TABLE = 60


def screening_report(
    screening: ScreeningResult, dp: np.ndarray, reference: np.ndarray | None, model: str, note: str = ""
) -> Report:
    """A page of its own.

    Args:
        screening: the results.
        dp: `[samples, traits]` of the data.
        reference: `[samples, traits]` of the ordinary samples, if there are any.
        model: the name to show.
        note: said at the top.
    """
    report = Report(f"Screening: {screening.data}", f"{screening.samples} samples along persona vectors")
    if note:
        report.note(note)
    report.section(
        "The data set",
        "The projection difference dP of a sample is how much further its answer lies along a persona vector "
        f"than {FORMS[screening.config.form]}, in units of the activations. Intervals are 95 % bootstrap "
        "intervals over the samples.",
    )
    report.table(
        COLUMNS,
        trait_rows(screening.traits),
        "Among random: the share of 200 random directions of the same layer that lie below the trait.",
    )
    if screening.reference is None:
        report.note(
            f"No ordinary data set was given, so the threshold is the {screening.config.percentile:g}th "
            "percentile of this data itself. It ranks; that something lies above it shows nothing."
        )
    if screening.left_out:
        report.note(
            f"{screening.left_out} rows could not be read and were left out. The first: "
            f"{screening.left_out_first[0]}"
        )
    for index, trait in enumerate(screening.traits):
        _add_trait(report, screening, trait, dp[:, index], None if reference is None else reference[:, index])
    return _add_provenance(report, screening, model)


def _add_trait(
    report: Report,
    screening: ScreeningResult,
    trait: TraitScreening,
    dp: np.ndarray,
    reference: np.ndarray | None,
) -> None:
    report.section(
        trait.trait,
        f"Layer {trait.layer}. {trait.flagged} of {screening.samples} samples lie above the threshold"
        + (f" of {trait.threshold:.3g}." if trait.threshold is not None else ".")
        + (f" {trait.unscored} have no score: the base model said nothing." if trait.unscored else ""),
    )
    if trait.control is not None:
        report.text(f"{trait.control}.")
    if np.isfinite(dp).any():
        report.figure(
            _distribution(dp, reference, trait.threshold),
            "How the samples' dP is distributed. The dotted line is the threshold.",
        )
    rows = [
        [
            sample.row,
            sample.line,
            sample.id,
            sample.dp,
            sample.raw,
            sample.percentile,
            f"{sample.turn} of {sample.turns}",
        ]
        for sample in trait.ranked[:SHOWN_IN_TABLE]
    ]
    if rows:
        columns = ["row", "line", "id", "dP", "raw", "percentile", "turn"]
        report.table(columns, rows, "The samples that score highest, with the turn that decides.")
        report.heats(
            [_heat(sample, trait.ordinary or 0.0) for sample in trait.ranked],
            "Their text. A token's share in the score is its projection minus the baseline, and the score is "
            "the mean of them; the shade says how far a token lies above or below the score of an ordinary "
            "sample.",
        )


def _heat(ranked: RankedSample, ordinary: float) -> TokenHeat:
    notes = [] if ranked.own is None else [f"The model's own answer: {ranked.own.strip() or '(nothing)'}"]
    place = f"row {ranked.row}" + (f", {ranked.id}" if ranked.id else "")
    return TokenHeat(
        ranked.question,
        [(text, value - ordinary) for text, value in zip(ranked.tokens, ranked.heat, strict=True)],
        label=f"{place}, dP {ranked.dp:.3g}",
        note=" ".join(notes),
    )


def _distribution(dp: np.ndarray, reference: np.ndarray | None, threshold: float | None):
    """Shares of samples by dP; few samples have few bins (2 n^(1/3), Rice's rule), or all would be noise."""
    series = {"data": dp[np.isfinite(dp)]}
    if reference is not None:
        series["reference"] = reference[np.isfinite(reference)]
    together = np.concatenate(list(series.values()))
    fewest = min(len(values) for values in series.values() if len(values))
    edges = np.histogram_bin_edges(together, min(BINS, max(LEAST_BINS, round(2 * fewest ** (1 / 3)))))
    lines: list[CurveLine] = []
    for name, values in series.items():
        share = np.histogram(values, edges)[0] / max(1, len(values)) * 100
        lines.append(CurveLine(name, share, baseline=name == "reference"))
    return lines_with_bands(lines, list((edges[:-1] + edges[1:]) / 2), "dP", "% of samples", mark=threshold)


def _add_provenance(report: Report, screening: ScreeningResult, model: str) -> Report:
    report.section("Where this comes from")
    config = screening.config
    return report.facts(
        {
            "model": model,
            "fingerprint of the model": screening.fingerprint,
            "data": screening.data,
            "sha256 of the data": screening.data_digest,
            "thresholds from": screening.reference or "the data itself",
            "compared with": FORMS[config.form],
            "conversations scored by": f"the {config.turns} of their turns",
            "turns": screening.turns,
            "rows through the model": screening.passes,
            "tokens of an own answer, at most": config.max_new_tokens,
            "seed": config.seed,
        }
    )
