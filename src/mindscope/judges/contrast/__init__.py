"""A judge that needs nobody's key: fitted on a trait's own prompted answers."""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.judges.contrast.classifier import (
        ContrastClassifier,
        ContrastScores,
        LabelledAnswer,
        fit_contrast,
    )
    from mindscope.judges.contrast.encoder import SentenceEncoder
    from mindscope.judges.contrast.fluency import FluencyScale, answer_surprises, repeated_share
    from mindscope.judges.contrast.judge import ContrastJudge
    from mindscope.judges.contrast.text_vectors import TextEmbedder


__all__ = [
    "ContrastClassifier",
    "ContrastJudge",
    "ContrastScores",
    "FluencyScale",
    "LabelledAnswer",
    "SentenceEncoder",
    "TextEmbedder",
    "answer_surprises",
    "fit_contrast",
    "repeated_share",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
