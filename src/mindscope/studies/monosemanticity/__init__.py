"""Towards Monosemanticity (Bricken et al. 2023): sparse autoencoders on the MLP of a one-layer transformer.

Transformers of several seeds are trained on the organism's corpus, whose concepts are known. Dictionaries of
several sizes, with resampling, read their MLP activations (`training.py`), and so does one of a copy of each
transformer whose weights are shuffled, the paper's control. Asked of them:

1. How much of what the MLP does for the loss the features carry (`measures/effects.py`).
2. Whether features are easier to read than neurons: one rule for their strongest firings, tried blind, and
   known concepts beside the best single token (`measures/reading.py`).
3. Whether taking a feature out does what its logit weights say, and whether the tokens that these favour are
   those that follow (`measures/effects.py`).
4. How features split as dictionaries grow (`measures/splitting.py`).
5. Whether two transformers of other seeds have the same features (`measures/universality.py`).
6. Which features call up which on the next token: finite-state automata (`measures/automata.py`).
"""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.studies.monosemanticity.config import MonosemanticityConfig
    from mindscope.studies.monosemanticity.job import MonosemanticitySpec, study_monosemanticity
    from mindscope.studies.monosemanticity.results import MonosemanticityStudy

__all__ = ["study_monosemanticity", "MonosemanticitySpec", "MonosemanticityConfig", "MonosemanticityStudy"]

__getattr__, __dir__ = lazy_face(__name__, __file__)
