"""One pass over a corpus that finds, for all features at once, when and where each is active."""

import hashlib
import math
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from time import monotonic

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.core import Progress
from mindscope.engines import Engine
from mindscope.errors import DataError, StoreError
from mindscope.explain.survey.accumulate import SurveyAccumulator
from mindscope.explain.survey.config import SurveyConfig
from mindscope.explain.survey.results import (
    FILE,
    ROWS,
    ROWS_SCHEMA,
    ROWS_VERSION,
    SCHEMA,
    VERSION,
    VOCABULARY,
    Survey,
)
from mindscope.features import (
    Engines,
    FeatureBank,
    MeasuredTokens,
    OutlierLimits,
    SparseCode,
    name_models,
    read_activations_of,
    require_models,
)
from mindscope.models import Row, vocabulary
from mindscope.store import Run, claim, save_artifact

STATE, CONTEXTS = "survey/state.safetensors", "survey/contexts/{:05}.safetensors"
CHECKPOINT_SHARE = 0.05
"""The most of the time that goes into checkpoints. The state of a million features is gigabytes: written
after every block it would take longer than reading the rows."""


def survey_features(
    models: Engines,
    features: FeatureBank,
    rows: Iterable[Row],
    run: Run,
    config: SurveyConfig | None = None,
    *,
    total: int = 0,
    progress: Progress | None = None,
) -> Survey:
    """Read a corpus once, and keep what tells each feature's meaning.

    Attention sinks and massive activations do not count (`SurveyConfig.keep_outliers`); how many there were
    is in the metadata. Memory does not depend on the corpus: a feature takes (top + sample) * (before + after
    + 1) numbers of half precision, and its histogram. The corpus may be an iterator; a resumed run passes
    over the rows that were read before without running the model on them, and refuses when they are others.

    Args:
        models: the model of the features; of features of several models all, which read the same rows.
        features: a dictionary's, or directions.
        rows: the corpus.
        run: keeps the tokens of the corpus and the results, under `survey/`.
        config: what to keep.
        total: how many rows there are, for the progress, where that is known.
        progress: called with (rows done, total, label).

    Raises:
        DataError: features of another model, or no token in the corpus.
        StoreError: the run holds a survey of other features, settings or rows.
    """
    config = config or SurveyConfig()
    require_models(features, models)
    model = next(iter(name_models(models).values()))
    claim(run, "survey", {"features": features.digest(), "config": config.model_dump(mode="json")})
    accumulator = SurveyAccumulator(features.n_features, model.vocab_size, config, signed=features.signed)
    finished = (run.path / FILE).is_file()
    reader = _RowReader(features, models, config)
    checkpoint = _StateFile(run)
    done, known = _progress_of(run, finished, accumulator, reader, checkpoint)
    corpus, blocks = "", 0
    for block in _chunks(rows, config.block_rows):
        corpus, blocks = _chained(corpus, block), blocks + 1
        if blocks <= done:
            if blocks == done and corpus != known:
                raise StoreError(f"{run.path} holds a survey of another corpus: use another folder")
            continue
        if finished:
            raise StoreError(f"{run.path} holds a survey of a shorter corpus: use another folder")
        chunks = list(_chunks(block, config.read_rows))
        for chunk, read in zip(chunks, reader.read(chunks), strict=True):
            accumulator.add(chunk, *read)
        accumulator.flush()
        _save_rows(run, blocks - 1, block, features.fingerprint)
        if checkpoint.due():
            where = {"blocks": torch.tensor(blocks), "corpus": torch.tensor(list(corpus.encode()))}
            checkpoint.save(accumulator, where | {"limits": reader.state()})
        if progress is not None:
            progress(accumulator.rows, max(total, accumulator.rows), "survey")
    if blocks < done:
        raise StoreError(f"{run.path} holds a survey of another corpus: use another folder")
    if not finished:
        if not accumulator.tokens:
            raise DataError("no token of the corpus counts: give longer texts, or leave out fewer tokens")
        _finish(run, model, features, accumulator, config, corpus, blocks, reader.limits)
    return Survey.open(run.path)


class _RowReader:
    """Rows as codes, and which of their tokens count."""

    def __init__(self, features: FeatureBank, models: Engines, config: SurveyConfig) -> None:
        self.features, self.models = features, models
        self.tokens = MeasuredTokens(config.where, config.skip)
        self.limits = OutlierLimits({}) if config.keep_outliers else None
        """How long ordinary tokens are; measured on the first rows."""

    def read(self, chunks: Sequence[Sequence[Row]]) -> Iterator[tuple[SparseCode, Tensor, int]]:
        """Of each chunk the code of all tokens, which count, and how many do not for their activations."""
        features = self.features
        read = read_activations_of(features.reads, features.models, self.models, chunks)
        for rows, activations in zip(chunks, read, strict=True):
            yield self._encode(rows, activations)

    def _encode(self, rows: Sequence[Row], activations: Tensor) -> tuple[SparseCode, Tensor, int]:
        features, meant = self.features, self.tokens.flat(rows)
        if self.limits is None and meant.any():
            self.limits = OutlierLimits.measured(activations[meant], features.reads)
        limits = self.limits or OutlierLimits({})
        counted = meant & limits.ordinary(activations, features.reads)
        return features.encode(activations), counted, int(meant.sum() - counted.sum())

    def state(self) -> Float[Tensor, "sites"]:
        """The limits, -1 where a site has none: a file of tensors may not hold NaN."""
        norms = {} if self.limits is None else self.limits.norms
        return torch.tensor([norms.get(site.name, -1.0) for site in self.features.reads], dtype=torch.float64)

    def restore(self, state: Float[Tensor, "sites"]) -> None:
        norms = zip(self.features.reads, state.tolist(), strict=True)
        known = {site.name: norm for site, norm in norms if norm > 0}
        self.limits = OutlierLimits(known) if known else self.limits


