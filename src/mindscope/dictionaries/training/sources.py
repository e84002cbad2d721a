"""Where activations come from: a model that reads a corpus, or shards on disk."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.core import ModelIdentity
from mindscope.dictionaries.storage import name_fingerprints, read_identities, read_site
from mindscope.dictionaries.training.corpus import TextCorpus
from mindscope.dictionaries.training.processes import ALONE, TrainingWorld
from mindscope.engines import Engine, ParallelEngine
from mindscope.errors import DataError
from mindscope.features import Engines, Site, name_models, require_same_tokenizer, split_site_name
from mindscope.models import Raw, Read, Reading, Row, Where
from mindscope.store import (
    Run,
    load_artifact,
    passing_copy,
    read_json,
    require_inner_path,
    save_artifact,
    write_json,
)

Position = tuple[int, int]
"""How often the source was gone through, and how far: plain numbers, so that a checkpoint can hold them."""
START: Position = (0, 0)

INDEX, SCHEMA = "activations.json", "mindscope.activations"
TOKENS_AT_ONCE = 8192
"""About how many tokens are on their way from the model into the buffer at a time."""


@runtime_checkable
class ActivationSource(Protocol):
    """Activations of one token after the other, over and over."""

    names: tuple[str, ...]
    """Of the sites, as configurations give them: an address, for a second model `1:address`."""
    sites: tuple[Site, ...]
    models: Mapping[str, str | None]
    """The models' fingerprints by the names that the sites have; None where nobody knows."""
    made_with: Mapping[str, ModelIdentity]
    """The models' identities by the same names, where they are written down."""

    def fill(self, buffer: Float[Tensor, "tokens width"], position: Position) -> Position:
        """Fill a buffer with the activations that follow a position, and say where the next ones begin.

        The same position gives the same activations. Raises DataError where there are none.
        """
        ...


class ModelSource:
    """Activations of one or several models that read the same rows.

    Args:
        models: one, in process or in copies elsewhere; for a crosscoder between models, several that share a
            tokenizer, in order or by name.
        names: what to read: addresses of the first model; `1:resid_post.4` is of the second, and
            `tuned:resid_post.4` of the one that was given as `tuned`.
        corpus: the rows.
        where: which tokens of each row.
        skip: how many tokens to leave out at a row's beginning; 1 leaves out the attention sink that many
            models put on their first token.
        world: the processes that share the reading; each is given the whole buffer.

    Raises:
        DataError: models with unlike tokenizers, or a name of a model that is not there.
        ModelError: an address that leads nowhere.
    """

    def __init__(
        self,
        models: Engines,
        names: Sequence[str],
        corpus: TextCorpus,
        *,
        where: Where = "all",
        skip: int = 0,
        world: TrainingWorld = ALONE,
    ):
        self.names, self.corpus, self.where, self.skip, self.world = tuple(names), corpus, where, skip, world
        named = name_models(models)
        require_same_tokenizer(named)
        self.models: Mapping[str, str | None] = {name: model.fingerprint for name, model in named.items()}
        self.made_with: Mapping[str, ModelIdentity] = {name: model.identity for name, model in named.items()}
        self._reads: dict[str, dict[str, Read]] = {name: {} for name in named}
        self._models: dict[str, Engine] = named
        only = next(iter(named.values())) if len(named) == 1 else None
        self._parallel = only if isinstance(only, ParallelEngine) and world.count == 1 else None
        sites: list[Site] = []
        for name in self.names:
            of, address = split_site_name(name, next(iter(named)))
            if of not in named:
                raise DataError(f"{name} is of model {of}, the models are {', '.join(named)}")
            sites.append(Site(address, named[of].width_of(address), of))
            self._reads[of][name] = Read(address, Raw(where))
        self.sites = tuple(sites)
        self._rows: Iterator[Row] = iter(())
        self._at: Position | None = None

    def fill(self, buffer: Float[Tensor, "tokens width"], position: Position) -> Position:
        filled, empty = 0, position[1] == 0
        self._go_to(position)
        while filled < len(buffer):
            chunks = self._next_chunks(len(buffer) - filled)
            if not chunks:
                if empty:
                    raise DataError(
                        "the corpus has no token to read: give a longer one, or other tokens of it"
                    )
                epoch = (self._at or START)[0]
                self._go_to((epoch + 1, 0))
                empty = True
                continue
            # Rows are whole: what does not fit the buffer any more is not read again, the next buffer begins
            # with the next row. So a position is a row, and a checkpoint holds two numbers.
            for rows, readings in zip(chunks, self._read_many(chunks), strict=True):
                count = self._shared(rows, buffer[filled:], readings)
                empty = empty and not count
                filled += count
        return self._at or START

    def _go_to(self, position: Position) -> None:
        if self._at != position:
            self._rows = self.corpus(position[1])
            self._at = position

    def _next_rows(self, tokens: int) -> list[Row]:
        rows: list[Row] = []
        while tokens > 0 and (row := next(self._rows, None)) is not None:
            rows.append(row)
            tokens -= len(row)
        epoch, row_number = self._at or START
        self._at = (epoch, row_number + len(rows))
        return rows

    def _next_chunks(self, tokens: int) -> list[list[Row]]:
        """The rows that are read next, for a buffer with room for so many tokens.

        Copies of a model elsewhere are also given the chunks that surely follow, to be read at the same time.
        A chunk has `TOKENS_AT_ONCE` unless the room that is left by then is small, and at least so much is
        left as if all tokens of the chunks before it were kept.
        """
        chunks: list[list[Row]] = []
        while tokens > 0:
            size = min(TOKENS_AT_ONCE, 2 * tokens)
            if chunks and (size < TOKENS_AT_ONCE or not self._parallel):
                break
            if not (rows := self._next_rows(size)):
                break
            chunks.append(rows)
            tokens -= sum(map(len, rows))
        return chunks

    def _read_many(self, chunks: Sequence[Sequence[Row]]) -> Iterator[Mapping[str, Reading]]:
        """What a parallel engine reads of the chunks; nothing yet where each is read in its turn."""
        if self._parallel is None:
            yield from ({} for _ in chunks)
            return
        (reads,) = self._reads.values()
        yield from self._parallel.read_many(chunks, reads)

    def _shared(self, rows: Sequence[Row], buffer: Tensor, readings: Mapping[str, Reading]) -> int:
        """As `_copy`, each process reading its share of the rows."""
        if self.world.count == 1:
            return self._copy(rows, buffer, readings)
        share = rows[self.world.share(len(rows))]
        own = buffer.new_empty(sum(map(len, share)), buffer.shape[1])
        gathered, _ = self.world.joined(own[: self._copy(share, own, {}) if share else 0])
        count = min(len(gathered), len(buffer))
        buffer[:count] = gathered[:count]
        return count

    def _copy(self, rows: Sequence[Row], buffer: Tensor, readings: Mapping[str, Reading]) -> int:
        """Put the activations of rows into a buffer, as many as fit, and say how many.

        They are read here unless they have been.
        """
        read: dict[str, list[Tensor]] = {}
        for of, reads in self._reads.items():
            own = readings or (self._models[of].read(rows, reads) if reads else {})
            for name, reading in own.items():
                assert isinstance(reading.values, list)
                read[name] = reading.values
        # tokens x sites side by side; the columns of one site are filled row by row
        start = filled = 0
        for name, site in zip(self.names, self.sites, strict=True):
            filled = 0
            for tokens in read[name]:
                part = tokens[self.skip : self.skip + len(buffer) - filled]
                buffer[filled : filled + len(part), start : start + site.width] = part
                filled += len(part)
            start += site.width
        return filled


