"""A probe of single tokens over short and long conversations, read in four ways.

The probe is fitted on the means of short texts, and gives every token a logit. A conversation's value is the
mean of these, their maximum, the highest mean of a few in a row (the windowed signal of `monitoring`), or the
last one. Thresholds are set on other short harmless texts, at a rate of false alarms, and then meet long
ones: a maximum over more tokens is higher by chance alone.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.studies.classifiers.config import ClassifiersConfig
from mindscope.studies.classifiers.reading import ReadTexts, TextReader, pool_tokens
from mindscope.studies.classifiers.results import LengthScores
from mindscope.studies.classifiers.shifts import ColumnProbe, area, find_threshold, share_above
from mindscope.studies.classifiers.texts import AS_TRAINED, LONG, SCHEMES, TextDraw
from mindscope.studies.common import PieceProgress

READINGS = ("mean", "max", "windowed", "last token")


def measure_lengths(
    reader: TextReader, texts: TextDraw, config: ClassifiersConfig, progress: PieceProgress
) -> LengthScores:
    """Fit on short texts, and read short and long ones."""
    train = reader.read(texts.train(config.train_rows))
    calibration = reader.read(texts.test(AS_TRAINED, config.test_rows))
    short = reader.read(texts.test(SCHEMES, config.test_rows))
    long = reader.read(texts.test(LONG, config.test_rows))
    probe = ColumnProbe.fit(train.tables["raw, mean"], train.truth, texts.seed)
    progress(1, 2)

    def values(read: ReadTexts, reading: str) -> Float[Tensor, "rows"]:
        return torch.stack(
            [_read_conversation(probe, tokens, reading, config.window) for tokens in read.tokens]
        )

    scores: dict[str, list[float]] = {
        name: [] for name in ("auroc_short", "auroc_long", "alarms_short", "alarms_long", "recall_long")
    }
    for reading in READINGS:
        set_on, near, far = (values(read, reading) for read in (calibration, short, long))
        threshold = find_threshold(set_on[~calibration.truth], config.false_alarms)
        scores["auroc_short"].append(area(near, short.truth))
        scores["auroc_long"].append(area(far, long.truth))
        scores["alarms_short"].append(share_above(near[~short.truth], threshold))
        scores["alarms_long"].append(share_above(far[~long.truth], threshold))
        scores["recall_long"].append(share_above(far[long.truth], threshold))
    progress(2, 2)
    return LengthScores(readings=READINGS, **{name: tuple(numbers) for name, numbers in scores.items()})


def _read_conversation(
    probe: ColumnProbe, tokens: Float[Tensor, "tokens width"], reading: str, window: int
) -> Float[Tensor, ""]:
    logits = probe.margins(tokens)
    return logits[-1] if reading == "last token" else pool_tokens(logits[:, None], reading, window)[0]
