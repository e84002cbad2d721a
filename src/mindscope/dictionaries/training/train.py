"""Training several dictionaries on one pass over the activations, resumable at every checkpoint."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from mindscope.core import Progress
from mindscope.dictionaries.dictionary import Dictionary
from mindscope.dictionaries.training.beginning import require_alike
from mindscope.dictionaries.training.checkpoint import delete_checkpoint, read_checkpoint, write_checkpoint
from mindscope.dictionaries.training.config import PLACEMENT, DictionaryConfig, TrainConfig
from mindscope.dictionaries.training.feed import BatchStaging, BufferReader
from mindscope.dictionaries.training.learner import DictionaryTrainer
from mindscope.dictionaries.training.ordinary import LeftOut, OrdinaryTokens, describe_left_out
from mindscope.dictionaries.training.processes import ALONE, TrainingMesh, TrainingWorld
from mindscope.dictionaries.training.sources import START, ActivationSource, Position
from mindscope.errors import DataError
from mindscope.features import OutlierLimits
from mindscope.store import Run

FIRST_LOOK = 2**15
"""About how many activations of the first buffer set the scale and the initial weights."""


def train(
    source: ActivationSource,
    run: Run | Path,
    config: TrainConfig,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
    world: TrainingWorld | TrainingMesh = ALONE,
    begin_with: Mapping[str, Dictionary] | None = None,
) -> dict[str, Dictionary]:
    """Train, going on from the run's last checkpoint; leaves `NAME.safetensors` (a CLT: folder `NAME`).

    The tokens of one buffer after the other are shuffled; memory is that of one buffer, however long the
    source. A buffer is filled from a position in the source that checkpoints remember, so that a run killed
    at any moment and started again ends with the same bytes. Attention sinks and massive activations are left
    out (`TrainConfig.keep_outliers`): the first buffer says how long ordinary tokens are. How many were left
    out is in `metadata["outliers"]` of every dictionary, see `read_left_out`.

    Args:
        source: of activations; it must have every address that a dictionary reads or writes.
        run: the folder. Every `log_every` steps a line a dictionary goes to `metrics.jsonl`. Of several
            processes the first holds the run, the others give its path.
        config: what to train.
        device: where the dictionaries are trained; the buffer stays in the host's memory.
        progress: called with (steps done, steps, label).
        world: the processes that train together, each in a call of its own: see `torchrun_world`. They share
            every batch, and `config.latent_shards` of them the latents. They end with what one process would
            end with, but for the order of sums; a checkpoint does not know how many there were.
        begin_with: finished dictionaries, by the names of those that begin with their weights; the others
            begin with random ones. `metadata["began_as"]` has the digest.

    Raises:
        DataError: a dictionary cannot begin with the one that is given, the processes cannot share a batch
            equally, an address is not in the source, the source is empty, activations or weights are no
            longer finite, or every latent of a dictionary died.
    """
    names = [dictionary.name for dictionary in config.dictionaries]
    mesh = TrainingMesh.of(world, config.latent_shards)
    if config.batch_tokens % mesh.data.count:
        raise DataError(f"{mesh.data.count} processes cannot share {config.batch_tokens} tokens equally")
    folder = run.path if isinstance(run, Run) else run
    if not all(_place(folder, config, name).exists() for name in names):
        training = _TrainingRun(source, run, config, device, mesh, begin_with or {})
        try:
            training.go(progress or (lambda done, total, label: None))
        finally:
            training.reader.close()
    mesh.everyone.wait()
    # What was too large for one process in training stays on disk: a coder is read when it is asked for.
    lazy = mesh.latents.count > 1
    return {name: Dictionary.load(_place(folder, config, name), lazy=lazy) for name in names}


class _TrainingRun:
    def __init__(
        self,
        source: ActivationSource,
        run: Run | Path,
        config: TrainConfig,
        device: torch.device | str,
        mesh: TrainingMesh,
        begin_with: Mapping[str, Dictionary],
    ):
        self.begin_with = begin_with
        self.source, self.config, self.mesh = source, config, mesh
        self.ordinary = None if config.keep_outliers else OrdinaryTokens(source)
        self.folder = run.path if isinstance(run, Run) else run
        self.run = run if isinstance(run, Run) else None
        """The first process's; the others write nothing."""
        self.columns = [_SiteColumns(source, dictionary) for dictionary in config.dictionaries]
        self.learners = [
            DictionaryTrainer(
                dictionary,
                columns.reads,
                columns.writes,
                steps=config.steps,
                seed=config.seed + index,
                bfloat16=config.precision == "bfloat16",
                device=device,
                mesh=mesh,
            )
            for index, (dictionary, columns) in enumerate(zip(config.dictionaries, self.columns, strict=True))
        ]
        if unknown := [name for name in begin_with if name not in self._names()]:
            raise DataError(f"nothing called {unknown[0]} is trained: {', '.join(self._names())}")
        for trainer, _, dictionary in self._trainers():
            if dictionary.name in begin_with:
                require_alike(dictionary, trainer.weights, begin_with[dictionary.name])
        width = sum(site.width for site in source.sites)
        self.reader = BufferReader(
            self._read,
            (config.buffer_batches * config.batch_tokens, width),
            ahead=config.read_ahead,
        )
        share = config.batch_tokens // mesh.data.count
        self.staging = BatchStaging(torch.device(device), (share, width))
        self.buffer = torch.empty(0, width)
        self.step = 0
        self.block, self.begins, self.ends = -1, START, START
        """The buffer that is in memory, where in the source it begins, and where the next one does."""
        self.left_out_before, self.left_out = LeftOut(), LeftOut()
        """What was left out before the buffer that is in memory, and up to its end."""

    def go(self, progress: Progress) -> None:
        kept = read_checkpoint(self.folder, self.mesh.latents)
        if kept is not None:
            self._restore(kept)
            del kept
        self.mesh.everyone.wait()  # before the first writes another
        for batch in self._batches():
            # All dictionaries step on the same tokens: the model, or the disk, is read once for all of them.
            for trainer, columns, config in self._trainers():
                x, y = columns.of(batch)
                result = trainer.step(x, y)
                if (self.step + 1) % self.config.log_every == 0 or self.step + 1 == self.config.steps:
                    measured = trainer.metrics(result, x, y)
                    _refuse_diverged(config, measured)
                    self._log(step=self.step + 1, dictionary=config.name, **measured)
            self.step += 1
            # A checkpoint comes behind resampling: a run that goes on from it must not resample again.
            self._resample()
            progress(self.step, self.config.steps, "training")
            due = self.step % self.config.checkpoint_every == 0 and self.step < self.config.steps
            if due:
                write_checkpoint(self.folder, self.run, self.step, self._tensors(), self.mesh)
        for trainer, _, config in self._trainers():
            about = {"training": config.model_dump(mode="json"), "run": _shared(self.config)} | self._about()
            if config.name in self.begin_with:
                about["began_as"] = self.begin_with[config.name].digest()
            whose = {"models": self.source.models, "made_with": self.source.made_with}
            finished = replace(trainer.finish(about), **whose)
            if self.run is not None:
                finished.save(_place(self.folder, self.config, config.name))
            elif self.mesh.data.first:
                for _ in finished.coders:  # each is put together out of what all slices give
                    pass
        if self.run is not None:
            delete_checkpoint(self.folder)  # three times the weights, and of no more use

    def _log(self, **line: float | int | str) -> None:
        if self.run is not None:
            self.run.log(**line)

    def _resample(self) -> None:
        """Dead latents of the dictionaries whose turn it is, out of the buffer that is in memory."""
        for trainer, columns, config in self._trainers():
            if self.step in config.resample:
                drawn = trainer.resample(*columns.of(self.buffer))
                self._log(step=self.step, dictionary=config.name, resampled=drawn)

    def _names(self) -> list[str]:
        return [dictionary.name for dictionary in self.config.dictionaries]

    def _trainers(self) -> Iterator[tuple[DictionaryTrainer, "_SiteColumns", DictionaryConfig]]:
        yield from zip(self.learners, self.columns, self.config.dictionaries, strict=True)

    def _batches(self) -> Iterator[Tensor]:
        """Batches from the present step on."""
        size, per_block = self.config.batch_tokens, self.config.buffer_batches
        while self.step < self.config.steps:
            block, first = divmod(self.step, per_block)
            if block != self.block:
                self._fill(block)
            # The order depends on the seed and the block alone, so that a resumed run draws it again; it is
            # the same in all processes, each of which takes its share of every batch.
            draw = torch.Generator().manual_seed(_seed(self.config.seed, block))
            order = torch.randperm(len(self.buffer), generator=draw)
            for number in range(first, min(per_block, self.config.steps - block * per_block)):
                own = order[number * size : (number + 1) * size][self.mesh.data.share(size)]
                yield self.staging.move(self.buffer, own)

    def _fill(self, block: int) -> None:
        self.begins, self.left_out_before = self.ends, self.left_out
        self.buffer, self.ends, left_out = self.reader.read(self.begins)
        self.left_out = self.left_out_before + left_out
        self.block = block
        for trainer, columns, config in self._trainers():
            if trainer.scaling is None:
                x, y = columns.of(self.buffer[:: -(-len(self.buffer) // FIRST_LOOK)])
                trainer.begin(x, x if y is None else y, self.begin_with.get(config.name))
        if (block + 1) * self.config.buffer_batches < self.config.steps:
            self.reader.begin_next(self.ends)

    def _read(self, buffer: Tensor, position: Position) -> tuple[Position, LeftOut]:
        """Fill a buffer from a position, with ordinary tokens alone unless all are to be kept."""
        if self.ordinary is None:
            return self.source.fill(buffer, position), LeftOut(0, len(buffer))
        return self.ordinary.fill(buffer, position)

    def _about(self) -> dict[str, object]:
        """What a finished dictionary says of the tokens that it was not trained on."""
        limits = self._limits()
        return {} if limits is None else {"outliers": describe_left_out(self.left_out, limits)}

    def _limits(self) -> OutlierLimits | None:
        return None if self.ordinary is None else self.ordinary.limits

    def _tensors(self) -> dict[str, Tensor]:
        # The next buffer begins a new position, the present one is filled again from its own.
        again = self.step % self.config.buffer_batches > 0
        into, left_out = (self.begins, self.left_out_before) if again else (self.ends, self.left_out)
        tensors = {"step": torch.tensor(self.step), "position": torch.tensor(into)}
        tensors["left_out"] = torch.tensor([left_out.outliers, left_out.read])
        limits = self._limits()
        # A site without a limit has -1: a file of tensors may not hold NaN.
        norms = {} if limits is None else limits.norms
        tensors["limits"] = torch.tensor(
            [norms.get(site.name, -1.0) for site in self.source.sites], dtype=torch.float64
        )
        for index, trainer in enumerate(self.learners):
            tensors |= {f"{index}/{name}": tensor for name, tensor in trainer.tensors().items()}
        return tensors

    def _restore(self, tensors: Mapping[str, Tensor]) -> None:
        self.step = int(tensors["step"])
        epoch, place = tensors["position"].tolist()
        self.ends = (epoch, place)
        self.left_out = LeftOut(*tensors["left_out"].tolist())
        if self.ordinary is not None:
            norms = zip(self.source.sites, tensors["limits"].tolist(), strict=True)
            self.ordinary.limits = OutlierLimits({site.name: norm for site, norm in norms if norm > 0})
        for index, trainer in enumerate(self.learners):
            prefix = f"{index}/"
            trainer.restore(
                {
                    name.removeprefix(prefix): tensor
                    for name, tensor in tensors.items()
                    if name.startswith(prefix)
                }
            )


class _SiteColumns:
    """Where a dictionary's reads and writes are in the buffer."""

    def __init__(self, source: ActivationSource, config: DictionaryConfig):
        self.reads, self._read = self._find(source, config.name, config.reads)
        self.writes, self._write = self._find(source, config.name, config.targets)
        self.same = config.reads == config.targets

    def of(self, batch: Tensor) -> tuple[Tensor, Tensor | None]:
        """What is read and what is to be written; None where that is the same."""
        return _joined(batch, self._read), None if self.same else _joined(batch, self._write)

    @staticmethod
    def _find(source: ActivationSource, who: str, names: tuple[str, ...]):
        ends, places = 0, {}
        for name, site in zip(source.names, source.sites, strict=True):
            places[name] = (site, slice(ends, ends + site.width))
            ends += site.width
        if missing := [name for name in names if name not in places]:
            raise DataError(f"{who} wants {missing[0]}, the activations hold {', '.join(source.names)}")
        return [places[name][0] for name in names], [places[name][1] for name in names]


def _joined(batch: Tensor, columns: list[slice]) -> Tensor:
    return (
        torch.cat([batch[:, place] for place in columns], dim=1) if len(columns) > 1 else batch[:, columns[0]]
    )


def _place(folder: Path, config: TrainConfig, name: str) -> Path:
    own = next(dictionary for dictionary in config.dictionaries if dictionary.name == name)
    several = own.kind == "clt" or own.causal  # coders, each in a file of a folder
    return folder / (name if several else f"{name}.safetensors")


def _shared(config: TrainConfig) -> dict[str, object]:
    return config.model_dump(mode="json", exclude={"dictionaries", *PLACEMENT})


def _seed(seed: int, block: int) -> int:
    return seed * 1_000_003 + block


def _refuse_diverged(config: DictionaryConfig, metrics: Mapping[str, float]) -> None:
    losses = [value for name, value in metrics.items() if name.startswith("loss_")]
    if not all(value == value and abs(value) != float("inf") for value in losses):
        raise DataError(f"the training of {config.name} diverged: lower its learning rate")
