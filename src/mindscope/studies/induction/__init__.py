"""Induction heads (Olsson et al. 2022): small transformers in which they form, and those of any loaded model.

An induction head continues what it has seen: [A][B] … [A] makes [B] likelier. It matches prefixes (attends to
what followed the token before) and copies (raises what it attends to), and it takes two layers, for a
previous-token head must first say at B what came before it. The study trains attention-only models of one and
two layers, one with MLPs, and one layer with smeared keys, measures all scores on the way (`train.py`,
`scores.py`), and takes heads out with patterns held. With `--model` it lists the heads of a model that is
loaded (`scan.py`).

The text is the organism's corpus over a small vocabulary, and random tokens that repeat, which bring the
change about in hundreds of steps; the paper's is a crawl, and takes billions of tokens.
"""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.studies.induction.config import InductionConfig
    from mindscope.studies.induction.job import InductionReport, InductionSpec, study_induction
    from mindscope.studies.induction.report import HEAD_COLUMNS, head_table
    from mindscope.studies.induction.results import HeadCost, HeadScan, InductionStudy

__all__ = [
    "study_induction",
    "InductionSpec",
    "InductionReport",
    "InductionConfig",
    "InductionStudy",
    "HeadScan",
    "HeadCost",
    "HEAD_COLUMNS",
    "head_table",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
