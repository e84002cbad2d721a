"""What every command does, as functions: the command line, a server and studies call the same ones.

A job is `job(spec, *, run, reporter) -> Document`; see `jobs/job.py`.
"""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.jobs.inputs import InputKind
    from mindscope.jobs.job import JobSpec, Reporter, RunFolder, SilentReporter, build_config
    from mindscope.jobs.persona.persona_run import find_choice
    from mindscope.jobs.registry import JOBS, export_schemas, find_document, find_job, job_schemas
    from mindscope.jobs.resolve import (
        ORGANISM,
        SECOND_ORGANISM,
        TEST_BED,
        dictionary_file,
        find_judge,
        find_trait,
        find_vectors,
        find_writer,
        is_organism,
        is_test_bed,
        load_model,
        require_judge,
        test_bed_note,
        world_of,
    )
    from mindscope.jobs.specs import BorrowingModelSpec, JudgeSpec, ModelSpec, TraitSpec, block_of
    from mindscope.jobs.steering import SteeringNames


__all__ = [
    "JobSpec",
    "InputKind",
    "RunFolder",
    "Reporter",
    "SilentReporter",
    "build_config",
    "ModelSpec",
    "BorrowingModelSpec",
    "TraitSpec",
    "JudgeSpec",
    "SteeringNames",
    "JOBS",
    "find_document",
    "find_job",
    "job_schemas",
    "export_schemas",
    "ORGANISM",
    "SECOND_ORGANISM",
    "TEST_BED",
    "is_organism",
    "is_test_bed",
    "world_of",
    "test_bed_note",
    "load_model",
    "find_vectors",
    "find_choice",
    "block_of",
    "find_trait",
    "find_judge",
    "require_judge",
    "find_writer",
    "dictionary_file",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
