"""Features in the JSON that attribution-graph pages read, one document a feature."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mindscope.explain.logits import LogitEffects
from mindscope.explain.survey.results import ActivationContext, FeatureActivity, Survey

QUANTILES = 5


def feature_json(
    survey: Survey, feature: int, *, transcoder_id: str, logits: LogitEffects | None = None
) -> dict[str, Any]:
    """One feature as the public document: contexts by quantile, logits, histogram, frequency.

    Args:
        survey: what is known of the feature.
        feature: its index, which the document carries.
        transcoder_id: the name of the dictionary there.
        logits: what it makes the model say; empty lists if left out.
    """
    activity = survey.feature(feature)
    groups = [("Top activations", activity.top), *activity.quantiles(QUANTILES)]
    values = sorted(context.value for context in activity.sample)
    return {
        "transcoder_id": transcoder_id,
        "index": feature,
        "examples_quantiles": [
            {"quantile_name": name, "examples": _examples(contexts)} for name, contexts in groups
        ],
        "top_logits": [survey.vocabulary[effect.token] for effect in logits.top] if logits else [],
        "bottom_logits": [survey.vocabulary[effect.token] for effect in logits.bottom] if logits else [],
        "act_min": activity.lowest,
        "act_max": activity.highest,
        "quantile_values": np.quantile(values, np.linspace(0, 1, QUANTILES + 1)).tolist() if values else [],
        "histogram": _histogram(activity),
        "activation_frequency": activity.density,
    }


def _examples(contexts: Sequence[ActivationContext]) -> list[dict[str, Any]]:
    seen: set[tuple[str, ...]] = set()
    examples: list[dict[str, Any]] = []
    for context in contexts:
        examples.append(
            {
                "tokens": list(context.tokens),
                "tokens_acts_list": list(context.activations),
                "train_token_ind": context.peak,
                "is_repeated_datapoint": context.tokens in seen,
            }
        )
        seen.add(context.tokens)
    return examples


def _histogram(activity: FeatureActivity) -> list[int]:
    """Counts in equal bins up to the highest activation; empty bins beyond it are left out."""
    used = [i for i, count in enumerate(activity.histogram.counts) if count]
    return list(activity.histogram.counts[: used[-1] + 1]) if used else []
