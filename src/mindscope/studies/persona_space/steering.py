"""What answers show under one vector, under the assistant axis, under two vectors, and when two voices are
asked for.
"""

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.models import Edit, Mean, Read
from mindscope.organism import compare_capability
from mindscope.studies.common import PieceProgress
from mindscope.studies.persona_space.results import BlendedVoices, SteeredVoices, VectorPairs
from mindscope.studies.persona_space.voices import (
    N_CHARACTERS,
    VOICES,
    AskedRow,
    VoiceBench,
    VoiceReads,
    score_answers,
    to_table,
)

CHARACTERS = range(1, 1 + N_CHARACTERS)
PAIRS = tuple(itertools.combinations(CHARACTERS, 2))


def measure_steered(
    bench: VoiceBench, draw: int, reads: VoiceReads, progress: PieceProgress
) -> SteeredVoices:
    """Every voice's vector, random vectors and both ways along the axis, at the same questions.

    Random vectors and the axis have the mean norm of the characters' vectors.
    """
    vectors = reads.vectors
    norm = vectors[list(CHARACTERS)].norm(dim=1).mean()
    axis = reads.axis / reads.axis.norm() * norm
    random = [bench.random_like(axis, "steered", draw, index) for index in range(bench.config.n_random)]
    pushed = [*vectors[1:], *random, -axis, axis]
    arms = [(), *((bench.add(vector),) for vector in pushed)]
    questions = bench.draw_questions(draw, "steered", bench.config.asked)
    shown, coherent = bench.ask_arms(arms, questions, draw, "steered", progress)
    means, last = shown.mean(1), len(VOICES)
    # the helpful voice stands first, so that what is not its own is what is away from the assistant
    others = 1 - means[:, 0] / 100
    return SteeredVoices(
        unsteered=tuple(means[0].tolist()),
        steered=to_table(means[1:last]),
        coherence=tuple(coherent.mean(1)[1:last].tolist()),
        random=to_table(means[last : last + len(random)]),
        away=float(others[-2]),
        toward=float(others[-1]),
        away_random=tuple(others[last : last + len(random)].tolist()),
        away_none=float(others[0]),
    )


def measure_blends(bench: VoiceBench, draw: int, reads: VoiceReads, progress: PieceProgress) -> BlendedVoices:
    """Two system prompts in one, for every pair of characters; either may come first."""
    count = bench.config.asked
    questions = bench.draw_questions(draw, "told", bench.config.questions)[:count]
    asked = []
    for pair in PAIRS:
        ours, theirs = (bench.draw_prompts(draw, VOICES[voice], count) for voice in pair)
        systems = [
            f"{a} {b}" if place % 2 else f"{b} {a}"
            for place, (a, b) in enumerate(zip(ours, theirs, strict=True))
        ]
        asked += [AskedRow(q, system) for q, system in zip(questions, systems, strict=True)]
    told = {"answer": Read(bench.address, Mean("answer"))}
    generations = bench.answer(asked, draw, "blends", progress, told)
    shown, _ = score_answers([row.question for row in asked], [each.text for each in generations])
    shown = shown.reshape(len(PAIRS), count, -1)
    activations = torch.stack([each.reads["answer"] for each in generations]).float()
    means = activations.unflatten(0, (len(PAIRS), count)).mean(1)
    # the same questions stand on both sides of the difference
    blends = torch.nn.functional.normalize(means - reads.answers[0, :count].mean(0), dim=1)
    sums = torch.stack([reads.vectors[a] + reads.vectors[b] for a, b in PAIRS])
    cosines = blends @ torch.nn.functional.normalize(sums, dim=1).T  # blends x pairs
    own = cosines.diag()
    others = cosines.masked_fill(torch.eye(len(PAIRS), dtype=torch.bool), -1).max(1).values
    each = np.stack([shown[number][:, list(pair)] for number, pair in enumerate(PAIRS)])
    return BlendedVoices(
        pairs=PAIRS,
        both=tuple(each.min(2).mean(1).tolist()),
        either=tuple(each.sum(2).mean(1).tolist()),
        cosine=tuple(own.tolist()),
        best_other=tuple(others.tolist()),
    )


def measure_pairs(bench: VoiceBench, draw: int, reads: VoiceReads, progress: PieceProgress) -> VectorPairs:
    """Two vectors at once, beside each alone, beside half of both, and beside a random one for the other."""
    config, vectors = bench.config, reads.vectors
    random = {voice: bench.random_like(vectors[voice], "pairs", draw, voice) for voice in CHARACTERS}

    def both(a: Tensor, b: Tensor, share: float = 1.0) -> tuple[Edit, ...]:
        return (bench.add(a + b, share * config.coefficient),)

    alone = {(voice,): (bench.add(vectors[voice]),) for voice in CHARACTERS}
    together = {pair: both(vectors[pair[0]], vectors[pair[1]]) for pair in PAIRS}
    half = {(*pair, "half"): both(vectors[pair[0]], vectors[pair[1]], 0.5) for pair in PAIRS}
    # ordered: the first voice's vector with a random one of the second's norm
    mixed = {(a, b, "random"): both(vectors[a], random[b]) for pair in PAIRS for a, b in (pair, pair[::-1])}
    arms = {**alone, **together, **half, **mixed}
    questions = bench.draw_questions(draw, "pairs", config.pair_questions)
    known = {(): (), **alone, **together, **{key: mixed[key] for key in mixed if key[0] < key[1]}}
    answers = len(arms) * len(questions)
    total = answers + len(known) * config.facts
    tables = bench.ask_arms(
        list(arms.values()), questions, draw, "pairs", lambda done, _: progress(done, total)
    )
    shown = dict(zip(arms, tables[0].mean(1), strict=True))
    coherent = dict(zip(arms, tables[1].mean(1).tolist(), strict=True))
    results = compare_capability(bench.model, list(known.values()), bench.seed + draw, config.facts)
    facts = {key: sum(result.right) / len(result.right) for key, result in zip(known, results, strict=True)}
    progress(total, total)

    def mean(values: Sequence[float]) -> float:
        return float(np.mean(values))

    def beside(arm: Float[np.ndarray, "voices"], *voices: int) -> float:
        return float(sum(value for voice, value in enumerate(arm) if voice and voice not in voices))

    return VectorPairs(
        pairs=PAIRS,
        shown=tuple(mean(shown[a, b][[a, b]]) for a, b in PAIRS),
        shown_random=tuple(mean([shown[a, b, "random"][a], shown[b, a, "random"][b]]) for a, b in PAIRS),
        shown_half=tuple(mean(shown[a, b, "half"][[a, b]]) for a, b in PAIRS),
        shown_alone=tuple(mean([shown[(a,)][a], shown[(b,)][b]]) for a, b in PAIRS),
        others=tuple(beside(shown[a, b], a, b) for a, b in PAIRS),
        others_alone=tuple(mean([beside(shown[(v,)], a, b) for v in (a, b)]) for a, b in PAIRS),
        coherence=tuple(coherent[a, b] for a, b in PAIRS),
        coherence_random=tuple(mean([coherent[a, b, "random"], coherent[b, a, "random"]]) for a, b in PAIRS),
        coherence_alone=tuple(mean([coherent[(a,)], coherent[(b,)]]) for a, b in PAIRS),
        facts=tuple(facts[pair] for pair in PAIRS),
        facts_random=tuple(facts[a, b, "random"] for a, b in PAIRS),
        facts_alone=tuple(mean([facts[(a,)], facts[(b,)]]) for a, b in PAIRS),
        facts_unsteered=facts[()],
    )
