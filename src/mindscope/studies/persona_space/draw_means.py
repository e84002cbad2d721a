"""What all draws of a study of persona space say together: effects, grips, and voices that show together."""

import numpy as np

from mindscope.studies.common import SeedEstimate
from mindscope.studies.persona_space.results import PersonaSpaceStudy, RealTraitsStudy


def judged_poles(study: RealTraitsStudy) -> list[int]:
    """The poles that have scores in every draw, by number from 0; opposites are the second half of them."""
    return sorted(set.intersection(*(set(draw.judged) for draw in study.judged)))


def co_expression(study: RealTraitsStudy) -> np.ndarray:
    """For each pair of judged poles how much of the other is shown where one is told, both ways, over what
    is shown without a system prompt.
    """
    poles, tables = judged_poles(study), []
    for draw in study.judged:
        columns = [draw.judged.index(pole) for pole in poles]
        scores = np.array(draw.scores)[:, columns]
        beyond = scores[[1 + pole for pole in poles]] - scores[-1]
        tables.append((beyond + beyond.T) / 2)
    return np.mean(tables, 0)


def shares_of_effect(study: PersonaSpaceStudy, part: str) -> np.ndarray:
    """What vectors of a part (`rebuilt`, `rest`, `random`) do, as a share of the whole vector's effect.

    Rows are characters, columns numbers of features; scores are means over draws.
    """

    def mean(name: str) -> np.ndarray:
        return np.mean([getattr(draw, name) for draw in study.persona_carriers], 0)

    unsteered = mean("unsteered")
    return (mean(part) - unsteered[:, None]) / (mean("whole") - unsteered)[:, None]


def grips(study: PersonaSpaceStudy) -> np.ndarray:
    """By voice but the helpful one: what its vector brings out of what its system prompts do."""
    told = np.mean([draw.scores for draw in study.told], 0)
    steered = np.mean([draw.steered for draw in study.steered], 0)
    unsteered = np.mean([draw.unsteered for draw in study.steered], 0)
    voices = np.arange(1, len(study.voices))
    return (steered[voices - 1, voices] - unsteered[voices]) / (told[voices, voices] - told[0, voices])


def shown_together(study: PersonaSpaceStudy) -> np.ndarray:
    """For each pair of voices how much of the other one is shown under a vector, both ways, over what is
    shown unsteered.
    """
    steered = np.mean([draw.steered for draw in study.steered], 0)[:, 1:]
    beyond = steered - np.mean([draw.unsteered for draw in study.steered], 0)[1:]
    return (beyond + beyond.T) / 2


def blended_together(study: PersonaSpaceStudy) -> np.ndarray:
    """For each pair of characters the lesser of both scores where both are asked for."""
    table = np.zeros((study.n_characters, study.n_characters))
    first = study.blends[0]
    for number, (a, b) in enumerate(first.pairs):
        table[a - 1, b - 1] = table[b - 1, a - 1] = np.mean([draw.both[number] for draw in study.blends])
    return table


def centre_groups(values: np.ndarray, n_first: int) -> np.ndarray:
    """Values less the mean of their group."""
    return np.concatenate([part - part.mean() for part in (values[:n_first], values[n_first:])])


def correlate_values(x: np.ndarray, y: np.ndarray, groups: int = 1) -> SeedEstimate:
    """Pearson's r over voices, with Fisher's 95 % interval; `groups` whose means were taken off cost as many
    degrees of freedom, less the one that r has taken already.
    """
    r, n = float(np.corrcoef(x, y)[0, 1]), len(x)
    width = 1.96 / max(n - 2 - groups, 1) ** 0.5
    centre = float(np.arctanh(np.clip(r, -0.9999, 0.9999)))
    low, high = np.tanh([centre - width, centre + width]).tolist()
    return SeedEstimate(mean=r, low=low, high=high, seeds=n, unit="voices")
