"""Activations whose dictionary is known, and what every kind and method computes, by plain formulas."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from mindscope.core import ModelIdentity
from mindscope.dictionaries import Dictionary, DictionaryConfig, Site
from mindscope.dictionaries.training.sources import Position
from mindscope.dictionaries.training.weights import TrainableWeights
from mindscope.store import Run

WIDTH, ATOMS, ACTIVE = 48, 64, 3


class AtomSource:
    """Each token is the sum of about ACTIVE of ATOMS unit vectors, each with a strength from 1 to 2.

    Site `here` holds the sum; `there` the same strengths on other atoms, through which a transcoder maps.
    """

    names = ("here", "there")
    sites = (Site("here", WIDTH), Site("there", WIDTH))
    models: Mapping[str, str | None] = {"0": None}
    made_with: Mapping[str, ModelIdentity] = {}

    def __init__(self, scale: float = 1.0) -> None:
        # not the seed of a training, whose first weights are drawn in the same way: they would be the atoms
        draw = torch.Generator().manual_seed(2**20)
        self.atoms, self.images = (
            scale * normalize(torch.randn(ATOMS, WIDTH, generator=draw)) for _ in range(2)
        )

    def tokens(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Strengths `[tokens, ATOMS]`, and the activations at both sites."""
        draw = torch.Generator().manual_seed(seed)
        on = torch.rand(count, ATOMS, generator=draw) < ACTIVE / ATOMS
        strengths = on * (1 + torch.rand(count, ATOMS, generator=draw))
        return strengths, torch.cat([strengths @ self.atoms, strengths @ self.images], dim=1)

    def fill(self, buffer: Tensor, position: Position) -> Position:
        buffer.copy_(self.tokens(len(buffer), 10 + position[1])[1])
        return position[0], position[1] + len(buffer)

    def recovered(self, dictionary: Dictionary, side: int = 0) -> float:
        """The share of atoms that some decoder row has a cosine of 0.95 or more with."""
        rows = normalize(dictionary.coder.W_dec)
        cosines = normalize((self.atoms, self.images)[side]) @ rows.T
        return float((cosines.max(1).values >= 0.95).float().mean())


D, LATENTS, TOKENS, K = 10, 32, 24, 4
KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "sae": (("a.0",), ("a.0",)),
    "transcoder": (("a.0",), ("b.0",)),
    "crosscoder": (("a.0", "a.1"), ("a.0", "a.1")),
    "clt": (("a.0", "a.1", "a.2"), ("b.0", "b.1", "b.2")),
}
METHODS = ("relu", "topk", "batchtopk", "matryoshka", "jumprelu")


def weights(kind: str, method: str, **options: Any) -> TrainableWeights:
    """Random weights, far from where training begins."""
    reads, writes = KINDS[kind]
    config = DictionaryConfig(
        name="x", kind=kind, reads=reads, writes=writes, n_latents=LATENTS, method=method, k=K, **options
    ).resolved(100)
    found = TrainableWeights(config, [Site(name, D) for name in reads], [Site(name, D) for name in writes])
    draw = torch.Generator().manual_seed(2)
    for parameter in found.parameters():
        parameter.data = torch.randn(parameter.shape, generator=draw) * 0.5
    if found.unit_rows:
        rows = next(found.coders()).W_dec
        rows.data /= rows.data.norm(dim=1, keepdim=True)
    return found


def data(kind: str) -> tuple[Tensor, Tensor]:
    reads, writes = KINDS[kind]
    draw = torch.Generator().manual_seed(3)
    x = torch.randn(TOKENS, D * len(reads), generator=draw)
    return x, x if reads == writes else torch.randn(TOKENS, D * len(writes), generator=draw)


def parts(found: TrainableWeights, index: int) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in list(found.coders())[index].named_parameters()}


def activations(found: TrainableWeights, x: Tensor) -> list[Tensor]:
    """Per coder dense activations, by the definition of each method."""
    config, all_acts = found.config, []
    if config.top and config.kind == "sae":
        x = x - found.b_dec.detach()
    for index, wiring in enumerate(found.wiring):
        own = parts(found, index)
        read = torch.cat([x[:, i * D : (i + 1) * D] for i in wiring.reads], dim=1)
        pre = read @ own["W_enc"].T + own["b_enc"]
        score = pre
        if config.kind == "crosscoder":
            score = pre * sum(part.norm(dim=1) for part in own["W_dec"].split(D, dim=1))
        if config.method == "relu":
            acts = pre.relu()
        elif config.method == "jumprelu":
            acts = pre * (pre > own["log_threshold"].exp())
        elif config.method == "topk":
            acts = pre * (score >= score.topk(K).values[:, -1:]) * (pre > 0)
        else:
            acts = pre * (score >= score.flatten().topk(K * TOKENS).values[-1]) * (pre > 0)
        all_acts.append(acts)
    return all_acts


def written(found: TrainableWeights, acts: list[Tensor], x: Tensor, upto: int = LATENTS) -> Tensor:
    """What coders write together, site by site."""
    sites = []
    for at in range(len(found.writes)):
        total = found.b_dec.detach()[at * D : (at + 1) * D].expand(TOKENS, D).clone()
        for index, wiring in enumerate(found.wiring):
            if at in wiring.writes:
                place = wiring.writes.index(at)
                rows = parts(found, index)["W_dec"][:, place * D : (place + 1) * D]
                total += acts[index][:, :upto] @ rows[:upto]
        if found.config.skip:
            total += x @ parts(found, 0)["W_skip"]
        sites.append(total)
    return torch.cat(sites, dim=1)


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """What a training logged, line by line."""
    with Run.open(folder, kind="test", config={}) as run:
        return list(run.metrics())