class ShardSource:
    """Activations that `write_shards` left in a folder, read shard by shard.

    Of a folder in an object store one shard at a time is here.

    Raises:
        StoreError: the folder holds no shards, or a damaged one.
    """

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)
        index = read_json(self.folder / INDEX)
        try:
            self.names = tuple(index["names"])
            self.models: Mapping[str, str | None] = index.get("models") or name_fingerprints(
                [site["fingerprint"] for site in index["sites"]]
            )
            self.made_with: Mapping[str, ModelIdentity] = read_identities(index.get("made_with"))
            self.sites = tuple(read_site(site, self.models) for site in index["sites"])
            self.shards = [require_inner_path(str(name)) for name in index["shards"]]
            self.tokens = int(index["tokens_per_shard"])
            if not self.shards or self.tokens < 1:
                raise ValueError("no shards")
        except (KeyError, TypeError, ValueError):
            raise DataError(f"{self.folder / INDEX} does not describe shards: write them again") from None
        self._loaded: tuple[str, Tensor] | None = None

    def fill(self, buffer: Float[Tensor, "tokens width"], position: Position) -> Position:
        epoch, token = position
        filled = 0
        while filled < len(buffer):
            if token == len(self.shards) * self.tokens:
                epoch, token = epoch + 1, 0
            rows = self._shard(self.shards[token // self.tokens])[token % self.tokens :][
                : len(buffer) - filled
            ]
            buffer[filled : filled + len(rows)] = rows
            filled, token = filled + len(rows), token + len(rows)
        return epoch, token

    def _shard(self, name: str) -> Tensor:
        if self._loaded is None or self._loaded[0] != name:
            self._loaded = None  # let go of one before the next is read
            with passing_copy(self.folder / name) as file:
                tensors = load_artifact(file, schema=SCHEMA, version=1).tensors
            self._loaded = (name, tensors["activations"])
        return self._loaded[1]


def write_shards(
    source: ActivationSource,
    run: Run,
    *,
    tokens: int,
    tokens_per_shard: int = 2**18,
    dtype: torch.dtype = torch.bfloat16,
) -> Path:
    """Write activations to a run's folder for `ShardSource`: at least `tokens`, in whole shards.

    A run that was killed goes on with the shard after the last.
    """
    tokens_per_shard = min(tokens_per_shard, tokens)
    count = -(-tokens // tokens_per_shard)
    buffer = torch.empty(tokens_per_shard, sum(site.width for site in source.sites))
    position, names = START, []
    for number in range(count):
        names.append(f"shards/{number:05}.safetensors")
        note = f"shards/{number:05}.json"
        if run.has(note):
            position = tuple(run.load_json(note))
            continue
        position = source.fill(buffer, position)
        save_artifact(
            run.path / names[-1], {"activations": buffer.to(dtype)}, schema=SCHEMA, version=1, metadata={}
        )
        run.save_json(note, position)
    index = {
        "names": source.names,
        "sites": source.sites,
        "models": dict(source.models),
        "made_with": {name: maker.model_dump(mode="json") for name, maker in source.made_with.items()},
        "shards": names,
        "tokens_per_shard": tokens_per_shard,
    }
    write_json(run.path / INDEX, index)
    return run.path
