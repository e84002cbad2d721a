"""What every floor needs and none owns: progress, digests, identities of models, lazy faces."""

from mindscope.core.progress import Progress

__all__ = [
    "Progress",
]
