"""A feature on one page: when it is active, what it says, what is like it."""

from collections.abc import Mapping, Sequence

from mindscope.explain.labels import FeatureLabel
from mindscope.explain.logits import LogitEffects
from mindscope.explain.neighbours import FeatureNeighbour
from mindscope.explain.survey.results import ActivationContext, FeatureActivity, Survey
from mindscope.models import shown
from mindscope.reports import Report, TokenHeat, histogram


def feature_report(
    survey: Survey,
    feature: int,
    *,
    label: FeatureLabel | None = None,
    logits: LogitEffects | None = None,
    near: Sequence[FeatureNeighbour] = (),
    labels: Mapping[int, str] | None = None,
) -> Report:
    """The page of one feature.

    Args:
        survey: what is known of it.
        feature: its index.
        label: what it means.
        logits: what it makes the model say.
        near: its nearest features.
        labels: what these mean, as far as that is known.
    """
    activity = survey.feature(feature)
    report = Report(label.text if label else activity.name, f"feature {feature}: {activity.name}")
    report.facts(_facts(survey, activity, label))
    if not activity.top:
        return report.note("This feature is active nowhere in the corpus.")
    report.figure(
        histogram(activity.histogram.edges, activity.histogram.counts, "activation", "tokens", log=True),
        "How strongly it is active, where it is active at all. Counts are on a logarithmic scale.",
    )
    report.section("Strongest contexts", "One a row of the corpus; shaded by activation.")
    report.heats([_heat(context) for context in activity.top], shown=8, limit=activity.highest)
    if activity.bottom:
        report.section("Lowest contexts")
        report.heats([_heat(item) for item in activity.bottom], shown=8, limit=-activity.lowest)
    report.section(
        "Contexts of all strengths",
        "Drawn from all rows in which it is active, in five equal groups by strength.",
    )
    for name, contexts in activity.quantiles():
        report.heats([_heat(item) for item in contexts], name, shown=3, limit=activity.highest)
    _tables(report, survey, feature, logits)
    if near:
        rows = [
            [item.feature, survey.name(item.feature), (labels or {}).get(item.feature), item.cosine]
            for item in near
        ]
        report.section("Nearest features", "By the cosine between what they write.")
        report.table(["feature", "place", "label", "cosine"], rows)
    return report


def _facts(survey: Survey, activity: FeatureActivity, label: FeatureLabel | None) -> dict[str, object]:
    facts: dict[str, object] = {
        "model": survey.metadata["model"],
        "active on": f"{activity.density:.3%} of tokens",
        "in": f"{activity.row_density:.2%} of rows",
        "highest": activity.highest,
        "mean": activity.mean,
        "corpus": f"{survey.metadata['rows']:,} rows, {survey.metadata['tokens']:,} tokens",
    }
    if label:
        facts["label by"] = label.source
        for name, score in label.scores.items():
            facts[name] = score.accuracy
    return facts


def _heat(context: ActivationContext) -> TokenHeat:
    tokens = list(zip((_text(token) for token in context.tokens), context.activations, strict=True))
    peak = shown(context.tokens[context.peak])
    return TokenHeat("", tokens, label=f"{context.value:.3g} on “{peak}”", note=f"row {context.row}")


def _text(token: str) -> str:
    return token.replace("\n", "⏎")


def _tables(report: Report, survey: Survey, feature: int, logits: LogitEffects | None) -> None:
    rows = [
        [shown(survey.vocabulary[use.token]), use.times, use.precision, use.recall, use.highest]
        for use in survey.tokens_of(feature)
    ]
    report.section("Tokens", "Where it is active, and how surely each token sets it off.")
    report.table(["token", "times", "share of its activity", "share of the token", "highest"], rows)
    if logits is not None:
        both = zip(logits.top, logits.bottom, strict=True)
        report.section(
            "What it says",
            "Its direct effect on the logits: what it writes, through the weight of the final norm with the "
            "norm's scale frozen, and the unembedding; the mean over the vocabulary taken off.",
        )
        report.table(
            ["raised", "by", "lowered", "by "],
            [
                [
                    shown(survey.vocabulary[up.token]),
                    up.value,
                    shown(survey.vocabulary[down.token]),
                    down.value,
                ]
                for up, down in both
            ],
        )
