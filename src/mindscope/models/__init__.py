"""A causal language model under the microscope: load, read, write, generate, chat.

The one place that knows where an architecture keeps its parts. Reading reduces while activations stream
past; writing happens per row and per position; generating does both at once.
"""

from mindscope.models.control import Command, Controller
from mindscope.models.edits import Edit
from mindscope.models.generate import Generation
from mindscope.models.model import Model, load
from mindscope.models.read import Read, Reading
from mindscope.models.reduce import Apply, Last, Mean, Project, Raw
from mindscope.models.rows import Message, Row
from mindscope.models.sample import Sampling

__all__ = [
    "load",
    "Model",
    "Row",
    "Message",
    "Read",
    "Mean",
    "Last",
    "Raw",
    "Project",
    "Apply",
    "Edit",
    "Sampling",
    "Generation",
    "Controller",
    "Command",
    "Reading",
]
