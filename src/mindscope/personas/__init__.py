"""A trait of character as a direction: extract it, choose where to steer, and measure what steering does.

Persona vectors after Chen et al. 2025, arXiv 2507.21509: rollouts under contrastive instructions, a judge,
a filter, and the difference of means at every layer. Only traits are imported at once: they need no torch.
"""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.personas.answers import (
        AnswerRequest,
        count_kept,
        generate_answers,
        plan_answers,
        require_final_answers,
        write_answered,
    )
    from mindscope.personas.baking.config import BakeConfig, BakeOperation
    from mindscope.personas.baking.divergence import measure_divergence
    from mindscope.personas.baking.report import bake_report
    from mindscope.personas.baking.results import BAKE_COLUMNS, BakePoint, BakeSearch, bake_rows
    from mindscope.personas.baking.search import baked_edits, search_baking
    from mindscope.personas.config import (
        ExtractConfig,
        ShiftConfig,
        ShiftPosition,
        SteerConfig,
        SweepConfig,
        VectorKind,
        read_config_with_scope,
    )
    from mindscope.personas.contrast import JUDGE_FILE, ContrastRecipe, contrast_recipe
    from mindscope.personas.examples.example_files import LABEL, read_examples
    from mindscope.personas.examples.example_set import ExampleAnswer, ExampleSet
    from mindscope.personas.examples.from_examples import extract_from_examples
    from mindscope.personas.examples.results import ExampleStatistics
    from mindscope.personas.extraction import extract_vectors
    from mindscope.personas.formats import (
        load_gguf,
        load_pt,
        losses_in_gguf,
        losses_in_pt,
        save_gguf,
        save_pt,
    )
    from mindscope.personas.judging import judge_answers
    from mindscope.personas.layer_statistics import LayerStatistics
    from mindscope.personas.pair_filter import FilterCounts, filter_pairs
    from mindscope.personas.report import add_persona, persona_report, steering_report
    from mindscope.personas.rollouts import plan_rollouts, rollout_reads
    from mindscope.personas.shift.measure import Prompt, measure_shift, render_prompts
    from mindscope.personas.shift.projections import count_shift_answers, plan_shift_answers
    from mindscope.personas.shift.report import shift_report
    from mindscope.personas.shift.results import ModelShift, ShiftResult, TraitShift
    from mindscope.personas.steering.arms import steering_edits
    from mindscope.personas.steering.budget import find_budget_coefficient
    from mindscope.personas.steering.results import (
        ArmScores,
        BudgetChoice,
        BudgetTrial,
        ScoredAnswer,
        SteeredArm,
        SteeringResult,
        SteeringScores,
        SweepPoint,
        SweepResult,
    )
    from mindscope.personas.steering.steer import (
        SteeringTrial,
        measure_steering,
        measure_trait,
        plan_steering,
    )
    from mindscope.personas.steering.sweep import CONTROLS, held_out, sweep_coefficients
    from mindscope.personas.trait import InstructionPair, Trait
    from mindscope.personas.trait_writing import generate_trait
    from mindscope.personas.two_poles import names_two_poles, trait_of_name, trait_of_two_poles
    from mindscope.personas.vectors import PersonaVectors, default_layer


__all__ = [
    "Trait",
    "InstructionPair",
    "ContrastRecipe",
    "JUDGE_FILE",
    "contrast_recipe",
    "generate_trait",
    "names_two_poles",
    "trait_of_two_poles",
    "trait_of_name",
    "ExtractConfig",
    "extract_vectors",
    "ExampleAnswer",
    "ExampleSet",
    "ExampleStatistics",
    "LABEL",
    "read_examples",
    "extract_from_examples",
    "plan_rollouts",
    "rollout_reads",
    "plan_answers",
    "count_kept",
    "CONTROLS",
    "PersonaVectors",
    "VectorKind",
    "read_config_with_scope",
    "LayerStatistics",
    "FilterCounts",
    "filter_pairs",
    "SweepConfig",
    "sweep_coefficients",
    "SweepResult",
    "SweepPoint",
    "held_out",
    "BakeConfig",
    "BakeOperation",
    "BakePoint",
    "BAKE_COLUMNS",
    "bake_rows",
    "BakeSearch",
    "search_baking",
    "baked_edits",
    "bake_report",
    "measure_divergence",
    "SteerConfig",
    "find_budget_coefficient",
    "BudgetChoice",
    "BudgetTrial",
    "measure_steering",
    "plan_steering",
    "SteeringTrial",
    "measure_trait",
    "SteeringResult",
    "SteeringScores",
    "SteeredArm",
    "ShiftConfig",
    "measure_shift",
    "count_shift_answers",
    "plan_shift_answers",
    "render_prompts",
    "ShiftResult",
    "ModelShift",
    "TraitShift",
    "shift_report",
    "steering_edits",
    "ShiftPosition",
    "ArmScores",
    "ScoredAnswer",
    "save_pt",
    "losses_in_pt",
    "losses_in_gguf",
    "load_pt",
    "save_gguf",
    "load_gguf",
    "persona_report",
    "steering_report",
    "add_persona",
    "Prompt",
    "default_layer",
    "AnswerRequest",
    "write_answered",
    "generate_answers",
    "require_final_answers",
    "judge_answers",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
