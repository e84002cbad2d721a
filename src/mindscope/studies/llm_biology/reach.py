"""Whether features before the answering token reach the answer at all, and what whole states there do.

Where none does, an exchange of features there can show nothing, whatever they stand for: attention has
brought the words themselves to where the answer is made. And where the whole stream at these tokens, out of a
prompt that shows the other kind, does not change the answer as claimed, what is claimed is not held at them:
features can do it only by a push beyond any state of the model's own.
"""

from collections.abc import Callable, Sequence
from statistics import fmean

from jaxtyping import Float
from torch import Tensor

from mindscope.circuits import Intervention
from mindscope.models import Edit, Raw, Read
from mindscope.stats import RateEstimate
from mindscope.studies.llm_biology.flip import ChosenSettings, SwapExperiment, Trial
from mindscope.studies.llm_biology.prompts import CasePrompt
from mindscope.studies.llm_biology.workbench import CaseContext

REACHED = 50
"""Of so many prompts at most everything is turned off."""


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
    changes, prompts = [], prompts[:REACHED]
    for prompt in prompts:
        before = CasePrompt(prompt.row, tuple(range(prompt.answering_token)), prompt.kind)
        (codes,) = bench.codes([before])
        changes.append(ablate_spots(bench, before, codes, range(len(before.spots))))
    answers = bench.next_tokens([*prompts, *prompts], [*changes, *([] for _ in prompts)])
    count = len(prompts)
    changed = [off != on for off, on in zip(answers[:count], answers[count:], strict=True)]
    return RateEstimate.of(changed, [prompt.unit for prompt in prompts])


Donor = Callable[[CasePrompt, str], CasePrompt]
"""Of a prompt and another kind, a prompt of that kind."""


def draw_donors(bench: CaseContext, pool: Sequence[CasePrompt]) -> Donor:
    """Any prompt of that kind, out of a pool."""
    rng = bench.rng("donors")
    shown: dict[str, list[CasePrompt]] = {}
    for prompt in pool:
        shown.setdefault(prompt.kind, []).append(prompt)
    return lambda _, kind: rng.choice(shown[kind])


def describe_whole(
    bench: CaseContext,
    experiment: SwapExperiment,
    chosen: ChosenSettings,
    donor: Donor,
    first: Sequence[Trial],
    held: Sequence[Trial],
) -> str:
    """What the whole stream does at the tokens that were chosen for features, before the answering one.

    See `measure_whole`; ``chosen`` is of a claim that has a place there.
    """
    assert chosen.upstream is not None
    spots = chosen.upstream.contrast.places
    block, rate = measure_whole(bench, experiment, spots, donor, first, held)
    return (
        f"The whole stream at these tokens, out of a prompt of the other kind, behind block {block}: {rate} "
        f"({experiment.claim})."
    )


def measure_whole(
    bench: CaseContext,
    experiment: SwapExperiment,
    spots: Sequence[int],
    donor: Donor,
    first: Sequence[Trial],
    held: Sequence[Trial],
) -> tuple[int, RateEstimate]:
    """How often the answer is as claimed once whole states are exchanged, and behind which block.

    Args:
        bench: the model.
        experiment: what is to happen.
        spots: whose states.
        donor: of a prompt and another kind, the prompt out of which states are taken.
        first: the block is the one that does most on these.
        held: the rate is of these, where it is not so anyway.
    """
    blocks = range(bench.model.n_layers)
    tried, asked = ([donor(prompt, kind) for prompt, kind in trials] for trials in (first, held))
    shares = [fmean(_put_whole(bench, experiment, tried, first, spots, block)) for block in blocks]
    best = shares.index(max(shares))
    hits = _put_whole(bench, experiment, asked, held, spots, best)
    return best, experiment.rate(bench, held, hits)


def _put_whole(
    bench: CaseContext,
    experiment: SwapExperiment,
    donors: Sequence[CasePrompt],
    trials: Sequence[Trial],
    spots: Sequence[int],
    block: int,
) -> list[bool]:
    """Of each trial, whether the answer is as claimed."""
    address = f"resid_post.{block}"
    read = bench.model.read([donor.read for donor in donors], {address: Read(address, Raw("all"))})
    edits = [
        [
            Edit(address, "replace", stream[theirs], where=(ours,))
            for spot in spots
            for ours, theirs in zip(prompt.tokens(spot), donor.tokens(spot), strict=True)
        ]
        for (prompt, _), donor, stream in zip(trials, donors, read[address].values, strict=True)
    ]
    prompts = [prompt for prompt, _ in trials]
    answers = bench.answers(prompts, [[] for _ in prompts], experiment.tokens, edits)
    return experiment.hits(trials, answers)
