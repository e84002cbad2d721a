"""How the exclusive latents of a crosscoder between two models differ from its shared ones.

1. A latent's share of decoder norm in the tuned model says whether it is the base's (under 5 %), the tuned
   model's (over 95 %) or shared (30 to 70 %); those that are designated shared do not count.
2. Its density is the share of held-out tokens that it is active on.
3. How many things it is active on: the entropy, in bits, of which token stands where it is active. A denser
   latent meets more tokens anyway, so that each exclusive latent is held beside the shared one whose density
   is nearest.
4. Mirror: the highest correlation of a tuned model's exclusive latent with any of the base's, less that with
   as many shared ones of nearest density.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cosine_similarity

from mindscope.dictionaries import Dictionary, relative_decoder_norms
from mindscope.diffing import scale_latents
from mindscope.features import SparseCode
from mindscope.studies.common import TokenPool
from mindscope.studies.crosscoders.paper import EXCLUSIVE, SHARED
from mindscope.studies.crosscoders.results import PairScores

STEPS = 20
"""Bars of the histogram of norms."""
AT_ONCE = 2048
FEWEST = 3
"""Fewer shared latents have no rank correlation."""


@torch.no_grad()
def score_pair(name: str, coder: Dictionary, pool: TokenPool, designated: int = 0) -> PairScores:
    """All that is asked of one crosscoder between `base` and `tuned`.

    Args:
        name: what tables call it.
        coder: the crosscoder.
        pool: the sites of both models.
        designated: so many latents, the first, are designated shared.
    """
    x = pool.held
    code = coder.encode(x)
    counts = torch.bincount(code.indices, minlength=code.n_latents)
    share = relative_decoder_norms(coder, "tuned")
    free = counts > 0
    free[:designated] = False
    base = (free & (share < 1 - EXCLUSIVE)).nonzero().flatten()
    tuned = (free & (share > EXCLUSIVE)).nonzero().flatten()
    shared = (free & (share > SHARED[0]) & (share < SHARED[1])).nonzero().flatten()
    density = counts / len(x)
    bits = token_bits(code, pool.ids)
    exclusive = torch.cat([base, tuned])
    scaling = scale_latents(coder, x.split(AT_ONCE), "tuned")
    error = (x - coder.decode(code)).square().sum() / (x - x.mean(0)).square().sum()
    return PairScores(
        name=name,
        explained=round(1 - float(error), 5),
        active=round(len(code.indices) / len(x), 4),
        alive=int((counts > 0).sum()),
        norms=tuple(torch.histc(share[counts > 0], STEPS, 0, 1).tolist()),
        exclusive=(len(base), len(tuned)),
        shared=len(shared),
        density=(_median(density[exclusive]), _median(density[shared])),
        tokens=_excess_bits(bits, density, exclusive, shared),
        mirrored=measure_mirror(code, density, base, tuned, shared),
        cosine=_rank_cosines(coder, bits, shared),
        claimed=int(scaling.claimed.sum()),
        shrunk=int(scaling.shrunk.sum()),
        decoupled=int(scaling.decoupled.sum()),
        real=int(scaling.exclusive.sum()),
    )


def token_bits(code: SparseCode, ids: Int[Tensor, "tokens"]) -> Float[Tensor, "latents"]:
    """Of each latent the entropy, in bits, of which token stands where it is active; 0 where it never is."""
    vocabulary = int(ids.max()) + 1
    pairs, n = torch.unique(code.indices * vocabulary + ids[code.tokens], return_counts=True)
    latents = pairs // vocabulary
    counts = torch.bincount(code.indices, minlength=code.n_latents).double().clamp(min=1)
    shares = n / counts[latents]
    return torch.zeros(code.n_latents, dtype=torch.double).index_add_(0, latents, -shares * shares.log2())


def match_density(
    density: Float[Tensor, "latents"], wanted: Int[Tensor, "k"], among: Int[Tensor, "m"]
) -> Int[Tensor, "n"]:
    """For each wanted latent the one of nearest density, by ratio, that none before it was given.

    There are no more of them than there are to choose from.
    """
    left = among.tolist()
    logs = density.clamp(min=1e-9).log()
    chosen: list[int] = []
    for latent in wanted.tolist()[: len(left)]:
        gaps = [abs(float(logs[other] - logs[latent])) for other in left]
        chosen.append(left.pop(int(np.argmin(gaps))))
    return torch.tensor(chosen, dtype=torch.long)


def measure_mirror(
    code: SparseCode,
    density: Float[Tensor, "latents"],
    base: Int[Tensor, "k"],
    tuned: Int[Tensor, "m"],
    shared: Int[Tensor, "n"],
) -> float | None:
    """How much better exclusive latents of the base correlate with those of the tuned model than shared ones
    do; None where one of the three has none.
    """
    if not (len(base) and len(tuned) and len(shared)):
        return None
    others = match_density(density, base, shared)
    own = code.columns(tuned)
    best = [correlations(own, code.columns(these)).amax(1) for these in (base[: len(others)], others)]
    return round(float((best[0] - best[1]).mean()), 5)


def correlations(a: Float[Tensor, "tokens k"], b: Float[Tensor, "tokens m"]) -> Float[Tensor, "k m"]:
    """Of every column of one table with every column of the other; 0 where a column is constant."""
    parts = []
    for table in (a, b):
        centred = table.double() - table.double().mean(0)
        parts.append(centred / centred.norm(dim=0).clamp(min=1e-12))
    return parts[0].T @ parts[1]


def _excess_bits(bits: Tensor, density: Tensor, exclusive: Tensor, shared: Tensor) -> float | None:
    if not (len(exclusive) and len(shared)):
        return None
    others = torch.stack(
        [match_density(density, exclusive[place : place + 1], shared)[0] for place in range(len(exclusive))]
    )
    return round(float((bits[exclusive] - bits[others]).mean()), 5)


def _rank_cosines(coder: Dictionary, bits: Tensor, shared: Tensor) -> float | None:
    from scipy.stats import rankdata

    if len(shared) < FEWEST:
        return None
    rows = [coder.decoder(0, write)[shared].float() for write in range(2)]
    cosines = cosine_similarity(rows[0], rows[1], dim=1)
    ranks = [torch.from_numpy(rankdata(values.numpy()))[:, None] for values in (cosines, bits[shared])]
    return round(float(correlations(*ranks)), 5)


def _median(values: Tensor) -> float | None:
    return round(float(values.float().median()), 7) if len(values) else None
