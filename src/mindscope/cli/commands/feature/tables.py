"""What `mindscope feature` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mindscope.cli.terminal.output import print_records, print_table, print_text, say

if TYPE_CHECKING:
    from mindscope.jobs.feature import (
        ClassificationReport,
        ConceptsReport,
        FeatureListing,
        LabelsReport,
        MapReport,
        SearchReport,
        SurveyReport,
    )

CONTEXTS = 8
LABELS = 40
CLUSTERS = 20


def print_survey(result: SurveyReport) -> None:
    """How many features there are, and where the survey is."""
    facts = result.model_dump(exclude={"run", "borrowed", "estimate"})
    print_records([facts])
    print_text(f"survey: {result.run}")
    print_text(f"look at a feature with: mindscope feature show MODEL DICTIONARY FEATURE --run {result.run}")


def print_feature(result: FeatureListing) -> None:
    """A feature's label, its strongest contexts, and what it says."""
    print_text(f"{result.name}: {result.label.text}")
    print_text(f"active on {result.density:.3%} of tokens, highest {result.highest:.4g}")
    rows = [[context.activation, context.text.replace("\n", "⏎")] for context in result.contexts[:CONTEXTS]]
    print_table(["activation", "context"], rows)
    if result.raises is not None:
        print_text(f"says: {', '.join(token.strip() for token in result.raises)}")
    print_text(f"page: {result.page}")


def print_matches(result: SearchReport) -> None:
    """The features that match; of all columns those that the search measured."""
    rows = [feature.model_dump(exclude_none=True) for feature in result.root]
    if rows:
        print_records(rows)
    else:
        say("no feature fits")


def print_map(result: MapReport) -> None:
    """The largest clusters."""
    rows = [[cluster.name, cluster.size] for cluster in result.clusters[:CLUSTERS]]
    print_table(
        ["cluster", "features"], rows, _name_part(len(rows), len(result.clusters), "largest", "clusters")
    )
    print_text(f"page: {result.page}")


def _name_part(shown: int, all_of_them: int, which: str, noun: str) -> str:
    """The title of a table that may leave rows out: says so, and nothing where it has them all."""
    return "" if shown == all_of_them else f"the {which} {shown:,} of {all_of_them:,} {noun}"


def print_labels(result: LabelsReport) -> None:
    """The first labels with their scores, and the mean accuracy of all."""
    tests = list(dict.fromkeys(test for label in result.root for test in label.scores))
    rows = [
        [label.feature, label.text, *(label.scores[test].accuracy for test in tests if test in label.scores)]
        for label in result.root[:LABELS]
    ]
    whole = [row for row in rows if len(row) == 2 + len(tests)]
    print_table(
        ["feature", "label", *tests], whole, _name_part(len(whole), len(result.root), "first", "labels")
    )
    scores = [label.scores["detection"].accuracy for label in result.root if "detection" in label.scores]
    known = [score for score in scores if score is not None]
    if known:
        print_text(f"mean detection accuracy {sum(known) / len(known):.3f} over {len(known)} labels")


def print_classification(result: ClassificationReport) -> None:
    """The scores of every input and classifier, and the features that the l2 classifier goes by."""
    named = dict(result.scores)
    if result.ablated is not None:
        named["features without the ablated/l2"] = result.ablated
    rows = []
    for name, scores in named.items():
        value, kind = name.rsplit("/", 1)
        rows.append([value, kind, *scores.auroc.to_json().values(), *scores.f1.to_json().values()])
    title = f"{result.fitted} texts to fit on, {result.held_out} held out"
    columns = ["input", "classifier", "AUROC", "low", "high", "F1", "F1 low", "F1 high"]
    print_table(columns, rows, title)
    if result.outliers:
        print_text(f"outliers: {result.outliers:,} tokens with very large activations did not count")
    print_records([feature.to_json() for feature in result.top], "what the l2 classifier goes by")


def print_concepts(result: ConceptsReport) -> None:
    """How many concepts of each group were found."""
    rows = [[group, found, total] for group, (found, total) in result.groups.items()]
    print_table(["group", "found", "of"], rows, f"{result.found} of {result.of} concepts")
    print_text(f"page: {result.page}")
