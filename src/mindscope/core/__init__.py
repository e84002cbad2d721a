"""What every floor needs and none owns: progress, digests, identities of models, lazy faces."""

from mindscope.core.capabilities import EngineCapabilities, Need
from mindscope.core.digest import digest_json, digest_text
from mindscope.core.faces import lazy_face
from mindscope.core.identity import (
    BorrowedArtifact,
    ModelIdentity,
    NamedModel,
    describe_relation,
    find_relation,
    require_same_model,
)
from mindscope.core.progress import Progress, with_label

__all__ = [
    "BorrowedArtifact",
    "ModelIdentity",
    "describe_relation",
    "find_relation",
    "EngineCapabilities",
    "Need",
    "NamedModel",
    "Progress",
    "digest_json",
    "digest_text",
    "lazy_face",
    "require_same_model",
    "with_label",
]
