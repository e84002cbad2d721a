"""`/v1/workbench/features`: latents of the server's dictionaries, found and shown by a survey of a corpus."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel

from mindscope.errors import MindscopeError
from mindscope.jobs.feature import LabelRow
from mindscope.server.api.errors import RESPONSES, ApiError
from mindscope.server.workbench.desks.desk import slug
from mindscope.server.workbench.surveys import SurveyShelf
from mindscope.store import Document, read_json, write_json

if TYPE_CHECKING:
    from mindscope.dictionaries import DictionaryBank
    from mindscope.explain import LogitEffects
    from mindscope.server.service import SteeringService

DENSE = 0.1
"""Features that are active on a larger share of the tokens are called dense, as in the literature."""
MOST_MATCHES = 100
MOST_MAPPED = 20_000
"""Latents on a map that is laid out while a reader waits."""
DICTIONARY = Query(min_length=1, max_length=256, description="A dictionary by its name in requests.")


class SurveyedDictionary(BaseModel):
    """A dictionary of the server, and the survey by which its latents are known."""

    name: str
    latents: int
    survey: str | None
    """The run of the survey; None where no run in the folder is one of this dictionary."""
    tokens: int | None
    dead: int | None
    dense: int | None
    labels: int


class DictionaryList(BaseModel):
    """All of them."""

    dictionaries: list[SurveyedDictionary]


class FeatureMatch(BaseModel):
    """A latent that was found; what the kind of search does not measure is None."""

    feature: int
    name: str
    """As DICTIONARY/LATENT, which can be named in requests."""
    label: str
    density: float
    score: float | None = None
    """How well words match its label and contexts, or its F1 as a detector of a token."""
    token: str | None = None
    """The token that it means, or on which it is strongest."""
    activation: float | None = None
    share: float | None = None
    """Its activation as a share of its highest in the corpus."""


class FeatureMatches(BaseModel):
    """The latents that were found, the best first."""

    matches: list[FeatureMatch]


class NearFeature(BaseModel):
    """A latent that writes in a like direction."""

    feature: int
    name: str
    cosine: float
    label: str


class PlacedLatent(BaseModel):
    """A latent's place on the map, and its cluster; -1 is none."""

    feature: int
    x: float
    y: float
    cluster: int


class MapCluster(BaseModel):
    """Latents that lie together."""

    name: str
    size: int


class LatentMap(Document):
    """All latents that are ever active, on a plane where what writes alike lies together."""

    method: str
    features: tuple[PlacedLatent, ...]
    clusters: tuple[MapCluster, ...]


class FeatureView(BaseModel):
    """All that is shown of a latent."""

    feature: int
    name: str
    label: LabelRow
    density: float
    highest: float
    document: dict[str, Any]
    """The public feature document: contexts by quantile, logits, histogram."""
    neighbours: list[NearFeature]


