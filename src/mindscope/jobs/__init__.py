"""What every command does, as functions: the command line, a server and studies call the same ones."""

from typing import TYPE_CHECKING

from mindscope.core.faces import lazy_face

if TYPE_CHECKING:
    from mindscope.jobs.resolve import (
        ORGANISM,
        dictionary_file,
        find_judge,
        find_trait,
        find_vectors,
        find_writer,
        load_model,
    )
    from mindscope.jobs.session import SESSION, open_run


__all__ = [
    "ORGANISM",
    "SESSION",
    "dictionary_file",
    "find_judge",
    "find_trait",
    "find_vectors",
    "find_writer",
    "load_model",
    "open_run",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
