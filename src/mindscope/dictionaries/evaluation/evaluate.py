"""An evaluation as a run: stopped anywhere, it goes on to the same result."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import Tensor

from mindscope.core import Progress
from mindscope.dictionaries.dictionary import Dictionary
from mindscope.dictionaries.evaluation.config import EvaluateConfig
from mindscope.dictionaries.evaluation.labelled import measure_labelled
from mindscope.dictionaries.evaluation.pooled import pool
from mindscope.dictionaries.evaluation.reconstruction import ReconstructionSums
from mindscope.dictionaries.evaluation.recovered import LossRecovered, loss_sums
from mindscope.dictionaries.evaluation.results import DictionaryEvaluation, LabelledMeasures
from mindscope.dictionaries.evaluation.rows import read_other_models, read_sites
from mindscope.dictionaries.evaluation.sparsity import Sparsity, active_counts
from mindscope.errors import DataError
from mindscope.features import (
    MeasuredTokens,
    Models,
    OutlierLimits,
    Site,
    match_models,
    measure_norms,
    require_same_tokenizer,
)
from mindscope.models import Model, Row, length_sorted_batches
from mindscope.store import Run

NUMBERS_IN_MEMORY = 2**26
"""About how many activations are held at a time, over all sites: a quarter of a gigabyte."""


@dataclass(frozen=True, slots=True)
class ClassifiedText:
    """A text with the class it belongs to, and perhaps a spurious one (see `ablation.remove`)."""

    row: Row
    label: str
    spurious: bool | None = None


def evaluate(
    models: Models,
    dictionaries: Mapping[str, Dictionary],
    rows: Sequence[Row],
    run: Run,
    config: EvaluateConfig | None = None,
    *,
    labelled: Sequence[ClassifiedText] = (),
    progress: Progress | None = None,
) -> list[DictionaryEvaluation]:
    """Measure dictionaries on the same rows: sparsity, reconstruction, loss recovered, and on labelled texts.

    Attention sinks and massive activations stay as they are, are counted, and are measured beside the others
    (`EvaluateConfig.keep_outliers`): how long ordinary tokens are is measured on the first piece.

    Under `evaluate/NAME/` the run holds the pieces, the latents' densities and `evaluation.json`. A
    crosscoder between models is spliced into each of them, the others reading the same rows.

    Args:
        models: the model that the dictionaries were trained on, or all models of crosscoders; see
            `Dictionary.bind`.
        dictionaries: by name.
        rows: what is read.
        run: keeps the pieces.
        config: how it is measured.
        labelled: texts with classes, for probes.
        progress: called with (pieces done, pieces, label).

    Raises:
        DataError: a dictionary is of another model or of one that is missing, no token counts, or there are
            too few labelled texts.
    """
    config = config or EvaluateConfig()
    results = []
    for name, dictionary in dictionaries.items():
        dictionary = dictionary.bind(models)
        named = match_models(dictionary.models, models, f"{name} was trained on")
        require_same_tokenizer(named)
        device = next(iter(named.values())).device
        if dictionary.b_dec.device != device:
            dictionary = dictionary.to(device)  # coders of a lazy one are moved one at a time
        job = _EvaluationJob(named, dictionary, name, rows, run, config, progress or _silent)
        results.append(job.run_all(labelled))
    return results


def digest(rows: Sequence[Row]) -> str:
    """A short name for exactly these rows: what a run's configuration says of its texts."""
    state = hashlib.blake2b(digest_size=16)
    for row in rows:
        state.update(f"{row.prompt_length}:{','.join(map(str, row.ids))};".encode())
    return state.hexdigest()


