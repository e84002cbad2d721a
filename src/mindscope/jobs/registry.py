"""Every job by the name of its command, and what each takes and hands back, as JSON schemas.

Jobs are named as text and imported when they are asked for. A study is a job too and stands a floor higher;
naming it here imports nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from types import NoneType
from typing import Any, get_args, get_type_hints

from pydantic import TypeAdapter

from mindscope.errors import DataError
from mindscope.store import SavedDocument

JOBS: Mapping[str, str] = {
    "demo": "mindscope.jobs.demo:demo",
    "quickstart": "mindscope.jobs.quickstart:quickstart",
    "doctor": "mindscope.jobs.doctor:examine",
    "plan": "mindscope.jobs.planning:plan",
    "diff": "mindscope.jobs.diff:diff_models",
    "gate run": "mindscope.gate:run_gate",
    "gate policy": "mindscope.gate:write_default_policy",
    "gate verify": "mindscope.gate:verify_character",
    "conform": "mindscope.server.conform.job:conform",
    "persona extract": "mindscope.jobs.persona:extract",
    "persona sweep": "mindscope.jobs.persona:sweep",
    "persona steer": "mindscope.jobs.persona:steer",
    "persona bake": "mindscope.jobs.persona.baking:bake",
    "persona monitor": "mindscope.jobs.monitor:monitor_vectors",
    "persona screen": "mindscope.jobs.screen:screen",
    "persona finetune": "mindscope.jobs.finetune:finetune",
    "persona shift": "mindscope.jobs.shift:shift",
    "persona show": "mindscope.jobs.persona:show",
    "persona reproduce": "mindscope.studies.persona_vectors:reproduce_claims",
    "persona traits": "mindscope.jobs.persona.traits:show_traits",
    "persona artifacts": "mindscope.jobs.persona.traits:write_trait",
    "persona export": "mindscope.jobs.persona.vector_files:export_vectors",
    "persona import": "mindscope.jobs.persona.vector_files:import_vectors",
    "vectors write": "mindscope.jobs.steering_files:write_steering",
    "vectors check": "mindscope.jobs.steering_files:check_steering",
    "vectors export": "mindscope.jobs.steering_files:export_steering",
    "dictionary train": "mindscope.jobs.dictionary:train",
    "dictionary evaluate": "mindscope.jobs.dictionary:evaluate",
    "dictionary show": "mindscope.jobs.dictionary:show",
    "dictionary record": "mindscope.jobs.dictionary:record",
    "dictionary import": "mindscope.jobs.dictionary:import_dictionary",
    "dictionary export": "mindscope.jobs.dictionary:export_dictionary",
    "feature survey": "mindscope.jobs.feature:survey",
    "feature show": "mindscope.jobs.feature:show",
    "feature search": "mindscope.jobs.feature:search",
    "feature map": "mindscope.jobs.feature:map_features",
    "feature label": "mindscope.jobs.feature:label",
    "feature classify": "mindscope.jobs.feature:classify",
    "feature alarm": "mindscope.jobs.feature:alarm",
    "feature concepts": "mindscope.jobs.feature:find_concepts",
    "circuit trace": "mindscope.jobs.circuit:trace",
    "circuit show": "mindscope.jobs.circuit:show",
    "circuit prune": "mindscope.jobs.circuit:prune",
    "circuit compare": "mindscope.jobs.circuit:compare",
    "circuit intervene": "mindscope.jobs.circuit:intervene",
    "circuit validate": "mindscope.jobs.circuit:validate",
    "circuit heads": "mindscope.jobs.circuit:show_heads",
    "circuit export": "mindscope.jobs.circuit:export",
    "circuit cases": "mindscope.studies.llm_biology:work_through",
    "circuit known": "mindscope.studies.known_circuits:find_known_circuits",
    "library pack": "mindscope.jobs.library:pack_case",
    "library show": "mindscope.jobs.library:show_case",
    "library open": "mindscope.jobs.library:unpack_case",
    "library annotate": "mindscope.jobs.library:annotate_case",
    "library compare": "mindscope.jobs.library:compare_cases",
    "library reproduce": "mindscope.jobs.library:reproduce_case",
    "library index": "mindscope.jobs.library:index_library",
    "library list": "mindscope.jobs.library:list_library",
    "library fetch": "mindscope.jobs.library:fetch_case",
    "organism train": "mindscope.jobs.organism:train",
    "organism card": "mindscope.jobs.organism:measure",
    "organism mechanisms": "mindscope.jobs.organism:measure_mechanisms",
    "organism datasets": "mindscope.jobs.organism:write_training_sets",
    "organism tune": "mindscope.auditing.organisms:tune_organisms",
    "audit play": "mindscope.auditing.game:play_game",
    "audit move": "mindscope.auditing.game:make_move",
    "audit use": "mindscope.auditing.game:use_tool",
    "audit tools": "mindscope.auditing.game:list_tools",
    "organism dictionaries": "mindscope.studies.organism_dictionaries:build_shipped",
    "study superposition": "mindscope.studies.superposition:study_superposition",
    "study double-descent": "mindscope.studies.double_descent:study_double_descent",
    "study induction": "mindscope.studies.induction:study_induction",
    "study classifiers": "mindscope.studies.classifiers:study_classifiers",
    "study crosscoders": "mindscope.studies.crosscoders:study_crosscoders",
    "study dictionaries": "mindscope.studies.dictionary_metrics:study_dictionaries",
    "study scaling": "mindscope.studies.scaling:study_scaling",
    "study shared-space": "mindscope.studies.shared_space:study_shared_space",
    "study monosemanticity": "mindscope.studies.monosemanticity:study_monosemanticity",
    "study solu": "mindscope.studies.solu:study_solu",
    "study persona-space": "mindscope.studies.persona_space:study_persona_space",
}


def find_job(name: str) -> Callable[..., Any]:
    """A job by the name of its command, such as `persona extract`.

    Raises:
        DataError: there is no such job.
    """
    if name not in JOBS:
        noun = name.partition(" ")[0]
        known = [job for job in JOBS if job.startswith(f"{noun} ")] or list(JOBS)
        raise DataError(f"there is no job '{name}': use {', '.join(known)}")
    module, _, function = JOBS[name].partition(":")
    return getattr(import_module(module), function)


def find_document(name: str) -> type[SavedDocument]:
    """The document that a job leaves in its run: what it hands back, without where that lies.

    Raises:
        DataError: there is no such job, or it leaves none.
    """
    for kind in _result_type(get_type_hints(find_job(name))["return"]).__mro__:
        if issubclass(kind, SavedDocument) and "SCHEMA" in vars(kind):
            return kind
    raise DataError(f"the job '{name}' keeps no document of its own")


def job_schemas(name: str) -> dict[str, Any]:
    """The JSON schemas of a job: `spec`, what it takes, and `result`, what it hands back."""
    hints = get_type_hints(find_job(name))
    return {
        "spec": TypeAdapter(hints["spec"]).json_schema(mode="validation"),
        "result": TypeAdapter(_result_type(hints["return"])).json_schema(mode="serialization"),
    }


def export_schemas() -> dict[str, dict[str, Any]]:
    """The schemas of all jobs, by their names. Imports no torch."""
    return {name: job_schemas(name) for name in JOBS}


def _result_type(hint: Any) -> Any:
    """Without the None of jobs that only the first of several processes answers."""
    kinds = [kind for kind in get_args(hint) if kind is not NoneType]
    return kinds[0] if NoneType in get_args(hint) else hint
