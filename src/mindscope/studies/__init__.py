"""Published results, rerun: each study is one command with its figures beside the published numbers."""

from mindscope.studies.organism_dictionaries.measure import labelled_halves

__all__ = [
    "labelled_halves",
]
