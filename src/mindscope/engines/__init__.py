"""Where a model runs. In process it is `models.Model`; a method takes whatever speaks the protocol."""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.engines.forecast import AnswerForecast, expected_length, fit_lengths
    from mindscope.engines.options import EngineOptions
    from mindscope.engines.pieces import AnswerPlan, generate_pieces
    from mindscope.engines.protocol import (
        AnswerRequests,
        CompanionModel,
        Engine,
        ParallelEngine,
        call_with_model,
    )
    from mindscope.engines.ray_engine import RayEngine, open_ray_engine

__all__ = [
    "AnswerForecast",
    "AnswerPlan",
    "AnswerRequests",
    "CompanionModel",
    "Engine",
    "EngineOptions",
    "ParallelEngine",
    "RayEngine",
    "call_with_model",
    "expected_length",
    "fit_lengths",
    "generate_pieces",
    "open_ray_engine",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
