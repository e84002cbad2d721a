"""Surveys of the server's dictionaries, found among the runs: by them latents are known and named."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mindscope.errors import MindscopeError
from mindscope.server.api.errors import ApiError
from mindscope.server.workbench.shelf import RunShelf

if TYPE_CHECKING:
    from mindscope.dictionaries import Dictionary, DictionaryBank
    from mindscope.explain import FeatureLabel, Survey, TextIndex

SURVEY = "survey"


@dataclass(frozen=True)
class OpenedSurvey:
    """A dictionary with its survey."""

    name: str
    run: str
    path: Path
    bank: DictionaryBank
    survey: Survey
    labels: Mapping[int, FeatureLabel]

    def label(self, feature: int) -> str:
        """The label that is known, or a short one from the feature's contexts."""
        from mindscope.explain import keyless_label

        if feature in self.labels:
            return self.labels[feature].text
        return keyless_label(self.survey, feature).text

    def called(self, feature: int) -> str:
        """What a latent is called in requests."""
        return f"{self.name}/{feature}"


@dataclass(frozen=True)
class SurveyShelf:
    """The surveys of some dictionaries.

    Attributes:
        dictionaries: by the names that they have in requests.
        shelf: the runs among which surveys are looked for.
    """

    dictionaries: Mapping[str, Dictionary]
    shelf: RunShelf
    _indices: dict[tuple[str, Path], TextIndex] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def require(self, name: str) -> OpenedSurvey:
        """A dictionary with its survey.

        Raises:
            ApiError: there is no such dictionary, or no survey of it.
        """
        if name not in self.dictionaries:
            raise ApiError(404, f"this server has no dictionary {name!r}", param="dictionary")
        if (opened := self.find(name)) is None:
            raise ApiError(
                404,
                f"no run under --runs is a survey of {name}: make one with `mindscope feature survey`",
                code="survey_not_found",
            )
        return opened

    def find(self, name: str) -> OpenedSurvey | None:
        """The newest survey of a dictionary."""
        from mindscope.dictionaries import DictionaryBank
        from mindscope.jobs.feature import open_survey, read_labels

        bank = DictionaryBank(self.dictionaries[name])
        if len(bank.models) > 1:
            return None  # a crosscoder of two models reads both of them
        for run, info in self.shelf.runs().items():
            if info.kind != SURVEY:
                continue
            try:
                survey = open_survey(info.path, bank)
                return OpenedSurvey(name, run, info.path, bank, survey, read_labels(info.path))
            except MindscopeError:
                continue  # of another dictionary, or not yet done
        return None

    def index(self, opened: OpenedSurvey) -> TextIndex:
        """What finds latents by words; made once for each survey."""
        from mindscope.explain import TextIndex

        with self._lock:
            key = (opened.name, opened.path)
            if key not in self._indices:
                texts = {number: label.text for number, label in opened.labels.items()}
                self._indices[key] = TextIndex(opened.survey, texts)
            return self._indices[key]
