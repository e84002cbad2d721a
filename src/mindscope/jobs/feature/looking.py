"""Looking at features: one of them with its page, those that a search finds, and all on a plane."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, RootModel, model_validator

from mindscope.core import Seed
from mindscope.errors import DataError
from mindscope.jobs.dictionary import borrowed_of
from mindscope.jobs.feature.inputs import (
    FeatureSpec,
    LabelRow,
    describe_label,
    label_text,
    logit_effects,
    open_survey,
    read_labels,
)
from mindscope.jobs.job import Reporter, RunFolder
from mindscope.store import BorrowingDocument, Document

if TYPE_CHECKING:
    from mindscope.dictionaries import DictionaryBank
    from mindscope.explain import FeatureLabel, Survey
    from mindscope.models import Model

CLUSTER_EXAMPLES = 12
"""Features of a cluster that its row on the page names."""


class ShowFeatureSpec(FeatureSpec):
    """What `show` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("model", "dictionary", "feature")

    feature: int = Field(ge=0)
    """The feature's number."""
    page: Path | None = None
    """The page to write; RUN/feature-N.html by default."""
    document: Path | None = None
    """A file to write the public feature JSON to as well."""


class NeighbourFeature(Document):
    """A feature that writes in a like direction."""

    feature: int
    cosine: float


class FeatureContext(Document):
    """Tokens around a peak, and the activation there."""

    activation: float
    text: str


class FeatureListing(BorrowingDocument):
    """A feature: when it is active, what it means, what it says and what is like it.

    Attributes:
        density: the share of the corpus's tokens on which it is active.
        contexts: the strongest first.
        raises: the tokens that it raises most; None where it writes outside the residual stream.
        document: the public feature JSON.
    """

    feature: int
    name: str
    density: float
    highest: float
    label: LabelRow
    contexts: tuple[FeatureContext, ...]
    raises: tuple[str, ...] | None
    neighbours: tuple[NeighbourFeature, ...]
    document: dict[str, Any]
    page: str


class SearchSpec(FeatureSpec):
    """What `search` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("model", "dictionary", "words")

    words: str | None = None
    """Words to search for in labels and contexts."""
    token: str | None = None
    """Search for features that are active where this token stands, and nowhere else; the best by F1 first."""
    text: str | None = None
    """Search for what fires on this text."""
    chat: str | None = None
    """Search for what fires on this user's message, in the chat template."""
    count: int = Field(default=20, ge=1)
    """The most features to list."""

    @model_validator(mode="after")
    def _require_one_query(self) -> SearchSpec:
        if sum(query is not None for query in (self.words, self.token, self.text, self.chat)) != 1:
            raise DataError("say what to search for: WORDS, --token, --text or --chat, one of them")
        return self


class MatchedFeature(Document):
    """A feature that a search names; what the kind of search does not measure is None.

    Attributes:
        score: how well words match its label and contexts.
        token: the token that it means, or on which it fires.
        f1, precision, recall, times: how well the token predicts its activity, and how often they meet.
        activation: its highest on the text; `share` is that as a share of its highest in the corpus.
        density: the share of the corpus's tokens on which it is active.
    """

    feature: int
    score: float | None = None
    token: str | None = None
    f1: float | None = None
    times: int | None = None
    precision: float | None = None
    recall: float | None = None
    activation: float | None = None
    share: float | None = None
    density: float | None = None
    label: str


class SearchReport(RootModel[tuple[MatchedFeature, ...]]):
    """The features that match, the best first."""


class MapSpec(FeatureSpec):
    """What `map` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("model", "dictionary")

    method: Literal["umap", "tsne", "pca"] | None = None
    """How the plane is found: umap (extra `map`), tsne or pca; by default umap where it is installed."""
    least_cluster: int = Field(default=5, ge=2)
    """The fewest features of a cluster."""
    seed: Seed = 0
    """The seed of the layout."""


class PlacedFeature(Document):
    """A feature's place on the plane, and its cluster; -1 is none."""

    feature: int
    x: float
    y: float
    cluster: int


class FeatureCluster(Document):
    """Features that lie together."""

    name: str
    size: int


class MapReport(BorrowingDocument):
    """All features that are ever active, on a plane."""

    method: str
    features: tuple[PlacedFeature, ...]
    clusters: tuple[FeatureCluster, ...]
    page: str


