"""The weights of a dictionary in training, and how each method initialises them."""

import math
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from mindscope.dictionaries.sites import Wiring
from mindscope.dictionaries.training.config import DictionaryConfig
from mindscope.features import Site

FIRING = 10_000
"""JumpReLU begins with about so many active latents a token, but with at most half of all."""


class TrainableWeights(nn.Module):
    """Parameters by coder, in the units of normalised activations.

    `parts[i]` holds `W_enc`, `b_enc` and `W_dec` of coder i as in `Coder`, for jumprelu `log_threshold`, with
    a linear path `W_skip`; `b_dec` is that of all writes.
    """

    def __init__(self, config: DictionaryConfig, reads: Sequence[Site], writes: Sequence[Site]):
        super().__init__()
        self.config, self.reads, self.writes = config, tuple(reads), tuple(writes)
        self.wiring = wiring(config)
        self.read_columns = [_columns(self.reads, one.reads) for one in self.wiring]
        self.write_columns = [_columns(self.writes, one.writes) for one in self.wiring]
        self.d_out = sum(site.width for site in writes)
        self.parts = nn.ModuleList()
        for one, inputs, outputs in zip(self.wiring, self.read_columns, self.write_columns, strict=True):
            d_in, d_out = inputs.stop - inputs.start, outputs.stop - outputs.start
            shapes = {
                "W_enc": (one.n_latents, d_in),
                "b_enc": (one.n_latents,),
                "W_dec": (one.n_latents, d_out),
            }
            if config.method == "jumprelu":
                shapes["log_threshold"] = (one.n_latents,)
            if config.skip:
                shapes["W_skip"] = (d_in, d_out)
            self.parts.append(nn.ParameterDict({name: torch.zeros(shape) for name, shape in shapes.items()}))
        self.b_dec = nn.Parameter(torch.zeros(self.d_out))

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

    def coders(self) -> Iterator[tuple[nn.ParameterDict, slice, slice]]:
        """Each coder with the columns that it reads and those that it writes."""
        for part, inputs, outputs in zip(self.parts, self.read_columns, self.write_columns, strict=True):
            assert isinstance(part, nn.ParameterDict)
            yield part, inputs, outputs

    def norms(self, W_dec: Float[Tensor, "latents d"], index: int) -> Float[Tensor, "latents"]:
        """What a latent's activation is weighed by: the norm of its decoder row over all that it writes.

        In a crosscoder the sum of the norms at the single sites, which is what makes exclusive latents.
        """
        if self.config.kind != "crosscoder":
            return W_dec.norm(dim=1)
        widths = [self.writes[i].width for i in self.wiring[index].writes]
        return torch.stack([one.norm(dim=1) for one in W_dec.split(widths, dim=1)]).sum(0)

    @torch.no_grad()
    def initialise(
        self, x: Float[Tensor, "tokens d_in"], y: Float[Tensor, "tokens d_out"], seed: int
    ) -> None:
        """Begin as the method's paper does, given the first activations (normalised)."""
        draw = torch.Generator().manual_seed(seed)
        for part, inputs, _ in self.coders():
            match self.config.method:
                case "relu":
                    self._relu(part, draw)
                case "jumprelu":
                    self._jumprelu(part, x[:, inputs], draw)
                case _:
                    self._top(part, draw)
        if self.config.top:
            self.b_dec.copy_(geometric_median(y) if self.tied else y.mean(0))

    def _relu(self, part: nn.ParameterDict, draw: torch.Generator) -> None:
        """Random directions of norm 0.1, the encoder the decoder's transpose, biases 0."""
        for name in ("W_dec", "W_enc"):
            part[name].copy_(0.1 * normalize(torch.randn(part[name].shape, generator=draw)))
        if self.tied:
            part["W_enc"].copy_(part["W_dec"])

    def _top(self, part: nn.ParameterDict, draw: torch.Generator) -> None:
        """Unit directions, the decoder tied to the encoder; that of a transcoder 0 (arXiv 2501.18823)."""
        part["W_enc"].copy_(normalize(torch.randn(part["W_enc"].shape, generator=draw)))
        if self.tied:
            part["W_dec"].copy_(part["W_enc"])

    def _jumprelu(self, part: nn.ParameterDict, x: Tensor, draw: torch.Generator) -> None:
        """W_dec ~ U(±1/sqrt(n)), W_enc = n/m of its transpose, b_enc such that m latents fire 10,000 at once.

        Where encoder and decoder have no common shape, W_enc ~ U(±1/sqrt(m)) of its own.
        """
        m, n = part["W_enc"].shape
        part["W_dec"].copy_(_uniform(part["W_dec"].shape, part["W_dec"].shape[1], draw))
        part["W_enc"].copy_(part["W_dec"] * (n / m) if self.tied else _uniform(part["W_enc"].shape, m, draw))
        part["log_threshold"].fill_(self.config.log_threshold)
        silent = 1 - min(FIRING / m, 0.5)
        place = min(int(silent * len(x)), len(x) - 1) + 1
        for rows in torch.arange(m).split(512):
            quantile = (x @ part["W_enc"][rows].T).kthvalue(place, dim=0).values
            part["b_enc"][rows] = part["log_threshold"][rows].exp() - quantile


def wiring(config: DictionaryConfig) -> tuple[Wiring, ...]:
    """The coders that a kind of dictionary has."""
    if config.kind == "clt":
        layers = len(config.reads)
        return tuple(Wiring((at,), tuple(range(at, layers)), config.n_latents) for at in range(layers))
    reads, writes = tuple(range(len(config.reads))), tuple(range(len(config.targets)))
    return (Wiring(reads, writes, config.n_latents),)


def geometric_median(
    points: Float[Tensor, "points d"], steps: int = 100, tolerance: float = 1e-5
) -> Float[Tensor, "d"]:
    """The point with the least sum of distances to all points, by Weiszfeld's iteration from the mean."""
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


def _uniform(shape: torch.Size, n: int, draw: torch.Generator) -> Tensor:
    return (torch.rand(shape, generator=draw) * 2 - 1) / math.sqrt(n)
