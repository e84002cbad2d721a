"""What is kept on disk: atomic files, artefacts that say what they belong to, runs that resume.

Nothing here imports torch before a tensor is written or read, so that listing runs is instant.
"""

from mindscope.store.artifacts import Artifact, load_artifact, save_artifact
from mindscope.store.files import write_json, write_text
from mindscope.store.opened import OpenArtifact
from mindscope.store.run import Run
from mindscope.store.runs import RunInfo, list_runs, read_run

__all__ = [
    "Artifact",
    "OpenArtifact",
    "Run",
    "RunInfo",
    "list_runs",
    "load_artifact",
    "read_run",
    "save_artifact",
    "write_json",
    "write_text",
]
