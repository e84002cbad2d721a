"""A trait of character as a direction: extract it, choose where to steer, and measure what steering does.

Persona vectors after Chen et al. 2025, arXiv 2507.21509: rollouts under contrastive instructions, a judge,
a filter, and the difference of means at every layer. Only traits are imported at once: they need no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mindscope.personas.trait import Contrast, Trait

if TYPE_CHECKING:
    from mindscope.personas.arms import Estimate, Sample, Scope, Scores, steering_edits
    from mindscope.personas.artifacts import generate_trait
    from mindscope.personas.extraction import ExtractConfig, extract
    from mindscope.personas.filter import FilterCounts, filter_pairs
    from mindscope.personas.finetuning import (
        ConceptAblation,
        FinetuneConfig,
        PreventativeSteering,
        ProjectionPenalty,
        Tuned,
        finetune,
    )
    from mindscope.personas.formats import load_gguf, load_pt, save_gguf, save_pt
    from mindscope.personas.monitor_page import monitor_report
    from mindscope.personas.monitoring import WatchConfig, calibrate_on, watch
    from mindscope.personas.monitoring_results import FeatureAlarms, Monitoring, conversations_of
    from mindscope.personas.report import add_persona, persona_report
    from mindscope.personas.screening import (
        Ranked,
        ScreenConfig,
        Screening,
        TraitScreening,
        screen,
        write_filtered,
    )
    from mindscope.personas.shift_page import shift_report
    from mindscope.personas.shift_reading import ShiftConfig
    from mindscope.personas.shifting import Moved, Movement, Shift, shift
    from mindscope.personas.statistics import LayerStatistics
    from mindscope.personas.steering import SteerConfig, SteeredArm, Steering, steer
    from mindscope.personas.sweeping import Point, Sweep, SweepConfig, held_out, sweep
    from mindscope.personas.vectors import Kind, PersonaVectors

_HOMES = {
    "artifacts": ("generate_trait",),
    "extraction": ("ExtractConfig", "extract"),
    "vectors": ("PersonaVectors", "Kind"),
    "statistics": ("LayerStatistics",),
    "filter": ("FilterCounts", "filter_pairs"),
    "sweeping": ("SweepConfig", "sweep", "Sweep", "Point", "held_out"),
    "steering": ("SteerConfig", "steer", "Steering", "SteeredArm"),
    "shifting": ("shift", "Shift", "Moved", "Movement"),
    "shift_reading": ("ShiftConfig",),
    "shift_page": ("shift_report",),
    "monitoring": ("watch", "WatchConfig", "calibrate_on"),
    "monitoring_results": ("Monitoring", "FeatureAlarms", "conversations_of"),
    "monitor_page": ("monitor_report",),
    "finetuning": (
        "finetune",
        "FinetuneConfig",
        "Tuned",
        "PreventativeSteering",
        "ConceptAblation",
        "ProjectionPenalty",
    ),
    "arms": ("steering_edits", "Scope", "Scores", "Estimate", "Sample"),
    "formats": ("save_pt", "load_pt", "save_gguf", "load_gguf"),
    "report": ("persona_report", "add_persona"),
    "screening": ("screen", "ScreenConfig", "Screening", "TraitScreening", "Ranked", "write_filtered"),
}

__all__ = [
    "Trait",
    "Contrast",
    "generate_trait",
    "ExtractConfig",
    "extract",
    "PersonaVectors",
    "Kind",
    "LayerStatistics",
    "FilterCounts",
    "filter_pairs",
    "SweepConfig",
    "sweep",
    "Sweep",
    "Point",
    "held_out",
    "SteerConfig",
    "steer",
    "Steering",
    "SteeredArm",
    "finetune",
    "FinetuneConfig",
    "Tuned",
    "PreventativeSteering",
    "ConceptAblation",
    "ProjectionPenalty",
    "ShiftConfig",
    "shift",
    "Shift",
    "Moved",
    "Movement",
    "shift_report",
    "watch",
    "WatchConfig",
    "calibrate_on",
    "Monitoring",
    "FeatureAlarms",
    "conversations_of",
    "monitor_report",
    "steering_edits",
    "Scope",
    "Scores",
    "Estimate",
    "Sample",
    "save_pt",
    "load_pt",
    "save_gguf",
    "load_gguf",
    "persona_report",
    "add_persona",
    "screen",
    "ScreenConfig",
    "Screening",
    "TraitScreening",
    "Ranked",
    "write_filtered",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"mindscope.personas.{home}"), name)
    raise AttributeError(f"module 'mindscope.personas' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
