"""What the pieces of a seed share: its texts, read once, and its dictionaries, trained once and kept."""

from collections.abc import Callable, Mapping
from functools import cached_property, partial

import torch

from mindscope.dictionaries import Dictionary
from mindscope.features import Site
from mindscope.models import Model, Row, vocabulary
from mindscope.store import Run
from mindscope.studies.common import (
    PieceProgress,
    TokenPool,
    keep_coder,
    read_pool,
    score_coders,
    train_coder,
)
from mindscope.studies.scaling.config import ScalingConfig
from mindscope.studies.scaling.laws import list_runs, measure_run
from mindscope.studies.scaling.names import NameTexts
from mindscope.studies.scaling.neighbourhoods import measure_near
from mindscope.studies.scaling.presence import measure_names
from mindscope.studies.scaling.results import ClampSeed, LawRun, LawSeed, NameSeed, NearSeed
from mindscope.studies.scaling.steering import measure_clamped


class SeedBench:
    """One seed; what it needs is made when it is first asked for."""

    def __init__(self, model: Model, address: str, config: ScalingConfig, run: Run, seed: int) -> None:
        """Begin.

        Args:
            model: whose activations.
            address: where they are read.
            config: all sizes.
            run: where dictionaries are kept.
            seed: the seed.
        """
        self.model, self.address, self.config, self.run, self.seed = model, address, config, run, seed

    @cached_property
    def texts(self) -> NameTexts:
        """The organism's texts with names."""
        return NameTexts.draw(self.model, self.run, self.address, self.config, self.seed)

    @cached_property
    def pool(self) -> TokenPool:
        """What is trained on, and what is held out."""
        return self.texts.pool

    @cached_property
    def dictionaries(self) -> list[Dictionary]:
        """Those that are looked into, the smallest first."""
        return [self._kept(latents, self.seed) for latents in self.config.sizes]

    @cached_property
    def again(self) -> Dictionary:
        """The smallest with other first weights."""
        return self._kept(self.config.sizes[0], self.seed + 1_000_000)

    def measure_law_run(self, latents: int, steps: int) -> LawRun:
        """One run for the laws."""
        return measure_run(self.pool, self.config, self.seed, latents, steps)

    def measure_larger(self) -> LawSeed:
        """The dictionaries that are looked into, as runs; those for the laws are pieces of their own."""
        scores = [score_coders([own], [self.pool], self.config.sparsity) for own in self.dictionaries]
        return LawSeed(
            runs=(),
            larger=tuple(
                LawRun(
                    latents=own.latents,
                    steps=self.config.steps,
                    loss=own.loss,
                    error=own.error,
                    active=own.active,
                    alive=own.alive,
                )
                for own in scores
            ),
        )

    def measure_names(self) -> NameSeed:
        """Names that have a latent."""
        return measure_names(self.texts, self.dictionaries, self.seed)

    def measure_near(self) -> NearSeed:
        """Neighbourhoods, on texts of the half that was not trained on."""
        texts = self.texts.test
        return self._near((texts.x, texts.ids), texts)

    def measure_clamped(self, progress: PieceProgress) -> ClampSeed:
        """Clamped latents of the largest dictionary."""
        return measure_clamped(
            self.model, self.texts, self.dictionaries[-1], self.config, self.seed, progress
        )

    def _near(self, tokens, texts=None) -> NearSeed:
        words = [token.strip() for token in vocabulary(self.model.tokenizer, self.model.engine.vocab_size)]
        return measure_near(self.dictionaries, self.again, tokens, words, self.seed, texts)

    def _kept(self, latents: int, seed: int) -> Dictionary:
        train = partial(
            train_coder, self.pool, self.config, seed * 100 + latents, latents=latents, method="relu"
        )
        return keep_coder(self.run, f"{seed}-{latents}", train)


class PlainSeedBench(SeedBench):
    """One seed of a model whose texts have no labels."""

    def __init__(
        self,
        model: Model,
        address: str,
        config: ScalingConfig,
        run: Run,
        seed: int,
        rows: Callable[[int], Row],
    ) -> None:
        """Begin; `rows` gives the text of a number."""
        super().__init__(model, address, config, run, seed)
        self._rows = rows

    @cached_property
    def pool(self) -> TokenPool:
        """Tokens drawn evenly; activations are kept in the run."""
        file = f"activations/{self.seed}.safetensors"
        if not self.run.has(file):
            read = read_pool({"0": self.model}, (self.address,), self._rows, self.config)
            self.run.save_tensors(file, {"train": read.train, "held": read.held, "ids": read.ids})
        kept = self.run.load_tensors(file)
        site = Site(self.address, kept["train"].shape[1])
        models = {site.model: self.model.fingerprint}
        return TokenPool(kept["train"], kept["held"], (site,), (self.address,), models, kept["ids"])

    def measure_near(self) -> NearSeed:
        """Neighbourhoods, on held-out tokens."""
        return self._near((self.pool.held, self.pool.ids))


def piece_costs(config: ScalingConfig, seeds: range, plain: bool) -> Mapping[str, float]:
    """The pieces of all seeds, with their shares of the time in latents times steps of training."""
    trained = float((sum(config.sizes) + config.sizes[0]) * config.steps)
    costs: dict[str, float] = {}
    for seed in seeds:
        # small runs spend their time between operations
        costs |= {
            law_piece(seed, latents, steps): max(latents, 64.0) * steps
            for latents, steps in list_runs(config)
        }
        costs |= {f"larger/{seed}": trained, f"near/{seed}": 0.2 * trained}
        if not plain:
            costs |= {f"names/{seed}": 0.2 * trained, f"clamped/{seed}": 0.5 * trained}
    return costs


def law_piece(seed: int, latents: int, steps: int) -> str:
    """The name of the piece of a run for the laws."""
    return f"laws/{seed}/{latents}-{steps}"


def middle_address(model: Model, layer: int | None) -> str:
    """Where activations are read: half of the blocks down, or after a given one."""
    return f"resid_post.{(model.n_layers // 2 - 1 if layer is None else layer)}"


def paragraph_rows(model: Model, paragraphs: list[str], seed: int) -> Callable[[int], Row]:
    """Paragraphs in an order of the seed, each cut to the model's context; over again where they end."""
    order = torch.randperm(len(paragraphs), generator=torch.Generator().manual_seed(seed)).tolist()

    def row(number: int) -> Row:
        whole = model.text(paragraphs[order[number % len(order)]])
        ids = whole.ids[: min(model.context_length or MOST_TOKENS, MOST_TOKENS)]
        return Row(ids, len(ids))

    return row


MOST_TOKENS = 256
"""Of a paragraph: some hold whole tables."""
