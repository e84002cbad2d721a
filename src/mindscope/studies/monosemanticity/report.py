"""The page of the study."""

from collections.abc import Mapping, Sequence
from typing import Any

from mindscope.jobs import TEST_BED
from mindscope.reports import CurveLine, Report, bars_by_group, lines_with_bands
from mindscope.studies.common import Claim, SeedEstimate, add_claims, begin_page, end_page
from mindscope.studies.monosemanticity.claims import concept_means
from mindscope.studies.monosemanticity.config import NEURONS, SHUFFLED, MonosemanticityConfig, say_size
from mindscope.studies.monosemanticity.drawing import draw_automaton, draw_families
from mindscope.studies.monosemanticity.measures import DECILES, say_random
from mindscope.studies.monosemanticity.results import MonosemanticityStudy

PER_CENT = 100


def build_page(
    study: MonosemanticityStudy,
    config: MonosemanticityConfig,
    claims: Sequence[Claim],
    facts: Mapping[str, Any],
    seconds: Mapping[str, float],
) -> Report:
    """Claims, then the dictionaries, reading, concepts, splitting, universality, automata."""
    report = begin_page(
        "Towards Monosemanticity",
        "Bricken et al. 2023, rerun: the MLP of one-layer transformers taken apart into features",
        f"{TEST_BED} Intervals are Student's, over seeds of the transformer.",
    )
    add_claims(report, claims)
    _add_automata(report, study)
    _add_splits(report, study)
    _add_universality(report, study, config)
    _add_reading(report, study, config)
    _add_dictionaries(report, study)
    return end_page(report, facts, seconds)


def _add_automata(report: Report, study: MonosemanticityStudy) -> None:
    report.section(
        "Finite-state automata",
        "Each circle is a feature, with the rule of its strongest firings and the tokens that its logit "
        "weights favour most. An arrow leads to a feature among the three that weights say it calls up most; "
        "its number is how often that one is active behind it in held-out text. Drawn is the likeliest "
        "circle of each length.",
    )
    for number, seed in enumerate(study.automata):
        for automaton in seed.automata:
            if number == 0:
                report.figure(
                    draw_automaton(automaton),
                    f"A circle of {len(automaton.features)} features, first seed.",
                )


def _add_splits(report: Report, study: MonosemanticityStudy) -> None:
    report.section(
        "Feature splitting",
        "Features of the smallest dictionary and the features of the largest that they are linked with, by a "
        "masked cosine of 0.4 or more; the width of a line is the cosine.",
    )
    families = study.splits[0].families
    if families:
        report.figure(draw_families(families), "Features that split into most rules, first seed.")
    report.table(
        ["small", "large", "linked", "split", "links of each", "cosine of siblings", "bits less"],
        [
            [
                pair.small,
                pair.large,
                *(
                    _say([getattr(own.of(pair.small, pair.large), field) for own in study.splits])
                    for field in ("linked", "split", "children", "siblings", "bits")
                ),
            ]
            for pair in study.splits[0].pairs
        ],
    )


def _add_universality(report: Report, study: MonosemanticityStudy, config: MonosemanticityConfig) -> None:
    report.section(
        "Universality",
        "Correlation of each feature with the nearest of a transformer of another seed, on the same tokens.",
    )
    names = [view.view for view in study.universality[0].views]
    lines = []
    for name in names:
        rows = zip(*(own.of(name).deciles for own in study.universality), strict=True)
        estimates = [SeedEstimate.of(row) for row in rows]
        lines.append(
            CurveLine(
                name,
                [own.mean for own in estimates],
                [own.low for own in estimates],
                [own.high for own in estimates],
                baseline=name == NEURONS,
            )
        )
    report.figure(
        lines_with_bands(
            lines,
            [PER_CENT * share for share in DECILES],
            "features, per cent, from the least shared",
            "correlation with the nearest",
            ylim=(0, 1),
        ),
        "How similar features of two transformers are; bands are over seeds.",
    )
    report.table(
        ["view", "nearest of another seed", "tokens in another order", "nearest neuron of its own model"],
        [
            [
                name,
                *(
                    _say([getattr(own.of(name), field) for own in study.universality])
                    for field in ("nearest", "permuted", "neurons")
                ),
            ]
            for name in names
        ],
        "Medians over features.",
    )


def _add_reading(report: Report, study: MonosemanticityStudy, config: MonosemanticityConfig) -> None:
    report.section(
        "Reading features",
        "Purity is the share of the twenty strongest firings in other rows that a feature's rule explains, "
        "detection its balanced accuracy there, and logit tokens the share told rightly by what follows. Of "
        "each concept the F1 of the best of all features, on texts that it was not chosen on.",
    )
    views = [NEURONS, *map(say_size, config.sizes), say_random(config.focus), SHUFFLED]
    shown = {
        "interpretable": lambda view: [own.of(view).rules.interpretable for own in study.readings],
        "logit tokens": lambda view: [own.of(view).logits for own in study.readings],
        "F1 of concepts": lambda view: concept_means(study.readings, view),
    }
    bars = {
        view: [SeedEstimate.of([PER_CENT * value for value in values(view)]) for values in shown.values()]
        for view in views
    }
    report.figure(
        bars_by_group(
            list(shown),
            {view: [own.mean for own in row] for view, row in bars.items()},
            "per cent",
            errors={
                view: ([own.low for own in row], [own.high for own in row]) for view, row in bars.items()
            },
        ),
        "Features beside neurons and controls.",
    )
    report.table(
        ["view", "active often", "interpretable", "different rules", "purity", "detection", "logit tokens",
         "concepts"],
        [
            [
                view.view,
                _say([own.of(view.view).often for own in study.readings]),
                *(
                    _say([getattr(own.of(view.view).rules, field) for own in study.readings])
                    for field in ("interpretable", "rules", "explained", "detected")
                ),
                _say([own.of(view.view).logits for own in study.readings]),
                _say(concept_means(study.readings, view.view) if view.concepts else [None]),
            ]
            for view in study.readings[0].views
        ],
    )  # fmt: skip
    report.table(
        ["feature", "fires", "purity", "detection", "favours"],
        [
            [own.feature, own.rule, own.explained, own.detected, " ".join(own.favoured)]
            for own in study.readings[0].examples
        ],
        f"{say_size(config.focus)}, at even steps from the purest to the least pure, first seed.",
    )


def _add_dictionaries(report: Report, study: MonosemanticityStudy) -> None:
    report.section("Dictionaries", "On held-out activations.")
    report.table(
        ["dictionary", "latents", "active", "active often", "explained variance"],
        [[fit.name, fit.latents, fit.active, fit.often, fit.explained] for fit in study.dictionaries.fits],
    )
    spliced = study.effects[0].spliced
    report.table(
        ["in the place of the MLP", "loss, nats a token"],
        [
            ["its activations", _say([own.loss for own in study.effects])],
            ["nothing", _say([own.zero for own in study.effects])],
            ["each neuron's mean", _say([own.mean for own in study.effects])],
            *([view, _say([own.spliced[view] for own in study.effects])] for view in spliced),
        ],
    )


def _say(values: Sequence[float | None]) -> str | None:
    present = [value for value in values if value is not None]
    return str(SeedEstimate.of(present)) if present else None
