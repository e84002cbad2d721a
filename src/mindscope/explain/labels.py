"""Labels of features, and how well a label tells the contexts of its feature from others.

A label is made from two thirds of the known contexts. Scores are from the others, of other rows, and from as
many stretches where the feature is silent.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pydantic import Field, ValidationError

from mindscope.errors import DataError
from mindscope.explain.logits import LogitEffects
from mindscope.explain.survey.results import ActivationContext, FeatureActivity, Survey
from mindscope.models import shown
from mindscope.store import Document, SavedDocument, read_json

REACH = 8
"""Tokens before the peak that a keyless label looks at."""


class LabelScore(Document):
    """How often a label was right about contexts of the feature, and about others.

    Attributes:
        accuracy: the mean of both shares, 0.5 by guessing; None where one of them has no answer.
        hits: the share of the feature's own contexts that were recognised.
        rejections: the share of the others that were.
        answered: how many contexts were judged.
        missing: how many had no usable answer; they count neither way.
    """

    accuracy: float | None
    hits: float | None
    rejections: float | None
    answered: int
    missing: int

    @classmethod
    def of(cls, verdicts: Iterable[tuple[bool, bool | None]]) -> "LabelScore":
        """From pairs of the truth and what was said of it (None: nothing usable)."""
        known: dict[bool, list[bool]] = {True: [], False: []}
        missing = 0
        for truth, said in verdicts:
            if said is None:
                missing += 1
            else:
                known[truth].append(said == truth)
        shares = {truth: sum(right) / len(right) if right else None for truth, right in known.items()}
        hits, rejections = shares[True], shares[False]
        both = None if hits is None or rejections is None else (hits + rejections) / 2
        answered = sum(map(len, known.values()))
        return cls(accuracy=both, hits=hits, rejections=rejections, answered=answered, missing=missing)


class FeatureLabel(SavedDocument):
    """What a feature means, in a few words.

    Attributes:
        feature: its index.
        text: the words.
        source: who said so: "contexts" for a keyless label, else the writer's name.
        scores: by kind of test, such as "detection".
    """

    SCHEMA = "mindscope.feature_label"

    feature: int
    text: str
    source: str
    scores: dict[str, LabelScore] = Field(default_factory=dict)

    @classmethod
    def load(cls, path: Path | str) -> "FeatureLabel":
        """As `SavedDocument.load`; a label that was saved before labels named a schema is read too."""
        document = read_json(path)
        if not isinstance(document, dict) or "schema" in document:
            return super().load(path)
        try:
            return cls.model_validate(document)
        except ValidationError:
            raise DataError(f"{path} is not a {cls.SCHEMA} document: label the feature again") from None


class LabelEvidence(NamedTuple):
    """What a label is made from, and what it is tested on."""

    learning: tuple[ActivationContext, ...]
    held_out: tuple[ActivationContext, ...]
    silent: tuple[ActivationContext, ...]


def gather_evidence(survey: Survey, activity: FeatureActivity) -> LabelEvidence:
    """The contexts of a feature, one a row: of three neighbours in strength, one is held out."""
    by_row = {context.row: context for context in (*activity.sample, *activity.top)}
    every = sorted(by_row.values(), key=lambda context: -context.value)
    held_out = every[1::3]
    learning = [context for i, context in enumerate(every) if i % 3 != 1]
    return LabelEvidence(
        tuple(learning), tuple(held_out), tuple(survey.silent(activity.feature, max(10, len(held_out))))
    )


@dataclass(frozen=True)
class LabelRule:
    """What a keyless label says, as a test of a text: one of `tokens`, after one of `near` (if any)."""

    tokens: tuple[int, ...]
    near: tuple[int, ...]

    def fits(self, ids: Sequence[int]) -> bool:
        """Whether one of the tokens stands in a text, with one of `near` at most `REACH` tokens before it."""
        return any(
            token in self.tokens
            and (not self.near or not set(self.near).isdisjoint(ids[max(0, position - REACH) : position]))
            for position, token in enumerate(ids)
        )


def keyless_label(survey: Survey, feature: int, logits: LogitEffects | None = None) -> FeatureLabel:
    """A label without a language model: the tokens a feature is active on, the words before, what it says.

    Tokens: those that hold most of the squared activation, at most five. Words before them: where they
    stand before at least half of the peaks and three times as often as chance has it; left out where the
    feature is active nearly everywhere these tokens stand. Tested as a rule on held-out contexts, as
    "detection".

    Args:
        survey: what is known of the feature.
        feature: its index.
        logits: what it makes the model say, to be added.
    """
    activity = survey.feature(feature)
    if not activity.top:
        return FeatureLabel(feature=feature, text="never active in this corpus", source="contexts")
    known = gather_evidence(survey, activity)
    rule = _rule(survey, feature, known.learning)
    verdicts: list[tuple[bool, bool | None]] = [(True, rule.fits(text.ids)) for text in known.held_out]
    verdicts += [(False, rule.fits(text.ids)) for text in known.silent]
    return FeatureLabel(
        feature=feature,
        text=_text(survey, rule, logits),
        source="contexts",
        scores={"detection": LabelScore.of(verdicts)},
    )


def _rule(survey: Survey, feature: int, contexts: Sequence[ActivationContext]) -> LabelRule:
    mass = defaultdict[int, float](float)
    for context in contexts:
        for token, value in zip(context.ids, context.activations, strict=True):
            if value > 0:
                mass[token] += value * value  # what is strong is what a feature means
    total, covered, tokens = sum(mass.values()), 0.0, list[int]()
    for token, value in sorted(mass.items(), key=lambda item: -item[1])[:5]:
        if tokens and (covered > 0.8 * total or value < 0.05 * total):
            break
        tokens.append(token)
        covered += value
    uses = survey.uses(feature, tokens)
    active, occurrences = sum(use.times for use in uses), sum(map(survey.occurrences, tokens))
    near = () if active > 0.7 * occurrences else _near(survey, contexts, tokens)
    return LabelRule(tuple(tokens), near)


def _near(survey: Survey, contexts: Sequence[ActivationContext], tokens: Sequence[int]) -> tuple[int, ...]:
    """The tokens that stand before most peaks and seldom elsewhere, at most three."""
    windows = [set(text.ids[max(0, text.peak - REACH) : text.peak]) for text in contexts]
    held = Counter(token for window in windows for token in window)
    length = sum(map(len, windows)) / len(windows)
    lifts: list[tuple[float, int]] = []
    for token, count in held.items():
        share = count / len(windows)
        chance = 1 - (1 - survey.occurrences(token) / survey.metadata["tokens"]) ** length
        if share >= 0.5 and share > 3 * chance and token not in tokens:
            lifts.append((share * math.log(share / chance), token))
    return tuple(token for _, token in sorted(lifts, reverse=True)[:3])


def _text(survey: Survey, rule: LabelRule, logits: LogitEffects | None) -> str:
    def listed(tokens: Iterable[int]) -> str:
        return ", ".join(f"“{shown(survey.vocabulary[token])}”" for token in tokens)

    text = listed(rule.tokens)
    if rule.near:
        text += f" after {listed(rule.near)}"
    if logits is not None:
        text += f" → says {listed(effect.token for effect in logits.top[:3])}"
    return text
