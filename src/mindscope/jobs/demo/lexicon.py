"""Sentiment by a lexicon, VADER: a measure of mood that has no part in any vector or judge.

Hutto & Gilbert 2014. Its compound score, -1 to 1, is put on 0 to 100 as 50 (1 + compound), so that it stands
beside the judge's. It says something of a trait only where the trait is a matter of mood.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from mindscope.jobs.demo.results import SentimentScores

if TYPE_CHECKING:
    from mindscope.personas import SteeringResult

MISSING = "No lexicon is installed to check the judge by: pip install 'mindscope[lexicon]'."


def has_lexicon() -> bool:
    """Whether the lexicon is installed."""
    return find_spec("vaderSentiment") is not None


def score_sentiment(result: SteeringResult) -> SentimentScores | None:
    """The mean sentiment of each arm's answers; None without the lexicon."""
    if not has_lexicon():
        return None
    return SentimentScores(
        unsteered=mean_sentiment([answer.answer for answer in result.unsteered.samples]),
        steered=mean_sentiment([answer.answer for answer in result.steered.samples]),
        against=mean_sentiment([answer.answer for answer in result.against.samples]),
        random=mean_sentiment([answer.answer for answer in result.random.samples]),
    )


def mean_sentiment(texts: Sequence[str]) -> float:
    """0 to 100, over texts."""
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    analyser = SentimentIntensityAnalyzer()
    return round(sum(50 * (1 + analyser.polarity_scores(text)["compound"]) for text in texts) / len(texts), 2)
