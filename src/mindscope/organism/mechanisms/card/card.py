"""The whole card: every mechanism on three seeds of prompts."""

import random

from mindscope.core import Progress
from mindscope.engines import Engine
from mindscope.models import Model
from mindscope.organism.mechanisms.card import among, behaviour, planning, sharing, working
from mindscope.organism.mechanisms.card.results import MechanismCard, MechanismRow, ScaleRow, SeedRows
from mindscope.organism.mechanisms.pictures import BEGIN, EMPTY, END

SEEDS = (0, 1, 2)
QUICK = 0.25
"""The share of the prompts that a quick card puts."""
_SECTIONS = ("behaviour", "couplets", "languages", "sums", "steps", "several people", "voices")


def measure_mechanisms(
    model: Model,
    seeds: tuple[int, ...] = SEEDS,
    *,
    quick: bool = False,
    weights_bytes: int = 0,
    progress: Progress | None = None,
) -> MechanismCard:
    """Measure the second organism. `progress(done, total, label)` is called after each section of a seed."""
    measured: list[SeedRows] = []
    for seed in seeds:
        rates, scales = [], []
        for i, section in enumerate(_SECTIONS):
            rng = random.Random(f"mechanisms-{seed}-{section}")
            made, more = _measure(model, section, rng, QUICK if quick else 1.0)
            rates += made
            scales += more
            if progress:
                progress(len(measured) * len(_SECTIONS) + i + 1, len(seeds) * len(_SECTIONS), section)
        measured.append(SeedRows(seed=seed, rates=tuple(rates), scales=tuple(scales)))
    return MechanismCard(
        seeds=tuple(measured),
        parameters=sum(p.numel() for p in model.hf.parameters()),
        bytes=weights_bytes,
        context=model.context_length,
    )


def _measure(
    model: Model, section: str, rng: random.Random, share: float
) -> tuple[list[MechanismRow], list[ScaleRow]]:
    def n(count: int) -> int:
        return max(8, round(share * count))

    match section:
        case "behaviour":
            return behaviour.measure_behaviour(model, rng, n(behaviour.N_ASKED)), []
        case "couplets":
            return planning.measure_planning(model, rng, n(planning.N_PROMPTS)), []
        case "languages":
            return sharing.measure_sharing(model, rng, n(sharing.PER_RELATION)), sharing.measure_overlap(
                model
            )
        case "sums":
            paths = working.measure_two_paths(model, rng, n(working.N_PAIRS))
            return working.measure_sums(model, rng, n(working.PER_CONTEXT)) + paths, []
        case "steps":
            return working.measure_steps(model, rng, n(working.N_CHAINS)), []
        case "several people":
            return among.measure_among(model, rng, n(among.N_ASKED)), []
        case _:
            return [], behaviour.measure_voices(model, rng, n(behaviour.N_ASKED))


def is_second(model: Engine) -> bool:
    """Whether a model reads the second world's texts: its tokenizer has the marks of a picture."""
    vocabulary = model.tokenizer.get_vocab()
    return all(mark in vocabulary for mark in (BEGIN, END, EMPTY))
