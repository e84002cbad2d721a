"""Where a model runs. In process it is `models.Model`; a method takes whatever speaks the protocol."""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.engines.forecast import AnswerForecast, expected_length, fit_lengths
    from mindscope.engines.pieces import AnswerPlan, generate_pieces
    from mindscope.engines.protocol import Engine

__all__ = ["AnswerForecast", "AnswerPlan", "Engine", "expected_length", "fit_lengths", "generate_pieces"]

__getattr__, __dir__ = lazy_face(__name__, __file__)
