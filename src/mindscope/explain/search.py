"""Finding features: by words, by a token, and by what fires on a text of one's own."""

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics.pairwise import linear_kernel

from mindscope.errors import DataError
from mindscope.explain.survey.results import Survey, TokenUse
from mindscope.features import FeatureBank, Models, read_activations, require_models
from mindscope.models import Row


class SearchHit(NamedTuple):
    """A feature that was found, and how well it fits, 0 to 1."""

    feature: int
    score: float


class FeatureFiring(NamedTuple):
    """A feature that is active on a text.

    Attributes:
        feature: its index.
        value: its highest activation on the text.
        share: the same as a share of its highest in the survey's corpus (above 1 if the text beats it).
        position: the index of the token of the peak.
        density: how often it is active in the corpus.
    """

    feature: int
    value: float
    share: float
    position: int
    density: float


class TextIndex:
    """Labels and contexts of features, to be searched by words (TF-IDF, cosine). Nothing leaves the machine.

    Args:
        survey: whose contexts are searched.
        labels: by feature, where there are any; a word of a label counts as much as five of contexts.
        contexts: how many of the top contexts of a feature are read.
        reach: how many tokens on each side of a peak belong to it.
    """

    LABEL_WEIGHT = 5

    def __init__(
        self, survey: Survey, labels: Mapping[int, str] | None = None, *, contexts: int = 5, reach: int = 4
    ) -> None:
        labels = labels or {}
        self.features = (~survey.statistics.dead).nonzero()[:, 0].tolist()
        documents = [
            self._document(survey, feature, labels.get(feature, ""), contexts, reach)
            for feature in self.features
        ]
        if not any(re.search(r"\w", document) for document in documents):
            raise DataError(
                "no feature has a context or a label with a word in it: there is nothing to search"
            )
        self._vectorizer = TfidfVectorizer(token_pattern=r"(?u)\w+", sublinear_tf=True)
        self._matrix = self._vectorizer.fit_transform(documents)

    def search(self, query: str, count: int = 20) -> list[SearchHit]:
        """The features whose label and contexts fit the words best; those that share none are left out."""
        scores = linear_kernel(self._matrix, self._vectorizer.transform([query]))[:, 0]
        order = np.argsort(-scores, kind="stable")[:count]
        return [SearchHit(self.features[i], float(scores[i])) for i in order if scores[i] > 0]

    def _document(self, survey: Survey, feature: int, label: str, contexts: int, reach: int) -> str:
        parts = [label] * self.LABEL_WEIGHT
        for context in survey.contexts(feature, count=contexts):
            near = slice(max(0, context.peak - reach), context.peak + reach + 1)
            parts += ["".join(context.tokens[near]), context.tokens[context.peak]]
        return " ".join(parts)


def search_token(survey: Survey, text: str, count: int = 10) -> dict[str, list[TokenUse]]:
    """The features that mean a token, for every token of the vocabulary that reads so.

    Raises:
        DataError: no token reads so, with or without a space before it.
    """
    readings = {text, f" {text}", text.strip()}
    ids = [i for i, token in enumerate(survey.vocabulary) if token in readings and token.strip()]
    if not ids:
        raise DataError(f"no single token reads {text!r}: search by text, or by what fires on it")
    return {survey.vocabulary[i]: uses for i in ids if (uses := survey.features_of(i, count))}


def fires_on(
    models: Models, features: FeatureBank, survey: Survey, row: Row, *, count: int = 20, dense: float = 0.1
) -> list[FeatureFiring]:
    """The features that are active on a text, those that say most about it first.

    Ordered by share times -log(density): how near a feature comes to its own maximum, and how rare it is.

    Args:
        models: the model of the features; of features of several models all of them.
        features: those of the survey.
        survey: says how often and how strongly each is active elsewhere.
        row: the text, as a row of the model.
        count: how many.
        dense: features that are active on a larger share of the corpus than this are left out.

    Raises:
        DataError: the features belong to another model than the survey or the model given.
    """
    require_models(features, models)
    if survey.metadata["features"] != features.digest():
        raise DataError(f"the survey in {survey.path} is of other features: make one of these")
    activations = read_activations(features.reads, features.models, models, [row])
    ordinary = survey.limits.ordinary(activations, features.reads)  # as in the survey, outliers do not count
    code = features.encode(activations)
    code = code.where(ordinary.to(code.tokens.device)[code.tokens])
    values = torch.zeros(features.n_features).scatter_reduce(
        0, code.indices.cpu(), code.values.detach().float().cpu(), "amax"
    )
    statistics = survey.statistics
    # A feature that the corpus never set off is as rare as once in it.
    rare = statistics.density.clamp(min=1 / survey.metadata["tokens"])
    share = values / statistics.highest.clamp(min=1e-6)
    share = torch.where(statistics.highest > 0, share, 1.0)
    score = torch.where((values > 0) & (statistics.density <= dense), share * -rare.log(), 0.0)
    firing: list[FeatureFiring] = []
    for feature in score.topk(min(count, len(score))).indices.tolist():
        if score[feature] <= 0:
            break
        own = code.indices.cpu() == feature
        peak = code.tokens.cpu()[own][code.values.cpu()[own].argmax()]
        firing.append(
            FeatureFiring(
                feature,
                values[feature].item(),
                share[feature].item(),
                int(peak),
                statistics.density[feature].item(),
            )
        )
    return firing
