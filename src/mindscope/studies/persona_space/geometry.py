"""The vectors of all voices as points: the dimensions that hold them, and the assistant axis among them.

1. Roles are all voices but the helpful one. Principal components are those of the roles of one draw, less
   their mean (as in Lu et al. 2026); the variance that they hold is that of the roles of another draw, so
   that noise of the answers is no dimension.
2. Beside it as many random vectors of the same norms, drawn once and seen twice: with each draw's own noise,
   of the size of the difference between two draws.
3. The assistant axis is the mean of answers without a system prompt less the mean of all roles.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.store import Document
from mindscope.studies.persona_space.results import PersonaGeometry
from mindscope.studies.persona_space.voices import VoiceReads, to_table

N_DIRECTIONS = 200
"""Random directions beside the axis."""
RESAMPLES = 2000


class PairCorrelation(Document):
    """r over pairs of voices, with its interval and what shuffled voices give."""

    r: float
    low: float
    high: float
    """The middle 95 % where voices, with all their pairs, are drawn again."""
    shuffled: float
    """The 95th percentile of |r| where the voices of one side are shuffled (Mantel 1967)."""
    pairs: int
    voices: int

    def __str__(self) -> str:
        return f"{self.r:.3g} ({self.low:.3g} to {self.high:.3g}, {self.pairs} pairs of {self.voices} voices)"


def correlate_pairs(
    x: Float[np.ndarray, "voices voices"],
    y: Float[np.ndarray, "voices voices"],
    seed: int = 0,
    opposites: int = 0,
) -> PairCorrelation:
    """Pearson's r of two symmetric tables, over the pairs above the diagonal.

    Pairs share voices and are not independent; voices are. In a resample a voice counts as often as it was
    drawn, and a pair as often as both. Voices that lie `opposites` apart are opposites and no pair, since
    one scale measures both; 0 where there are none.
    """
    n = len(x)
    first, second = np.triu_indices(n, 1)
    if opposites:
        kept = second - first != opposites
        first, second = first[kept], second[kept]
    draw = np.random.default_rng(seed)

    def weighted(table: np.ndarray, weights: np.ndarray) -> float:
        a, b = x[first, second], table[first, second]
        total = max(weights.sum(), 1e-12)  # no pair is left where one voice was drawn every time
        a, b = a - (weights @ a) / total, b - (weights @ b) / total
        spread = (weights @ a**2) * (weights @ b**2)
        return float((weights @ (a * b)) / np.sqrt(spread)) if spread > 0 else float("nan")

    even = np.ones(len(first))
    counts = draw.multinomial(n, [1 / n] * n, size=RESAMPLES)
    resampled = np.array([weighted(y, row[first] * row[second].astype(float)) for row in counts])
    low, high = np.nanquantile(resampled, [0.025, 0.975]).tolist()
    orders = [draw.permutation(n) for _ in range(RESAMPLES)]
    shuffled = [abs(weighted(y[np.ix_(order, order)], even)) for order in orders]
    return PairCorrelation(
        r=weighted(y, even),
        low=low,
        high=high,
        shuffled=float(np.nanquantile(shuffled, 0.95)),
        pairs=len(first),
        voices=n,
    )


def count_dimensions(spectrum: Sequence[float], share: float) -> int:
    """The first number of components that hold this share; all of them where none does."""
    return next((number + 1 for number, held in enumerate(spectrum) if held >= share), len(spectrum))


def measure_geometry(draws: Sequence[VoiceReads], seed: int) -> PersonaGeometry:
    """All of the above; each draw beside the next one."""
    generator = torch.Generator().manual_seed(seed)
    units = [torch.nn.functional.normalize(reads.vectors[1:], dim=1) for reads in draws]
    cosines = torch.stack([unit @ unit.T for unit in units]).mean(0)
    spectra: list[list[float]] = []
    random_spectra: list[list[float]] = []
    axis_cosines: list[list[float]] = []
    axis_random: list[float] = []
    reads_of: list[float] = []
    reads_random: list[float] = []
    for number, reads in enumerate(draws):
        other = draws[(number + 1) % len(draws)]
        ours, theirs = reads.vectors[1:], other.vectors[1:]
        spectra.append(_held_out_spectrum(ours, theirs))
        made = torch.nn.functional.normalize(torch.randn(ours.shape, generator=generator), dim=1)
        made = made * ours.norm(dim=1, keepdim=True)
        noise = (ours - theirs).norm(dim=1, keepdim=True) / 2**0.5
        twice = [
            made + noise * torch.nn.functional.normalize(torch.randn(made.shape, generator=generator), dim=1)
            for _ in range(2)
        ]
        random_spectra.append(_held_out_spectrum(*twice))
        components = _components(ours)
        axis = torch.nn.functional.normalize(reads.axis, dim=0)
        axis_cosines.append((components @ axis).abs().tolist())
        directions = torch.nn.functional.normalize(
            torch.randn(N_DIRECTIONS, len(axis), generator=generator), dim=1
        )
        axis_random.append(float((directions @ components[0]).abs().quantile(0.95)))
        if other.shown is not None:
            # rows are the other draw's answers, of all voices and without a system prompt
            seen, helpful = other.answers.flatten(0, 1), other.shown[..., 0].flatten()
            reads_of.append(_correlation(seen @ axis, helpful))
            random_r = torch.tensor([_correlation(seen @ direction, helpful) for direction in directions])
            reads_random.append(float(random_r.abs().quantile(0.95)))
    return PersonaGeometry(
        cosines=to_table(cosines.numpy()),
        spectra=tuple(map(tuple, spectra)),
        random_spectra=tuple(map(tuple, random_spectra)),
        axis_cosines=tuple(map(tuple, axis_cosines)),
        axis_random=tuple(axis_random),
        axis_reads=tuple(reads_of),
        axis_reads_random=tuple(reads_random),
    )


def _components(vectors: Float[Tensor, "roles width"]) -> Float[Tensor, "components width"]:
    """Principal components of the roles, less their mean; the last has no variance and is left out."""
    centred = vectors.double() - vectors.double().mean(0)
    return torch.linalg.svd(centred, full_matrices=False).Vh[: len(vectors) - 1].float()


def _held_out_spectrum(
    ours: Float[Tensor, "roles width"], theirs: Float[Tensor, "roles width"]
) -> list[float]:
    """The share of `theirs` that the first components of `ours` hold, one after another."""
    centred = theirs - theirs.mean(0)
    held = (centred @ _components(ours).T).square().sum(0).cumsum(0)
    return (held / centred.square().sum()).tolist()


def _correlation(x: Float[Tensor, "rows"], y: Float[Tensor, "rows"]) -> float:
    return float(torch.corrcoef(torch.stack([x.double(), y.double()]))[0, 1])