@dataclass(frozen=True)
class FeatureDesk:
    """What the routes of features work with."""

    service: SteeringService
    surveys: SurveyShelf
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def list_dictionaries(self) -> DictionaryList:
        """The server's dictionaries, with what surveys say of each as a whole."""
        cards: list[SurveyedDictionary] = []
        for name, dictionary in self.surveys.dictionaries.items():
            opened = self.surveys.find(name)
            statistics = None if opened is None else opened.survey.statistics
            cards.append(
                SurveyedDictionary(
                    name=name,
                    latents=dictionary.n_latents,
                    survey=None if opened is None else opened.run,
                    tokens=None if opened is None else opened.survey.metadata["tokens"],
                    dead=None if statistics is None else int(statistics.dead.sum()),
                    dense=None if statistics is None else int((statistics.density > DENSE).sum()),
                    labels=0 if opened is None else len(opened.labels),
                )
            )
        return DictionaryList(dictionaries=cards)

    def search(
        self, name: str, by: Literal["words", "token", "text"], query: str, count: int
    ) -> FeatureMatches:
        """Latents by words of their labels and contexts, by a token that they mean, or by a text.

        Raises:
            ApiError: there is no such dictionary, or no survey of it.
            DataError: the model has no such token.
        """
        opened = self.surveys.require(name)
        survey = opened.survey
        if by == "words":
            found = [
                {"feature": hit.feature, "score": hit.score}
                for hit in self.surveys.index(opened).search(query, count)
            ]
        elif by == "token":
            from mindscope.explain import search_token

            uses = [use for same in search_token(survey, query, count).values() for use in same]
            found = [
                {"feature": use.feature, "score": use.f1, "token": survey.vocabulary[use.token]}
                for use in sorted(uses, key=lambda use: -use.f1)[:count]
            ]
        else:
            from mindscope.explain import fires_on

            row = self.service.model.text(query)
            found = [
                {
                    "feature": firing.feature,
                    "token": survey.vocabulary[row.ids[firing.position]],
                    "activation": firing.value,
                    "share": firing.share,
                }
                for firing in fires_on(self.service.model, opened.bank, survey, row, count=count)
            ]
        density = survey.statistics.density
        return FeatureMatches(
            matches=[
                FeatureMatch(
                    name=opened.called(one["feature"]),
                    label=opened.label(one["feature"]),
                    density=density[one["feature"]].item(),
                    **one,
                )
                for one in found
            ]
        )

    def view(self, name: str, feature: int) -> FeatureView:
        """A latent.

        Raises:
            ApiError: there is no such dictionary or latent, or no survey of it.
        """
        from mindscope.explain import feature_json, find_neighbours, keyless_label

        opened = self.surveys.require(name)
        if feature >= opened.bank.n_features:
            raise ApiError(404, f"{name} has latents 0 to {opened.bank.n_features - 1}", param="feature")
        activity, logits = opened.survey.feature(feature), self._logits(opened.bank, feature)
        label = opened.labels.get(feature) or keyless_label(opened.survey, feature, logits)
        near = find_neighbours(opened.bank, feature)
        return FeatureView(
            feature=feature,
            name=opened.called(feature),
            label=LabelRow.model_validate(label.to_json()),
            density=activity.density,
            highest=activity.highest,
            document=feature_json(opened.survey, feature, transcoder_id=name, logits=logits),
            neighbours=[
                NearFeature(
                    feature=one.feature,
                    name=opened.called(one.feature),
                    cosine=one.cosine,
                    label=opened.label(one.feature),
                )
                for one in near
            ],
        )

    def map(self, name: str) -> LatentMap:
        """The map of a dictionary, laid out once and then kept with its survey.

        Raises:
            ApiError: there is no such dictionary, no survey of it, or too much is active for a page.
        """
        from mindscope.explain import feature_map

        opened = self.surveys.require(name)
        alive = (~opened.survey.statistics.dead).nonzero()[:, 0]
        if not 3 <= len(alive) <= MOST_MAPPED:
            message = f"a map here has 3 to {MOST_MAPPED:,} latents, and {len(alive):,} are ever active"
            raise ApiError(400, f"{message}: `mindscope feature map` makes one of any size")
        file = opened.path / "workbench" / f"map-{slug(name)}-{opened.bank.dictionary.digest()[:12]}.json"
        with self._lock:
            try:
                return LatentMap.model_validate(read_json(file))
            except (MindscopeError, ValueError):
                pass  # not yet laid out, or torn
            plane = feature_map(opened.bank, alive)
            labels = {number: label.text for number, label in opened.labels.items()}
            rows = zip(alive.tolist(), plane.places.tolist(), plane.clusters.tolist(), strict=True)
            made = LatentMap(
                method=plane.method,
                features=tuple(PlacedLatent(feature=f, x=x, y=y, cluster=c) for f, (x, y), c in rows),
                clusters=tuple(
                    MapCluster(name=text, size=len(plane.members(number)))
                    for number, text in enumerate(plane.names(labels))
                ),
            )
            file.parent.mkdir(parents=True, exist_ok=True)
            write_json(file, made.to_json())
            return made

    def _logits(self, bank: DictionaryBank, feature: int) -> LogitEffects | None:
        """What a latent makes the model say; None where it writes outside the residual stream."""
        from mindscope.explain import feature_logits
        from mindscope.models import writes_residual

        if not all(writes_residual(self.service.model, site.address) for site in bank.writes):
            return None
        return feature_logits(self.service.model, bank, [feature])[0]


def build_feature_router(desk: FeatureDesk) -> APIRouter:
    """The routes of one service."""
    router = APIRouter(prefix="/v1/workbench", tags=["workbench"], responses=RESPONSES)

    @router.get("/dictionaries")
    async def dictionaries() -> DictionaryList:
        """The server's dictionaries, and whether each was surveyed."""
        return await asyncio.to_thread(desk.list_dictionaries)

    @router.get("/features")
    async def features(
        dictionary: Annotated[str, DICTIONARY],
        query: Annotated[str, Query(min_length=1, max_length=4000)],
        by: Literal["words", "token", "text"] = "words",
        count: Annotated[int, Query(ge=1, le=MOST_MATCHES)] = 30,
    ) -> FeatureMatches:
        """Latents by words of labels and contexts, by a token that they mean, or by a text they fire on."""
        return await asyncio.to_thread(desk.search, dictionary, by, query, count)

    @router.get("/feature-map")
    async def latent_map(dictionary: Annotated[str, DICTIONARY]) -> LatentMap:
        """The map of a dictionary: what writes alike lies together; the first one takes a while."""
        return await asyncio.to_thread(desk.map, dictionary)

    @router.get("/feature")
    async def feature(
        dictionary: Annotated[str, DICTIONARY], feature: Annotated[int, Query(ge=0, le=10**9)]
    ) -> FeatureView:
        """A latent: contexts, logits, histogram, neighbours, and its label with scores."""
        return await asyncio.to_thread(desk.view, dictionary, feature)

    return router
