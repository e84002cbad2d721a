"""The weights of a dictionary in training, and how each method initialises them."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from mindscope.dictionaries.sites import Wiring
from mindscope.dictionaries.training.config import DictionaryConfig
from mindscope.dictionaries.training.processes import ALONE, TrainingWorld
from mindscope.errors import DataError
from mindscope.features import Site

FIRING = 10_000
"""About how many latents are active on a token when JumpReLU begins; at most half of all."""
DRAWN_ROWS = 1024
"""Rows of a matrix that are drawn at a time. Normal numbers are drawn sixteen at a time: so long as this is a
multiple of that, they are those of one draw."""


class TrainableCoder(nn.Module):
    """The parameters of one coder, in the units of normalised activations, and its columns.

    Attributes:
        W_enc, b_enc, W_dec: as in `Coder`.
        log_threshold: `[latents]`, of jumprelu.
        W_skip: `[d_in, d_out]`, the linear path of a skip transcoder.
        inputs: the columns of what is read that it sees.
        outputs: the columns of what is written that it adds to.
        n_latents: of the whole coder.
        rows: which of these this process holds, as rows of the matrices; all, unless latents are shared.
    """

    W_enc: nn.Parameter
    b_enc: nn.Parameter
    W_dec: nn.Parameter
    log_threshold: nn.Parameter | None
    W_skip: nn.Parameter | None

    def __init__(
        self, config: DictionaryConfig, n_latents: int, inputs: slice, outputs: slice, rows: slice
    ) -> None:
        super().__init__()
        self.inputs, self.outputs, self.n_latents, self.rows = inputs, outputs, n_latents, rows
        n_latents = rows.stop - rows.start
        d_in, d_out = inputs.stop - inputs.start, outputs.stop - outputs.start
        self.W_enc = nn.Parameter(torch.zeros(n_latents, d_in))
        self.b_enc = nn.Parameter(torch.zeros(n_latents))
        self.W_dec = nn.Parameter(torch.zeros(n_latents, d_out))
        thresholded = config.method == "jumprelu"
        self.log_threshold = nn.Parameter(torch.zeros(n_latents)) if thresholded else None
        self.W_skip = nn.Parameter(torch.zeros(d_in, d_out)) if config.skip else None


class TrainableWeights(nn.Module):
    """All parameters: those of each coder, and `b_dec`, that of all writes side by side."""

    def __init__(
        self,
        config: DictionaryConfig,
        reads: Sequence[Site],
        writes: Sequence[Site],
        latents: TrainingWorld = ALONE,
    ):
        super().__init__()
        self.config, self.reads, self.writes, self.latents = config, tuple(reads), tuple(writes), latents
        if latents.count > config.n_latents:
            raise DataError(f"{latents.count} processes cannot share {config.n_latents} latents")
        self.wiring = wiring(config)
        self.d_out = sum(site.width for site in writes)
        self.parts = nn.ModuleList(
            TrainableCoder(
                config,
                coder.n_latents,
                _columns(self.reads, coder.reads),
                _columns(self.writes, coder.writes),
                latents.share(coder.n_latents),
            )
            for coder in self.wiring
        )
        self.b_dec = nn.Parameter(torch.zeros(self.d_out))
        shared, own = round(config.shared_latents * config.n_latents), latents.share(config.n_latents)
        self.n_shared = min(max(shared - own.start, 0), own.stop - own.start)
        """How many latents, the first ones that this process holds, are designated shared."""
        widths = [site.width for site in self.writes]
        if shared and len({*widths}) > 1:
            raise DataError(
                f"{config.name}: shared latents write the same at sites of one width, not {widths}"
            )
        self.halves = _model_halves(self.writes) if config.delta else None
        """The columns of both models, for the delta loss."""

    @property
    def tied(self) -> bool:
        """Whether it writes where it reads, so that encoder and decoder begin alike."""
        return self.config.kind in ("sae", "crosscoder")

    @property
    def centred_by_b_dec(self) -> bool:
        """Whether b_dec is subtracted from the input, as the TopK papers have it for SAEs."""
        return self.config.top and self.config.kind == "sae"

    @property
    def unit_rows(self) -> bool:
        """Whether decoder rows are held at norm 1.

        A crosscoder's norms say whose a latent is; a transcoder of the TopK methods begins at zero.
        """
        return self.config.top and self.config.kind == "sae"

    def coders(self) -> Iterator[TrainableCoder]:
        """The coders in the order of the wiring."""
        for coder in self.parts:
            assert isinstance(coder, TrainableCoder)
            yield coder

    def sliced_parameters(self) -> list[nn.Parameter]:
        """Those with a row for each latent, of which each process holds its slice."""
        return [p for coder in self.coders() for p in coder.parameters() if p is not coder.W_skip]

    def common_parameters(self) -> list[nn.Parameter]:
        """Those that every process has whole: the bias, and linear paths."""
        return [self.b_dec, *(coder.W_skip for coder in self.coders() if coder.W_skip is not None)]

    def norms(self, W_dec: Float[Tensor, "latents d"], index: int) -> Float[Tensor, "latents"]:
        """What a latent's activation is weighed by: the norm of its decoder row over all that it writes.

        In a crosscoder the sum of the norms at the single sites, which is what makes exclusive latents.
        """
        if self.config.kind != "crosscoder":
            return W_dec.norm(dim=1)
        widths = [self.writes[i].width for i in self.wiring[index].writes]
        return torch.stack([rows.norm(dim=1) for rows in W_dec.split(widths, dim=1)]).sum(0)

    def penalty_norms(self, W_dec: Float[Tensor, "latents d"], index: int) -> Float[Tensor, "latents"]:
        """The norms that a sparsity penalty weighs activations by: less for designated shared latents."""
        norms = self.norms(W_dec, index)
        return norms * self.penalty_factors(norms) if self.n_shared else norms

    def penalty_factors(self, norms: Float[Tensor, "latents"]) -> Float[Tensor, "latents"]:
        """By latent the share of the sparsity penalty that holds for it: 1 but for shared ones."""
        factors = torch.ones_like(norms)
        factors[: self.n_shared] = self.config.shared_penalty
        return factors

    @torch.no_grad()
    def tie_shared(self) -> None:
        """Make the gradients of shared decoder rows those of one row that all sites have.

        Rows that begin alike and have the same gradients stay alike: Adam treats each number for itself.
        """
        for rows in self._shared_rows("gradient"):
            rows.copy_(rows.sum(1, keepdim=True).expand_as(rows))

    def _shared_rows(self, which: Literal["weight", "gradient"]) -> Iterator[Tensor]:
        """A view `[shared, sites, width]` of the decoder rows, or their gradients, of each coder."""
        for coder in self.coders() if self.n_shared else ():
            rows = coder.W_dec if which == "weight" else coder.W_dec.grad
            assert rows is not None
            yield rows[: self.n_shared].unflatten(1, (len(self.writes), -1))

    @torch.no_grad()
    def initialise(
        self, x: Float[Tensor, "tokens d_in"], y: Float[Tensor, "tokens d_out"], seed: int
    ) -> None:
        """Begin as the method's paper does, given the first activations (normalised)."""
        draw = torch.Generator().manual_seed(seed)
        for coder in self.coders():
            match self.config.method:
                case "relu":
                    self._relu(coder, draw)
                case "jumprelu":
                    self._jumprelu(coder, x[:, coder.inputs], draw)
                case _:
                    self._top(coder, draw)
        self.even_shared()
        if self.config.top:
            self.b_dec.copy_(geometric_median(y) if self.tied else y.mean(0))

    @torch.no_grad()
    def even_shared(self) -> None:
        """Give shared decoder rows at every site what they have at the first."""
        for rows in self._shared_rows("weight"):
            rows.copy_(rows[:, :1].expand_as(rows).clone())

    def _relu(self, coder: TrainableCoder, draw: torch.Generator) -> None:
        """Random directions of norm 0.1, the encoder the decoder's transpose, biases 0."""
        for matrix in (coder.W_dec, coder.W_enc):
            matrix.copy_(0.1 * normalize(_drawn(torch.randn, coder, matrix.shape[1], draw)))
        if self.tied:  # of a weakly causal coder the first site that it writes is the one it reads
            own = coder.W_dec[:, : coder.W_enc.shape[1]]
            coder.W_enc.copy_(own if own.shape == coder.W_dec.shape else 0.1 * normalize(own))

    def _top(self, coder: TrainableCoder, draw: torch.Generator) -> None:
        """Unit directions, the decoder tied to the encoder; that of a transcoder 0 (arXiv 2501.18823)."""
        coder.W_enc.copy_(normalize(_drawn(torch.randn, coder, coder.W_enc.shape[1], draw)))
        if self.tied:
            coder.W_dec[:, : coder.W_enc.shape[1]] = coder.W_enc

    def _jumprelu(self, coder: TrainableCoder, x: Tensor, draw: torch.Generator) -> None:
        """W_dec ~ U(±1/sqrt(n)), W_enc = n/m of its transpose, b_enc such that m latents fire 10,000 at once.

        Where encoder and decoder have no common shape, W_enc ~ U(±1/sqrt(m)) of its own.
        """
        m, n, width = coder.n_latents, coder.W_enc.shape[1], coder.W_dec.shape[1]
        coder.W_dec.copy_((_drawn(torch.rand, coder, width, draw) * 2 - 1) / math.sqrt(width))
        if self.tied:
            coder.W_enc.copy_(coder.W_dec[:, :n] * (n / m))
        else:
            coder.W_enc.copy_((_drawn(torch.rand, coder, n, draw) * 2 - 1) / math.sqrt(m))
        assert coder.log_threshold is not None
        assert self.config.log_threshold is not None  # `resolved` fills it in
        coder.log_threshold.fill_(self.config.log_threshold)
        # The bias that puts the threshold at a quantile of the latent's pre-activations makes it fire on the
        # rest of the tokens, whatever its direction.
        silent = 1 - min(FIRING / m, 0.5)
        place = min(int(silent * len(x)), len(x) - 1) + 1
        for rows in torch.arange(len(coder.W_enc)).split(512):
            quantile = (x @ coder.W_enc[rows].T).kthvalue(place, dim=0).values
            coder.b_enc[rows] = coder.log_threshold[rows].exp() - quantile