class _EvaluationJob:
    """The evaluation of one dictionary."""

    def __init__(
        self,
        models: Mapping[str, Model],
        dictionary: Dictionary,
        name: str,
        rows: Sequence[Row],
        run: Run,
        config: EvaluateConfig,
        progress: Progress,
    ) -> None:
        self.models, self.dictionary, self.name, self.run = models, dictionary, name, run
        self.rows, self.config, self.progress = rows, config, progress
        self.tokens = MeasuredTokens(config.where, config.skip)
        self.folder = f"evaluate/{name}"
        size = config.shard_rows
        self.shards = [list(rows[start : start + size]) for start in range(0, len(rows), size)]

    def run_all(self, labelled: Sequence[ClassifiedText]) -> DictionaryEvaluation:
        for number, shard in enumerate(self.shards):
            self._piece(f"reading/{number:04}.safetensors", lambda shard=shard: self._reading(shard))
            self.progress(number + 1, len(self.shards), f"{self.name}: reading")
        counts, sums, whole, everything = self._added()
        tokens, outliers = int(whole.total[0]), int(everything.total[0] - whole.total[0])
        means = whole.mean / tokens
        for number, shard in enumerate(self.shards):
            self._piece(
                f"splicing/{number:04}.json",
                lambda number=number, shard=shard: self._splicing(number, shard, means.float()),
            )
            self.progress(number + 1, len(self.shards), f"{self.name}: splicing")
        recovered = self._recovered()
        self.run.save_tensors(f"{self.folder}/density.safetensors", {"density": counts.double() / tokens})
        result = DictionaryEvaluation(
            name=self.name,
            kind=self.dictionary.kind,
            activation=self.dictionary.activation,
            latents=self.dictionary.n_latents,
            tokens=tokens,
            outliers=outliers,
            sparsity=Sparsity.of(counts, tokens),
            reconstruction=whole.result(),
            with_outliers=everything.result() if outliers else None,
            sites={
                site.name: site_sums.result()
                for site, site_sums in zip(self.dictionary.writes, sums, strict=True)
            },
            recovered=next(iter(recovered.values())),
            by_model=recovered if len(recovered) > 1 else {},
            labelled=self._labelled(labelled) if labelled else None,
        )
        document = {"schema": result.SCHEMA, **result.to_json()}
        self.run.save_json(f"{self.folder}/evaluation.json", document)
        return result

    def _piece(self, name: str, make: Callable[[], Mapping[str, Any]]) -> None:
        """Do a piece of the work, unless the run has it."""
        name = f"{self.folder}/{name}"
        if not self.run.has(name):
            if name.endswith(".json"):
                self.run.save_json(name, make())
            else:
                self.run.save_tensors(name, make())

    def _reading(self, rows: Sequence[Row]) -> dict[str, Tensor]:
        """The sums over one piece, and which of its tokens are ordinary."""
        dictionary = self.dictionary
        whole, everything = (ReconstructionSums(dictionary.d_out) for _ in range(2))
        sums = [ReconstructionSums(site.width) for site in dictionary.writes]
        counts = torch.zeros(dictionary.n_latents, dtype=torch.int64)
        ordinary: list[Tensor] = []
        for read, target in self._activations(rows):
            kept = self.limits.ordinary(torch.cat([read, target], dim=1), self.sites)
            x = read.to(dictionary.b_dec)
            code = dictionary.encode(x)
            written = dictionary.reconstruct(x, code).cpu()
            everything.add(target, written)
            counts += active_counts(code.where(kept.to(code.tokens.device)[code.tokens]))
            target, written = target[kept], written[kept]
            whole.add(target, written)
            for site_sums, own, out in zip(
                sums, dictionary.split(target), dictionary.split(written), strict=True
            ):
                site_sums.add(own, out)
            ordinary.append(kept)
        tensors = {"counts": counts, "ordinary": torch.cat([torch.zeros(0, dtype=torch.bool), *ordinary])}
        named = {"all": whole, "every": everything} | {str(index): part for index, part in enumerate(sums)}
        for name, part in named.items():
            tensors |= {f"{name}.total": part.total, f"{name}.mean": part.mean}
        return tensors

    def _activations(self, rows: Sequence[Row]) -> Iterator[tuple[Tensor, Tensor]]:
        """What is read, and what stands where it is written, on tokens that count; a few rows at a time."""
        width = self.dictionary.d_in + self.dictionary.d_out
        longest = max((len(row) for row in rows), default=1)
        size = max(1, NUMBERS_IN_MEMORY // (width * max(1, longest)))
        for start in range(0, len(rows), size):
            read, target = read_sites(self.models, self.dictionary, rows[start : start + size], self.tokens)
            yield torch.cat(read), torch.cat(target)

    @cached_property
    def limits(self) -> OutlierLimits:
        """How long ordinary tokens are, measured on the first piece and kept."""
        if self.config.keep_outliers:
            return OutlierLimits({})
        name = f"{self.folder}/limits.json"
        if not self.run.has(name):
            norms = [
                measure_norms(torch.cat(sides, dim=1), self.sites)
                for sides in self._activations(self.shards[0] if self.shards else [])
            ]
            empty = torch.zeros(0, len(self.sites))
            self.run.save_json(
                name, dict(OutlierLimits.of_norms(torch.cat([empty, *norms]), self.sites).norms)
            )
        return OutlierLimits(self.run.load_json(name))

    @property
    def sites(self) -> tuple[Site, ...]:
        return (*self.dictionary.reads, *self.dictionary.writes)

    def _added(self) -> tuple[Tensor, list[ReconstructionSums], ReconstructionSums, ReconstructionSums]:
        """Of all pieces: how often latents are active, sums by site, of all sites, and with outliers."""
        counts = torch.zeros(self.dictionary.n_latents, dtype=torch.int64)
        sums = [ReconstructionSums(site.width) for site in self.dictionary.writes]
        whole, everything = (ReconstructionSums(self.dictionary.d_out) for _ in range(2))
        for number in range(len(self.shards)):
            piece = self.run.load_tensors(f"{self.folder}/reading/{number:04}.safetensors")
            counts += piece["counts"]
            named = {"all": whole, "every": everything} | dict(enumerate(sums))
            for name, part in named.items():
                part.merge(piece[f"{name}.total"], piece[f"{name}.mean"])
        if not whole.total[0]:
            raise DataError("no token of these texts counts: give longer ones, or leave out fewer tokens")
        return counts, sums, whole, everything

    def _splicing(self, number: int, rows: Sequence[Row], means: Tensor) -> dict[str, dict[str, float]]:
        """The sums of `loss_sums` for each model, of one piece."""
        keep = self.tokens.mask(rows)  # rows x columns
        keep[keep.clone()] = self.run.load_tensors(f"{self.folder}/reading/{number:04}.safetensors")[
            "ordinary"
        ]
        totals: dict[str, dict[str, float]] = {}
        for name, model in self.models.items():
            sums = totals[name] = {}
            for batch in length_sorted_batches([len(row) for row in rows], model.pass_tokens):
                part = [rows[index] for index in batch]
                columns = max(map(len, part), default=0)
                given = read_other_models(self.models, self.dictionary, name, part)
                losses = loss_sums(
                    model,
                    self.dictionary,
                    part,
                    keep[batch, :columns],
                    means,
                    self.config.predictions,
                    given,
                )
                for key, value in losses.items():
                    sums[key] = sums.get(key, 0.0) + value
        return totals

    def _recovered(self) -> dict[str, LossRecovered]:
        """What all shards say together, by model."""
        totals: dict[str, dict[str, float]] = {name: {} for name in self.models}
        for number in range(len(self.shards)):
            piece = self.run.load_json(f"{self.folder}/splicing/{number:04}.json")
            for name, sums in totals.items():
                for key, value in piece[name].items():
                    sums[key] = sums.get(key, 0.0) + value
        if not all(sums.get("predictions") for sums in totals.values()):
            raise DataError("no prediction on these texts is scored: choose others")
        return {name: LossRecovered.of(sums) for name, sums in totals.items()}

    def _labelled(self, texts: Sequence[ClassifiedText]) -> LabelledMeasures:
        """A piece too: many probes are fitted for it."""
        measures = TypeAdapter(LabelledMeasures)
        self._piece("labelled.json", lambda: measures.dump_python(self._measure(texts), mode="json"))
        return measures.validate_python(self.run.load_json(f"{self.folder}/labelled.json"))

    def _measure(self, texts: Sequence[ClassifiedText]) -> LabelledMeasures:
        mean, last = pool(
            self.models,
            self.dictionary,
            [text.row for text in texts],
            self.tokens,
            self.limits,
            progress=lambda done, total: self.progress(done, total, f"{self.name}: labelled texts"),
        )
        return measure_labelled(
            self.dictionary,
            mean,
            last,
            [text.label for text in texts],
            [text.spurious for text in texts],
            self.config,
        )


def _silent(done: int, total: int, label: str) -> None: ...
