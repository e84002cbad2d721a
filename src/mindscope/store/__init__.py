"""What is kept on disk: atomic files, artefacts that say what they belong to, runs that resume.

Nothing here imports torch before a tensor is written or read, so that listing runs is instant.
"""

from mindscope.store.artifacts import (
    Artifact,
    library_versions,
    load_artifact,
    refusing_damage,
    save_artifact,
)
from mindscope.store.documents import (
    BorrowingDocument,
    Document,
    InnerPath,
    SavedDocument,
    html_table,
    require_inner_path,
)
from mindscope.store.files import plain, read_json, replacing, replacing_folder, write_json, write_text
from mindscope.store.object_store import (
    MirroredFolder,
    display_path,
    local_copy,
    object_address,
    passing_copy,
    path_exists,
)
from mindscope.store.opened import OpenArtifact
from mindscope.store.parts import claim, derived_seed, digest, part_of
from mindscope.store.pieces import measure_once
from mindscope.store.run import Run, hold_run
from mindscope.store.runs import RunInfo, find_start, list_runs, read_run
from mindscope.store.seals import is_sealed, seal_command
from mindscope.store.tensors import opened_tensors, read_tensors, require_content, what_it_is, write_tensors

__all__ = [
    "Artifact",
    "MirroredFolder",
    "OpenArtifact",
    "Run",
    "RunInfo",
    "list_runs",
    "is_sealed",
    "seal_command",
    "load_artifact",
    "find_start",
    "hold_run",
    "read_run",
    "refusing_damage",
    "save_artifact",
    "write_json",
    "write_text",
    "BorrowingDocument",
    "Document",
    "SavedDocument",
    "InnerPath",
    "html_table",
    "require_inner_path",
    "library_versions",
    "opened_tensors",
    "plain",
    "read_json",
    "read_tensors",
    "replacing",
    "replacing_folder",
    "require_content",
    "what_it_is",
    "write_tensors",
    "claim",
    "measure_once",
    "derived_seed",
    "display_path",
    "local_copy",
    "object_address",
    "passing_copy",
    "path_exists",
    "digest",
    "part_of",
]
