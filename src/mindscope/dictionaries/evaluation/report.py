"""The page of an evaluation: one table, and figures over the sweep of sparsities."""

from collections.abc import Mapping, Sequence
from typing import Any

from mindscope.dictionaries.evaluation.ablation import UNRELIABLE
from mindscope.dictionaries.evaluation.recovered import LossRecovered
from mindscope.dictionaries.evaluation.results import DictionaryEvaluation
from mindscope.reports import Report, ScatterPoints, scatter

FORMULAS = (
    "CE recovered is (CE zero − CE spliced) / (CE zero − CE clean): 1 where the dictionary in the model's "
    "place costs nothing, 0 where it is as bad as zeros. KL recovered is 1 − KL(clean ‖ spliced) / KL(clean "
    "‖ zero). “(mean)” compares with mean activations instead of zeros, which is harder. Explained variance "
    "is 1 − mean squared error / mean squared distance from the mean. Dead latents were silent on all "
    "tokens, dense ones active on more than a tenth. Outliers are attention sinks and massive activations, "
    "more than 10 times as long as the median token: they are not replaced, and counted only where the table "
    "says so."
)


def evaluation_report(
    results: Sequence[DictionaryEvaluation], facts: Mapping[str, Any], note: str = ""
) -> Report:
    """A report on dictionaries that were measured on the same texts."""
    report = Report("Dictionaries", f"{len(results)} measured on {results[0].tokens:,} tokens")
    if note:
        report.note(note)
    rows = [result.row() for result in results]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    report.section("How good they are", FORMULAS)
    report.table(columns, [[row.get(name) for name in columns] for row in rows])
    groups = _sweeps(results)
    if groups:
        report.section(
            "Over sparsities", "Each line is one site; its points differ in how many latents fire."
        )
        for name, value in (
            ("explained variance", lambda result: result.reconstruction.explained_variance),
            ("CE recovered", lambda result: result.recovered.ce_recovered),
        ):
            report.figure(_figure(groups, name, value), f"{name} by L0: {', '.join(groups)}")
    several = [result for result in results if len(result.sites) > 1]
    for result in several:
        report.section(f"{result.name} by site")
        report.table(
            ["site", "explained variance", "MSE", "cosine", "norm ratio"],
            [[site, r.explained_variance, r.mse, r.cosine, r.norm_ratio] for site, r in result.sites.items()],
        )
    report.section("Losses", "In nats a token.")
    report.table(
        ["dictionary", "clean", "spliced", "zeros", "means", "KL spliced", "KL zeros", "KL means"],
        [
            [name, r.ce_clean, r.ce_spliced, r.ce_zero, r.ce_mean, r.kl_spliced, r.kl_zero, r.kl_mean]
            for result in results
            for name, r in _losses(result).items()
        ],
    )
    for result in results:
        if result.labelled is not None:
            _labelled(report, result)
    report.section("Where this comes from").facts(facts)
    return report


def _losses(result: DictionaryEvaluation) -> dict[str, LossRecovered]:
    """By what a line of the table is called."""
    return {f"{result.name} in {model}": losses for model, losses in result.by_model.items()} or {
        result.name: result.recovered
    }


def _sweeps(results: Sequence[DictionaryEvaluation]) -> dict[str, list[DictionaryEvaluation]]:
    """Dictionaries of the same site in order of L0, where there are several of a site."""
    groups: dict[str, list[DictionaryEvaluation]] = {}
    for result in sorted(results, key=lambda result: result.sparsity.l0):
        groups.setdefault(f"{result.kind} {' '.join(result.sites)}", []).append(result)
    return {name: group for name, group in groups.items() if len(group) > 1}


def _figure(groups: Mapping[str, Sequence[DictionaryEvaluation]], ylabel: str, value: Any) -> Any:
    """One line a group, of its dictionaries' points over L0."""
    points = [
        ScatterPoints(name, [result.sparsity.l0 for result in group], [value(result) for result in group])
        for name, group in groups.items()
    ]
    return scatter(points, "L0", ylabel, fit=False, joined=True)


def _labelled(report: Report, result: DictionaryEvaluation) -> None:
    of = result.labelled
    assert of is not None
    report.section(
        f"{result.name} on labelled texts",
        "Accuracy of probes that tell one class from the others (chance 0.5) on the k latents, or single "
        "dimensions of the activations, whose means differ most.",
    )
    ks = list(of.probing.latents)
    report.table(
        ["probe on", *(f"k = {k}" for k in ks), "all"],
        [
            ["latents", *of.probing.latents.values(), None],
            ["activations", *of.probing.neurons.values(), of.probing.activations],
        ],
    )
    if of.reseeds:
        report.table(
            ["measure", "mean of draws", "from", "to", "standard deviation", "smallest difference", "draws"],
            [
                [name, s.mean, s.low, s.high, s.sd, s.smallest_difference, s.draws]
                for name, s in of.reseeds.items()
            ],
            "Each measure over several draws of training and test texts: the mean with its 95 % interval, "
            "and how far the means of two dictionaries must lie apart to differ by more than these draws do. "
            "Training a dictionary again with another seed adds noise of its own.",
        )
    if of.perturbation is not None or of.removal is not None:
        report.note(UNRELIABLE)
    if of.perturbation is not None:
        p = of.perturbation
        report.table(
            ["latents ablated", "TPP", "its own probe loses", "the others lose"],
            [[n, p.score[n], p.targeted[n], p.others[n]] for n in p.score],
        )
    if of.removal is not None:
        r = of.removal
        report.table(
            ["latents ablated", "SCR", "biased probe, then", "biased probe", "clean probe"],
            [[n, r.score[n], r.changed[n], r.original, r.clean] for n in r.score],
        )
    if of.absorption is not None and of.absorption.concepts:
        report.table(
            ["concept", "absorption", "in full", "its latents"],
            [
                [name, fraction, full, ", ".join(map(str, own))]
                for name, (fraction, full, own) in of.absorption.concepts.items()
            ],
        )
    for measure, reason in of.left_out.items():
        report.text(f"{measure} was left out: {reason}.")
