"""Training on activations that lie in memory, each several times: what is read once serves all coders.

Outliers are left out, as `dictionaries.train` leaves them out. A seed has its own tokens; the last of them
are held out.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from mindscope.dictionaries import Dictionary, DictionaryConfig, DictionaryTrainer, ModelSource
from mindscope.engines import Engine
from mindscope.features import OutlierLimits, Site
from mindscope.models import Row
from mindscope.store import Run

SEEN = 16_384
"""Tokens that scales and first biases are measured on, at most."""


class PoolTraining(BaseModel):
    """How coders are trained on a pool."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tokens: int = Field(default=36_000, ge=64)
    """That are trained on, several times over, a seed; distinct ones."""
    held_tokens: int = Field(default=4096, ge=32)
    """Of other rows, that losses and densities are measured on."""
    steps: int = Field(default=200, ge=1)
    batch_tokens: int = Field(default=512, ge=8)
    learning_rate: float = Field(default=3e-3, gt=0)
    sparsity: float = Field(default=5.0, gt=0)
    """The coefficient of L1, the same for all coders, with every layer's activations scaled to a mean norm of
    the square root of their width: that of the circuits update of April 2024."""
    k: int = Field(default=20, ge=1)
    """Latents active on a token with BatchTopK: of a crosscoder, and of the SAE of each layer."""


@dataclass(frozen=True)
class TokenPool:
    """Activations at several sites, side by side.

    Attributes:
        train: to learn from.
        held: to measure on.
        sites: in the order of the columns.
        names: of the sites, as configurations give them.
        models: their models' fingerprints by name.
        ids: of the held-out tokens.
        shares: how often each token to learn from is drawn, as a share of all draws; evenly if None.
    """

    train: Float[Tensor, "tokens width"]
    held: Float[Tensor, "held width"]
    sites: tuple[Site, ...]
    names: tuple[str, ...]
    models: Mapping[str, str | None]
    ids: Tensor
    shares: Float[Tensor, "tokens"] | None = None

    def columns(self, numbers: Sequence[int]) -> "TokenPool":
        """Some of the sites, by number."""
        widths = [site.width for site in self.sites]
        train, held = (
            torch.cat([part.split(widths, dim=1)[n] for n in numbers], dim=1)
            for part in (self.train, self.held)
        )
        sites, names = tuple(self.sites[n] for n in numbers), tuple(self.names[n] for n in numbers)
        models = {site.model: self.models[site.model] for site in sites}
        return TokenPool(train, held, sites, names, models, self.ids, self.shares)

    def shuffled(self, seed: int) -> "TokenPool":
        """With the tokens of each site in an order of their own, drawn evenly: what sites share is gone."""
        draw = torch.Generator().manual_seed(seed)
        widths = [site.width for site in self.sites]
        train, held = (
            torch.cat(
                [own[torch.randperm(len(own), generator=draw)] for own in part.split(widths, dim=1)], dim=1
            )
            for part in (self.train, self.held)
        )
        return TokenPool(train, held, self.sites, self.names, self.models, self.ids)

    def scales(self) -> Float[Tensor, "width"]:
        """What brings the mean norm of each site to the square root of its width."""
        parts = self.train.split([site.width for site in self.sites], dim=1)
        shares = torch.ones(len(self.train)) if self.shares is None else self.shares
        shares = shares / shares.sum()
        return torch.cat(
            [
                (site.width**0.5 / (part.norm(dim=1) * shares).sum()).expand(site.width)
                for site, part in zip(self.sites, parts, strict=True)
            ]
        )


def read_pool(
    models: Mapping[str, Engine],
    names: Sequence[str],
    rows: Callable[[int], Row],
    config: PoolTraining,
) -> TokenPool:
    """Activations of rows 0, 1, ... until there are enough.

    Args:
        models: by name.
        names: of the sites; see `ModelSource`.
        rows: gives the row of a number, the same whenever it is asked for.
        config: says how many tokens.
    """
    read: list[Row] = []

    def taken(start: int):
        while True:
            row = rows(start)
            read.append(row)
            yield row
            start += 1

    wanted = config.tokens + config.held_tokens
    source = ModelSource(models, names, taken)
    buffer = torch.empty(wanted, sum(site.width for site in source.sites))
    source.fill(buffer, (0, 0))
    ids = torch.tensor([token for row in read for token in row.ids])[:wanted]
    ordinary = OutlierLimits.measured(buffer, source.sites).ordinary(buffer, source.sites)
    held = ordinary.clone()
    held[: config.tokens] = False
    ordinary[config.tokens :] = False
    return TokenPool(buffer[ordinary], buffer[held], source.sites, source.names, source.models, ids[held])


def train_coder(
    pool: TokenPool, config: PoolTraining, seed: int, *, latents: int, method: str, **settings: object
) -> Dictionary:
    """A coder of all sites of a pool.

    Args:
        pool: what it learns from.
        config: of the study.
        seed: of its first weights, and of the order of the tokens.
        latents: how many it has; of each site if it is weakly causal.
        method: `relu` or `batchtopk`.
        settings: others of `DictionaryConfig`.
    """
    own = DictionaryConfig.model_validate(
        {
            "name": "coder",
            "kind": "crosscoder" if len(pool.sites) > 1 else "sae",
            "reads": pool.names,
            "n_latents": latents,
            "method": method,
            "k": min(config.k, latents),
            "learning_rate": config.learning_rate,
            "sparsity": config.sparsity if method == "relu" else None,
            "dead_tokens": max(1, config.steps * config.batch_tokens // 4),
            **settings,
        }
    )
    trainer = DictionaryTrainer(own, pool.sites, pool.sites, steps=config.steps, seed=seed)
    draw = torch.Generator().manual_seed(seed)
    batches = draw_batches(pool, config.batch_tokens, draw)
    first = pool.train[:SEEN] if pool.shares is None else pool.train[draw_shares(pool.shares, SEEN, draw)]
    trainer.begin(first, first)
    for _ in range(config.steps):
        trainer.step(pool.train[next(batches)])
    return replace(trainer.finish({}), models=dict(pool.models))


def draw_batches(pool: TokenPool, size: int, draw: torch.Generator) -> Iterator[Int[Tensor, "size"]]:
    """Batches of tokens without end: all of them in a new order each time, or as their shares say."""
    order = torch.empty(0, dtype=torch.long)
    while True:
        if pool.shares is not None:
            yield draw_shares(pool.shares, size, draw)
            continue
        while len(order) < size:  # through all tokens in a new order
            order = torch.cat([order, torch.randperm(len(pool.train), generator=draw)])
        yield order[:size]
        order = order[size:]


def draw_shares(shares: Float[Tensor, "tokens"], count: int, draw: torch.Generator) -> Int[Tensor, "count"]:
    """Tokens drawn with these shares, again and again."""
    ends = shares.double().cumsum(0)
    places = torch.rand(count, generator=draw, dtype=torch.float64) * ends[-1]
    return torch.searchsorted(ends, places, right=True).clamp(max=len(shares) - 1)


def keep_coder(run: Run, name: str, train: Callable[[], Dictionary]) -> Dictionary:
    """A coder out of the run's folder `coders`, or trained and kept there: a stopped study goes on."""
    folder = run.path / "coders" / name  # of several coders; one is a file
    file = folder.with_suffix(".safetensors")
    if not (folder.exists() or file.exists()):
        folder.parent.mkdir(parents=True, exist_ok=True)
        trained = train()
        trained.save(file if len(trained.wiring) == 1 else folder)
    return Dictionary.load(folder if folder.exists() else file)
