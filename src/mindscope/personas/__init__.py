"""A trait of character as a direction: extract it, choose where to steer, and measure what steering does.

Persona vectors after Chen et al. 2025, arXiv 2507.21509: rollouts under contrastive instructions, a judge,
a filter, and the difference of means at every layer. Only traits are imported at once: they need no torch.
"""

from typing import TYPE_CHECKING

from mindscope.core.faces import lazy_face

if TYPE_CHECKING:
    from mindscope.personas.answers import Request, generate, judge_answers
    from mindscope.personas.extraction import ExtractConfig, extract
    from mindscope.personas.formats import load_gguf, load_pt, save_gguf, save_pt
    from mindscope.personas.generate_trait import generate_trait
    from mindscope.personas.layer_statistics import LayerStatistics
    from mindscope.personas.pair_filter import FilterCounts, filter_pairs
    from mindscope.personas.report import add_persona, persona_report
    from mindscope.personas.shift.measure import Moved, Movement, Prompt, Shift, shift
    from mindscope.personas.shift.projections import ShiftConfig
    from mindscope.personas.shift.report import shift_report
    from mindscope.personas.steering.arms import Sample, Scope, Scores, steering_edits
    from mindscope.personas.steering.steer import SteerConfig, SteeredArm, Steering, steer
    from mindscope.personas.steering.sweep import Point, Sweep, SweepConfig, held_out, sweep
    from mindscope.personas.trait import Contrast, Trait
    from mindscope.personas.vectors import Kind, PersonaVectors, usual_layer


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
    "ShiftConfig",
    "shift",
    "Shift",
    "Moved",
    "Movement",
    "shift_report",
    "steering_edits",
    "Scope",
    "Scores",
    "Sample",
    "save_pt",
    "load_pt",
    "save_gguf",
    "load_gguf",
    "persona_report",
    "add_persona",
    "Prompt",
    "usual_layer",
    "Request",
    "generate",
    "judge_answers",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
