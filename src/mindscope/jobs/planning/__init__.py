"""What a job will take before it begins: time, memory, disk and cost, from counts and measured constants."""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.jobs.planning.card_paces import CardPaces
    from mindscope.jobs.planning.comparison_work import GATE, GateSizes, count_gate_answers
    from mindscope.jobs.planning.counter import WorkCounter
    from mindscope.jobs.planning.machines import MachineRates, measure_machine, parse_cards
    from mindscope.jobs.planning.measured_paces import MeasuredPaces
    from mindscope.jobs.planning.paces import CoderSize
    from mindscope.jobs.planning.plan_job import (
        PlanSpec,
        announce_plan,
        dictionary_sizes,
        mean_length,
        plan,
        plan_loaded,
    )
    from mindscope.jobs.planning.results import JobPlan, PlannedBytes, PlannedPhase, show_bytes
    from mindscope.jobs.planning.sizes import PlanSizes
    from mindscope.jobs.planning.work import LONG_JOBS


__all__ = [
    "plan",
    "PlanSpec",
    "PlanSizes",
    "JobPlan",
    "PlannedPhase",
    "PlannedBytes",
    "show_bytes",
    "announce_plan",
    "plan_loaded",
    "mean_length",
    "dictionary_sizes",
    "LONG_JOBS",
    "GATE",
    "GateSizes",
    "count_gate_answers",
    "WorkCounter",
    "CoderSize",
    "MeasuredPaces",
    "CardPaces",
    "MachineRates",
    "measure_machine",
    "parse_cards",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
