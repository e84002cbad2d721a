"""Thresholds with a chosen false-alarm rate, from conversations that are ordinary."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.core import ModelIdentity
from mindscope.engines import Engine
from mindscope.errors import DataError
from mindscope.features import Feature, FeatureSet
from mindscope.models import ChatRenderer, TemplateRecord
from mindscope.monitoring.config import Signal, ThresholdScope
from mindscope.monitoring.projections import TurnProjections
from mindscope.monitoring.results import CalibrationSummary, ThresholdLevels
from mindscope.monitoring.signal import signal_score
from mindscope.store import load_artifact, refusing_damage, save_artifact

SCHEMA, VERSION = "mindscope.calibration", 2
"""Version 1 did not hold the identity of the model."""
HYSTERESIS = 10
"""A feature recovers below the threshold of this many times the false-alarm rate (of 1/2 at most)."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """Thresholds for a set of features on one model.

    The score of a conversation is the highest value of the signal over all its answers; it raises an alarm
    where its score is above the threshold. The threshold is the k-th smallest of the n ordinary
    conversations' scores, k = ceil((n + 1)(1 - rate)): if a new conversation is drawn like these, it raises a
    false alarm with a probability of at most `rate`, whatever the scores' distribution (split conformal
    prediction: Angelopoulos & Bates 2021, arXiv 2107.07511, appendix D). That is an average over
    calibrations; of this very threshold the true rate lies in `interval`.

    Attributes:
        features: their keys, `NAME@ADDRESS`.
        digest: of the features, so that thresholds are not used with others.
        fingerprint: of the model.
        signal: what was scored.
        rate: the false-alarm rate asked for.
        over: `each`: every feature has this rate. `any`: all together have at most this rate, which is
            shared out evenly (Bonferroni).
        scores: `[conversations, features]` float64, of the ordinary conversations.
        made_with: the model whose scores these are, where it is written down or `fingerprint` is another's:
            see `for_model`.
        template: how their prompts were rendered; None where it is not known.
    """

    features: tuple[str, ...]
    digest: str
    fingerprint: str
    signal: Signal
    rate: float
    over: ThresholdScope
    scores: Float[Tensor, "conversations features"]
    made_with: ModelIdentity | None = None
    template: TemplateRecord | None = None

    def __post_init__(self) -> None:
        if not all(isinstance(name, str) for name in self.features):
            raise DataError("features go by their names: calibrate again")
        if not 0 < self.rate < 1:
            raise DataError(f"a false-alarm rate is above 0 and below 1, not {self.rate}")
        if self.over not in ("each", "any"):
            raise DataError(f"the rate holds over 'each' or 'any' feature, not {self.over!r}")
        if self.scores.ndim != 2 or self.scores.shape[1] != len(self.features):
            raise DataError(f"scores must be [conversations, {len(self.features)}]: calibrate again")
        if len(self) < (least := needed(self.share)):
            raise DataError(
                f"{len(self)} ordinary conversations are too few for a false-alarm rate of {self.share:g} a "
                f"feature: give at least {least}, or ask for a higher rate"
            )

    def __len__(self) -> int:
        """How many conversations it rests on."""
        return len(self.scores)

    @property
    def share(self) -> float:
        """The rate of a single feature."""
        return self.rate if self.over == "each" else self.rate / len(self.features)

    @cached_property
    def thresholds(self) -> Float[Tensor, "features"]:
        """Above these an alarm is raised; float64."""
        return self._quantile(self.share)

    @cached_property
    def recovery(self) -> Float[Tensor, "features"]:
        """Below these a raised alarm ends; lower, so that it does not flicker."""
        return self._quantile(min(HYSTERESIS * self.share, 0.5))

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of a feature's true false-alarm rate, Beta(n + 1 - k, k) where no scores tie."""
        from scipy.stats import beta

        k = _rank(len(self), self.share)
        low, high = beta.ppf([0.025, 0.975], len(self) + 1 - k, k)
        return float(low), float(high)

    @property
    def any_rate(self) -> float:
        """The share of the calibrating conversations themselves with an alarm of any feature."""
        return (self.scores > self.thresholds).any(1).double().mean().item()

    def at(self, rate: float, over: ThresholdScope | None = None) -> "Calibration":
        """The same conversations with another rate."""
        return replace(self, rate=rate, over=over or self.over)

    def require(self, features: FeatureSet) -> None:
        """Raises DataError unless these are the features that were calibrated."""
        if (self.fingerprint, self.digest) != (features.fingerprint, features.digest()):
            raise DataError(
                f"the thresholds belong to {', '.join(self.features)} of another model or other vectors: "
                "calibrate again with these"
            )

    def for_model(self, model: Engine) -> "Calibration":
        """These thresholds for a model: its own, or borrowed where `model.vectors_of_base` allows it.

        What is borrowed lets the ordinary conversations of the other model through but for its rate. How many
        of this model's it stops is not known, so calibrate again where such conversations are at hand.

        Raises:
            DataError: they are of another model and that is not allowed.
        """
        if self.fingerprint == model.fingerprint:
            return self
        maker = self.made_with or ModelIdentity(fingerprint=self.fingerprint)
        model.borrow(
            f"the thresholds of {', '.join(self.features)}",
            maker,
            f"the thresholds belong to {', '.join(self.features)} of another model {maker.short} than "
            f"{model.identity.short}: calibrate again with this one",
        )
        return replace(self, fingerprint=model.fingerprint, made_with=maker)

    def require_template(self, model: ChatRenderer) -> None:
        """Raises DataError unless the model's prompts are rendered as those of the calibration were."""
        if self.template is not None:
            self.template.require(model, "the thresholds were made")

    def summary(self) -> CalibrationSummary:
        """Everything but the scores."""
        rows = zip(self.features, self.thresholds.tolist(), self.recovery.tolist(), strict=True)
        return CalibrationSummary(
            features={name: ThresholdLevels(threshold=up, recovery=down) for name, up, down in rows},
            signal=self.signal,
            false_alarms=self.rate,
            over=self.over,
            rate_a_feature=self.share,
            interval=self.interval,
            conversations=len(self),
            fingerprint=self.fingerprint,
            digest=self.digest,
        )

    def save(self, path: Path | str) -> None:
        """One `.safetensors` file, written atomically."""
        save_artifact(
            path,
            {"scores": self.scores},
            schema=SCHEMA,
            version=VERSION,
            metadata={
                "fingerprint": self.made_with.fingerprint if self.made_with else self.fingerprint,
                "made_with": self.made_with and self.made_with.model_dump(mode="json"),
                "features": list(self.features),
                "digest": self.digest,
                "signal": self.signal.to_json(),
                "rate": self.rate,
                "over": self.over,
                "template": self.template and self.template.model_dump(mode="json"),
            },
        )

    @classmethod
    def load(cls, path: Path | str, features: Sequence[Feature] | None = None) -> "Calibration":
        """What :meth:`save` wrote; given features, refuses the thresholds of any others."""
        artifact = load_artifact(path, schema=SCHEMA, version=VERSION)
        with refusing_damage(path, "calibrate again"):
            metadata, scores = artifact.metadata, artifact.tensors["scores"]
            maker = metadata.get("made_with")
            template = metadata.get("template")
            calibration = cls(
                features=tuple(metadata["features"]),
                digest=metadata["digest"],
                fingerprint=metadata["fingerprint"],
                signal=Signal(**metadata["signal"]),
                rate=metadata["rate"],
                over=metadata["over"],
                scores=scores.double(),
                made_with=None if maker is None else ModelIdentity.model_validate(maker),
                template=None if template is None else TemplateRecord.model_validate(template),
            )
        if features is not None:
            calibration.require(features if isinstance(features, FeatureSet) else FeatureSet(features))
        return calibration

    def _quantile(self, rate: float) -> Float[Tensor, "features"]:
        return self.scores.sort(0).values[_rank(len(self), rate) - 1]


def calibrate(
    features: Sequence[Feature],
    traces: Iterable[TurnProjections],
    rate: float = 0.01,
    *,
    signal: Signal | None = None,
    over: ThresholdScope = "each",
) -> Calibration:
    """Thresholds from traces of ordinary conversations, which may stream past.

    Conversations without an answer are left out. They must be drawn like those that will be watched: with
    about as many and as long answers, or the rate holds for others than yours.

    Raises:
        DataError: too few conversations for the rate; the line says how many are needed.
    """
    known = features if isinstance(features, FeatureSet) else FeatureSet(features)
    signal = signal or Signal()
    scores = [score for trace in traces if (score := signal_score(signal, trace)) is not None]
    stacked = torch.stack(scores) if scores else torch.zeros(0, len(known), dtype=torch.float64)
    return Calibration(known.keys, known.digest(), known.fingerprint, signal, rate, over, stacked)


def needed(rate: float) -> int:
    """How many ordinary conversations a false-alarm rate takes: with fewer there is no such threshold."""
    return math.ceil(1 / rate - 1 - 1e-9)


def _rank(n: int, rate: float) -> int:
    return math.ceil((n + 1) * (1 - rate) - 1e-9)
