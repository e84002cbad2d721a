"""Softmax Linear Units (Elhage et al. 2022): does another activation make neurons easier to read?

Small transformers that differ in nothing but their MLP's activation (GeLU, ReLU, SoLU, SoLU with a
LayerNorm behind it, and GeLU with one) are trained on the organism's corpus, whose concepts are known, and
on real English. Asked of them:

1. What it costs: the loss on held-out text.
2. Whether neurons are easier to read (`neurons.py`): the single rule that a neuron's strongest firings have
   in common is tested on firings that it was not read from, and for the organism each neuron's F1 of its best
   concept (`concepts.py`). Beside them the same of a random rotation of the neurons.
3. What the extra LayerNorm does (`small_activations.py`): how much of the MLP's output small activations
   make, before it and behind it; what the model loses without them; whether a neuron's slight firings
   still follow its rule.
4. Which concepts a single neuron stands for that it did not with GeLU, and which it does no more, beside how
   much two GeLU models differ.
"""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.studies.solu.config import SoluConfig
    from mindscope.studies.solu.job import SoluSpec, study_solu
    from mindscope.studies.solu.results import SoluStudy

__all__ = ["study_solu", "SoluSpec", "SoluConfig", "SoluStudy"]

__getattr__, __dir__ = lazy_face(__name__, __file__)
