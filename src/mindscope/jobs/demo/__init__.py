"""The demo: the persona work-flow on one page, on the bundled model or on any other."""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.jobs.demo.results import (
        DemoReport,
        DemoScores,
        MonitoredSets,
        ScreenedSet,
        SentimentScores,
        TunedScores,
        TunedShifts,
    )
    from mindscope.jobs.demo.run_demo import count_demo_answers, demo
    from mindscope.jobs.demo.spec import DemoPreset, DemoSpec


__all__ = [
    "demo",
    "count_demo_answers",
    "DemoSpec",
    "DemoPreset",
    "DemoReport",
    "DemoScores",
    "SentimentScores",
    "MonitoredSets",
    "ScreenedSet",
    "TunedScores",
    "TunedShifts",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
