"""Whether features before the answering token reach the answer at all.

Where none does, an exchange of features there can show nothing, whatever they stand for: attention has
brought the words themselves to where the answer is made.
"""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from mindscope.circuits import Intervention
from mindscope.stats import RateEstimate
from mindscope.studies.llm_biology.prompts import CasePrompt
from mindscope.studies.llm_biology.workbench import CaseContext


def ablate_spots(
    bench: CaseContext, prompt: CasePrompt, codes: Float[Tensor, "spots features"], spots: Sequence[int]
) -> list[Intervention]:
    """Everything that is on at some spots, off."""
    changes = []
    for spot in spots:
        for column in codes[spot].nonzero().flatten().tolist():
            layer, latent = bench.writes.feature(column)
            changes.append(Intervention(layer, prompt.spots[spot], latent))
    return changes


def describe_reach(bench: CaseContext, prompts: Sequence[CasePrompt]) -> str:
    """How often the answer's first word changes once every feature at every token before is off."""
    rate = measure_reach(bench, prompts)
    return (
        f"With every feature at every token before the answering one turned off, the answer's first word "
        f"changes in {rate} of the held-out prompts."
    )


def measure_reach(bench: CaseContext, prompts: Sequence[CasePrompt]) -> RateEstimate:
    """The share of prompts whose most probable next token changes so."""
    changes = []
    for prompt in prompts:
        before = CasePrompt(prompt.row, tuple(range(prompt.answering_token)), prompt.kind)
        (codes,) = bench.codes([before])
        changes.append(ablate_spots(bench, before, codes, range(len(before.spots))))
    answers = bench.next_tokens([*prompts, *prompts], [*changes, *([] for _ in prompts)])
    count = len(prompts)
    changed = [off != on for off, on in zip(answers[:count], answers[count:], strict=True)]
    return RateEstimate.of(changed, [prompt.unit for prompt in prompts])