def show(spec: ShowFeatureSpec, *, run: RunFolder, reporter: Reporter) -> FeatureListing:
    """Show a feature: contexts, tokens, logits, neighbours, and a label; and write its page."""
    from mindscope.explain import feature_json, feature_report, find_neighbours, keyless_label
    from mindscope.store import write_json

    del reporter  # there is nothing to wait for
    models = spec.load_models()
    bank = spec.load_bank(*models)
    survey, labels = open_survey(run.path, bank), read_labels(run.path)
    activity, logits = survey.feature(spec.feature), logit_effects(models, bank, spec.feature)
    label = labels.get(spec.feature) or keyless_label(survey, spec.feature, logits)
    near = find_neighbours(bank, spec.feature)
    texts = {number: known.text for number, known in labels.items()}
    page = feature_report(survey, spec.feature, label=label, logits=logits, near=near, labels=texts).write(
        spec.page or run.path / f"feature-{spec.feature}.html"
    )
    public = feature_json(survey, spec.feature, transcoder_id=spec.dictionary_path().stem, logits=logits)
    if spec.document is not None:
        write_json(spec.document, public)
    return FeatureListing(
        feature=spec.feature,
        name=activity.name,
        density=activity.density,
        highest=activity.highest,
        label=describe_label(label),
        contexts=tuple(
            FeatureContext(activation=context.value, text="".join(context.tokens)) for context in activity.top
        ),
        raises=None if logits is None else tuple(survey.vocabulary[effect.token] for effect in logits.top),
        neighbours=tuple(NeighbourFeature(feature=other.feature, cosine=other.cosine) for other in near),
        document=public,
        page=str(page),
        borrowed=borrowed_of(models),
    )


def search(spec: SearchSpec, *, run: RunFolder, reporter: Reporter) -> SearchReport:
    """Find features by words, by a token, or by what fires on a text."""
    del reporter  # there is nothing to wait for
    models = spec.load_models()
    bank = spec.load_bank(*models)
    survey, labels = open_survey(run.path, bank), read_labels(run.path)
    return SearchReport(
        tuple(
            MatchedFeature(**match, label=label_text(survey, labels, match["feature"]))
            for match in _find_matches(spec, models, bank, survey, labels)
        )
    )


def map_features(spec: MapSpec, *, run: RunFolder, reporter: Reporter) -> MapReport:
    """Lay all features that are ever active out on a plane, with clusters."""
    from mindscope.explain import feature_map
    from mindscope.reports import Report

    del reporter  # there is nothing to wait for
    models = spec.load_models()
    bank = spec.load_bank(*models)
    survey = open_survey(run.path, bank)
    labels = {number: label.text for number, label in read_labels(run.path).items()}
    alive = (~survey.statistics.dead).nonzero()[:, 0]
    plane = feature_map(bank, alive, method=spec.method, least_cluster=spec.least_cluster, seed=spec.seed)
    clusters = [(name, plane.members(number)) for number, name in enumerate(plane.names(labels))]
    title = f"{len(alive)} features of {spec.dictionary_path().stem} by what they write"
    report = Report("Feature map", title)
    report.figure(plane.figure(labels), f"{plane.method} of decoder cosines; clusters by HDBSCAN.")
    report.table(
        ["cluster", "features", "some of them"],
        [[name, len(members), members[:CLUSTER_EXAMPLES]] for name, members in clusters],
    )
    page = report.write(run.path / "map.html")
    points = zip(alive.tolist(), plane.places.tolist(), plane.clusters.tolist(), strict=True)
    return MapReport(
        borrowed=borrowed_of(models),
        method=plane.method,
        features=tuple(
            PlacedFeature(feature=feature, x=x, y=y, cluster=cluster) for feature, (x, y), cluster in points
        ),
        clusters=tuple(FeatureCluster(name=name, size=len(members)) for name, members in clusters),
        page=str(page),
    )


def _find_matches(
    spec: SearchSpec,
    models: Sequence[Model],
    bank: DictionaryBank,
    survey: Survey,
    labels: Mapping[int, FeatureLabel],
) -> Iterable[dict[str, Any]]:
    """The features that match the query, with what was measured of each."""
    from mindscope.explain import TextIndex, fires_on, search_token

    if spec.words is not None:
        index = TextIndex(survey, {number: label.text for number, label in labels.items()})
        return [hit._asdict() for hit in index.search(spec.words, spec.count)]
    if spec.token is not None:
        uses = [use for same in search_token(survey, spec.token, spec.count).values() for use in same]
        return [
            {
                "feature": use.feature,
                "token": survey.vocabulary[use.token],
                "f1": use.f1,
                "times": use.times,
                "precision": use.precision,
                "recall": use.recall,
            }
            for use in sorted(uses, key=lambda use: -use.f1)[: spec.count]
        ]
    if spec.chat is not None:
        row = models[0].chat([{"role": "user", "content": spec.chat}])
    else:
        row = models[0].text(spec.text or "")
    return [
        {
            "feature": firing.feature,
            "token": survey.vocabulary[row.ids[firing.position]],
            "activation": firing.value,
            "share": firing.share,
            "density": firing.density,
        }
        for firing in fires_on(models, bank, survey, row, count=spec.count)
    ]