class _StateFile:
    """The state of a survey on disk, written as often as `CHECKPOINT_SHARE` allows.

    Contexts are most of it, and change less and less often. A checkpoint writes those that have changed
    since the last as a file of their own; the state names which of these files count, in order. Once they
    hold twice as much as there is, all contexts are written anew as one, and the older files go when the
    state no longer names them. What a run does does not depend on it: one that was killed reads again what
    was not yet written.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.took, self.ended = run, 0.0, -math.inf
        self.first = self.stop = self.n_numbers = 0

    def due(self) -> bool:
        return monotonic() - self.ended >= self.took * (1 / CHECKPOINT_SHARE - 1)

    def save(self, accumulator: SurveyAccumulator, where: Mapping[str, Tensor]) -> None:
        began = monotonic()
        whole = sum(table.numel() for best in accumulator.best.values() for table in best.tables.values())
        first = self.first
        if self.n_numbers > 2 * whole:
            for best in accumulator.best.values():
                best.changed.fill_(True)
            first, self.n_numbers = self.stop, 0
        changes = accumulator.take_changes()
        self.run.save_tensors(CONTEXTS.format(self.stop), changes)
        self.n_numbers += sum(part.numel() for part in changes.values())
        self.stop += 1
        parts = {"parts": torch.tensor([first, self.stop, self.n_numbers])}
        self.run.save_tensors(STATE, {**accumulator.state(contexts=False), **where, **parts})
        self._drop(range(self.first, first))
        self.first = first
        self.ended = monotonic()
        self.took = self.ended - began

    def restore(self, accumulator: SurveyAccumulator, state: dict[str, Tensor]) -> None:
        """Go on where the state was written."""
        if "parts" in state:  # a state of a time before holds the contexts itself
            self.first, self.stop, self.n_numbers = state.pop("parts").tolist()
        accumulator.restore(state)
        for number in range(self.first, self.stop):
            accumulator.apply_changes(self.run.load_tensors(CONTEXTS.format(number)))

    def remove(self) -> None:
        """Take away what is of no more use."""
        (self.run.path / STATE).unlink(missing_ok=True)
        shutil.rmtree((self.run.path / CONTEXTS).parent, ignore_errors=True)

    def _drop(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            (self.run.path / CONTEXTS.format(number)).unlink(missing_ok=True)


def _progress_of(
    run: Run,
    finished: bool,
    accumulator: SurveyAccumulator,
    reader: _RowReader,
    checkpoint: _StateFile,
) -> tuple[int, str]:
    """How many blocks were read before, and the digest of their rows."""
    if finished:
        metadata = Survey.open(run.path).metadata
        return metadata["blocks"], metadata["corpus"]
    if not run.has(STATE):
        return 0, ""
    state = run.load_tensors(STATE)
    blocks, corpus = int(state.pop("blocks")), bytes(state.pop("corpus").tolist()).decode()
    reader.restore(state.pop("limits"))
    checkpoint.restore(accumulator, state)
    return blocks, corpus


def _chunks(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    stream = iter(rows)
    while chunk := list(islice(stream, size)):
        yield chunk


def _chained(before: str, rows: Sequence[Row]) -> str:
    """The digest of all rows so far, from that of those before."""
    digest = hashlib.blake2b(before.encode(), digest_size=16)
    for row in rows:
        digest.update(repr((row.prompt_length, row.ids)).encode())
    return digest.hexdigest()


def _save_rows(run: Run, index: int, rows: Sequence[Row], fingerprint: str) -> None:
    lengths = torch.tensor([len(row) for row in rows])
    tensors: dict[str, Tensor] = {
        "ids": torch.tensor([i for row in rows for i in row.ids], dtype=torch.int32),
        "offsets": torch.cat([lengths.new_zeros(1), lengths.cumsum(0)]),
        "prompts": torch.tensor([row.prompt_length for row in rows]),
    }
    save_artifact(
        run.path / ROWS.format(index), tensors, schema=ROWS_SCHEMA, version=ROWS_VERSION,
        metadata={"fingerprint": fingerprint},
    )  # fmt: skip


def _finish(
    run: Run,
    model: Engine,
    features: FeatureBank,
    accumulator: SurveyAccumulator,
    config: SurveyConfig,
    corpus: str,
    blocks: int,
    limits: OutlierLimits | None,
) -> None:
    metadata = {
        "fingerprint": features.fingerprint,
        "seed": config.seed,
        "config": config.model_dump(mode="json"),
        "model": model.name,
        "borrowed": [artifact.model_dump(mode="json") for artifact in model.borrowed],
        "features": features.digest(),
        "names": [features.name(i) for i in range(features.n_features)],
        "signed": features.signed,
        "corpus": corpus,
        "blocks": blocks,
        "rows": accumulator.rows,
        "tokens": accumulator.tokens,
        "outliers": accumulator.outliers,
        "limits": {} if limits is None else dict(limits.norms),
        "dropped_pairs": accumulator.pairs.dropped,
    }
    run.save_json(VOCABULARY, vocabulary(model.tokenizer, model.vocab_size))
    save_artifact(run.path / FILE, accumulator.results(), schema=SCHEMA, version=VERSION, metadata=metadata)
    _StateFile(run).remove()