def wiring(config: DictionaryConfig) -> tuple[Wiring, ...]:
    """The coders that a kind of dictionary has."""
    if config.kind == "clt" or config.causal:
        layers = len(config.reads)
        return tuple(
            Wiring((layer,), tuple(range(layer, layers)), config.n_latents) for layer in range(layers)
        )
    reads, writes = tuple(range(len(config.reads))), tuple(range(len(config.targets)))
    return (Wiring(reads, writes, config.n_latents),)


def _model_halves(sites: Sequence[Site]) -> tuple[slice, slice]:
    """The columns of the first and of the second model.

    Raises:
        DataError: there are not two models, one behind the other, with sites of the same widths.
    """
    models = list(dict.fromkeys(site.model for site in sites))
    widths = [[site.width for site in sites if site.model == model] for model in models]
    half = sum(site.width for site in sites) // 2
    in_order = [site.model for site in sites] == sorted((s.model for s in sites), key=models.index)
    if len(models) != 2 or widths[0] != widths[1] or not in_order:
        raise DataError(
            "a delta loss needs the same sites of two models, those of the first before those of the second"
        )
    return slice(0, half), slice(half, 2 * half)


def geometric_median(
    points: Float[Tensor, "points d"], steps: int = 100, tolerance: float = 1e-5
) -> Float[Tensor, "d"]:
    """The point with the least sum of distances to all points, by Weiszfeld's iteration from the mean."""
    # Each step is a mean weighted by 1 / distance, which far points move less than they move the mean.
    guess = points.mean(0)
    for _ in range(steps):
        weights = 1 / (points - guess).norm(dim=1).clamp_min(1e-12)
        before, guess = guess, (weights / weights.sum()) @ points
        if (guess - before).norm() < tolerance:
            break
    return guess


def _columns(sites: Sequence[Site], used: Sequence[int]) -> slice:
    """The columns of neighbouring sites."""
    start = sum(site.width for site in sites[: used[0]])
    return slice(start, start + sum(sites[i].width for i in used))


def _drawn(how: Callable[..., Tensor], coder: TrainableCoder, width: int, draw: torch.Generator) -> Tensor:
    """Random rows of the latents that this process holds, out of those that one process would draw for all.

    All are drawn, a piece at a time, so that no process ever holds the rows of the others.
    """
    kept, rows = torch.empty(coder.rows.stop - coder.rows.start, width), coder.rows
    for start in range(0, coder.n_latents, DRAWN_ROWS):
        stop = min(start + DRAWN_ROWS, coder.n_latents)
        piece = how(stop - start, width, generator=draw)
        first, last = max(start, rows.start), min(stop, rows.stop)
        if first < last:
            kept[first - rows.start : last - rows.start] = piece[first - start : last - start]
    return kept
