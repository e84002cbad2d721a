"""The transformers, their shuffled copies, and the dictionaries of all of them on one pass over a text.

1. Transformers of all seeds are trained side by side and kept in the run (`keep_transformers`).
2. Each has a copy whose weight matrices have their entries in another order (`shuffle_weights`).
3. `NeuronSource` reads the corpus without end, each text once, through all of them: the MLP activations of
   one model beside those of the next. `dictionaries.train` learns all dictionaries on the same tokens, goes
   on from its checkpoints and resamples.

The dictionary is the paper's but for how it is written: `relu` (circuits update of April 2024) weighs
activations by decoder norms where the paper holds these at 1, and has no bias before the encoder, which the
encoder's own makes up for. Unlike the paper's, its rate falls to zero over the last fifth.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.core import ModelIdentity
from mindscope.dictionaries import Dictionary, DictionaryConfig, TrainConfig, train
from mindscope.features import Site
from mindscope.store import Run, derived_seed, load_artifact, save_artifact
from mindscope.studies.common import (
    PieceProgress,
    StudyText,
    TinyTransformers,
    read_neurons,
    train_transformers,
)
from mindscope.studies.monosemanticity.config import MonosemanticityConfig

ADDRESS = "neurons"
OWN, BARE = "own", "shuffled"
"""Kinds of models: trained ones, and their copies with shuffled weights."""
SCHEMA = "mindscope.tiny-transformers"
ROWS_AT_ONCE = 128
BLOCK_ROWS = 512
"""Rows of a block of the source: a block is read whole, and the next buffer begins with the next block."""


def keep_transformers(
    run: Run, text: StudyText, config: MonosemanticityConfig, seed: int, progress: PieceProgress
) -> TinyTransformers:
    """The trained transformers out of the run, or trained and kept there."""
    path = run.path / "transformers.safetensors"
    if not path.exists():
        trained = train_transformers(config.model, text, config.training, seed, progress)
        tensors = {str(place): part.detach() for place, part in enumerate(trained.parameters())}
        save_artifact(path, tensors, schema=SCHEMA, version=1, metadata={})
    tensors = load_artifact(path, schema=SCHEMA, version=1).tensors
    models = TinyTransformers(config.model, text.vocabulary, seed)
    fill_weights(models, [tensors[str(place)] for place in range(len(tensors))])
    return models


@torch.no_grad()
def fill_weights(models: TinyTransformers, weights: Sequence[Tensor]) -> None:
    """Give models these weights, in the order of `parameters`; they are not trained any further."""
    for own, given in zip(models.parameters(), weights, strict=True):
        own.requires_grad_(False)
        own.copy_(given)


def shuffle_weights(models: TinyTransformers, seed: int) -> TinyTransformers:
    """Models whose weight matrices have the same entries in another order, matrix by matrix and seed by seed:
    the paper's model without structure.
    """
    draw = torch.Generator().manual_seed(seed)
    shuffled = TinyTransformers(models.config, models.embedding.shape[1], seed)
    weights = []
    for part in models.parameters():
        flat = part.detach().flatten(1)
        order = torch.stack([torch.randperm(flat.shape[1], generator=draw) for _ in range(len(flat))])
        weights.append(flat.gather(1, order).view(part.shape))
    fill_weights(shuffled, weights)
    return shuffled


class NeuronSource:
    """The MLP activations of several models on a text without end. Implements `ActivationSource`.

    Args:
        models: stacks of models by the name of their kind; model n of a stack is called KIND and n.
        text: says how texts become rows.
        seed: of the texts.
    """

    def __init__(self, models: Mapping[str, TinyTransformers], text: StudyText, seed: int) -> None:
        self._stacks, self._text, self._seed = tuple(models.values()), text, seed
        first = self._stacks[0].config
        self._context, width = first.context, first.expansion * first.width
        owners = [f"{kind}{n}" for kind, stack in models.items() for n in range(stack.config.seeds)]
        self.names: tuple[str, ...] = tuple(f"{owner}:{ADDRESS}" for owner in owners)
        self.sites: tuple[Site, ...] = tuple(Site(ADDRESS, width, owner) for owner in owners)
        self.models: Mapping[str, str | None] = dict.fromkeys(owners)
        self.made_with: Mapping[str, ModelIdentity] = {}

    def fill(self, buffer: Float[Tensor, "tokens width"], position: tuple[int, int]) -> tuple[int, int]:
        """Other texts for every position; the same for the same one."""
        block, filled = position[1], 0
        while filled < len(buffer):
            for rows in self._read_rows(block, len(buffer) - filled).split(ROWS_AT_ONCE):
                part = torch.cat([column for stack in self._stacks for column in _columns(stack, rows)], 1)
                part = part[: len(buffer) - filled]
                buffer[filled : filled + len(part)] = part
                filled += len(part)
            block += 1
        return position[0], block

    def _read_rows(self, block: int, tokens: int) -> Tensor:
        rows = min(BLOCK_ROWS, -(-tokens // self._context))
        count = rows * self._context
        return self._text.read_more(count, derived_seed(self._seed, "block", block)).view(rows, self._context)


def train_dictionaries(
    run: Run,
    source: NeuronSource,
    config: MonosemanticityConfig,
    seed: int,
    progress: PieceProgress,
) -> dict[str, Dictionary]:
    """All dictionaries by the name of the model and the size, such as `own0-4x`; see `dictionary_name`.

    Trained models have every size, shuffled ones the one that is looked at closely.
    """
    width = source.sites[0].width
    seen = torch.empty(config.batch_tokens, width * len(source.sites))
    source.fill(seen, (0, 0))
    dictionaries = []
    for name, site, own in zip(source.names, source.sites, seen.split(width, 1), strict=True):
        sizes = config.sizes if site.model.startswith(OWN) else (config.focus,)
        dictionaries += [
            DictionaryConfig(
                name=dictionary_name(site.model, size),
                reads=(name,),
                n_latents=size * width,
                method="relu",
                learning_rate=config.learning_rate,
                sparsity=convert_coefficient(config.l1_coefficient, own),
                dead_tokens=max(1, round(config.dead_share * config.steps) * config.batch_tokens),
                resample=tuple(round(share * config.steps) for share in config.resample_at),
            )
            for size in sizes
        ]
    settings = TrainConfig(
        dictionaries=tuple(dictionaries),
        steps=config.steps,
        batch_tokens=config.batch_tokens,
        buffer_batches=config.buffer_batches,
        keep_outliers=True,
        log_every=max(1, config.steps // 4),
        seed=seed,
    )
    return train(source, run, settings, progress=lambda done, total, _: progress(done, total))


def dictionary_name(model: str, size: int) -> str:
    """The name of a dictionary's file."""
    return f"{model}-{size}x"


def convert_coefficient(l1: float, activations: Float[Tensor, "tokens neurons"]) -> float:
    """The penalty's coefficient in the units of `DictionaryConfig.sparsity`.

    The paper minimises |x - y|^2 / n + l1 |f|, n neurons, with activations as they are; training here
    minimises |x - y|^2 + c |f| with activations times s, which makes their mean norm the square root of n.
    The two are the same for c = n s l1.
    """
    n = activations.shape[1]
    scale = n**0.5 / float(activations.norm(dim=1).mean())
    return n * scale * l1


def _columns(stack: TinyTransformers, rows: Tensor) -> Sequence[Tensor]:
    """Activations of each model of a stack, `[tokens, neurons]`."""
    return read_neurons(stack, rows).before.flatten(1, 2).unbind(0)
