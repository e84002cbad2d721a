"""An evaluation as a run: stopped anywhere, it goes on to the same result."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mindscope.core import Progress
from mindscope.dictionaries.dictionary import Dictionary
from mindscope.dictionaries.evaluation.ablation import perturb_probes, remove_correlation
from mindscope.dictionaries.evaluation.absorption import measure_absorption
from mindscope.dictionaries.evaluation.config import EvaluateConfig
from mindscope.dictionaries.evaluation.pooled import pool
from mindscope.dictionaries.evaluation.probing import k_sparse
from mindscope.dictionaries.evaluation.reconstruction import ReconstructionSums
from mindscope.dictionaries.evaluation.recovered import LossRecovered, loss_sums
from mindscope.dictionaries.evaluation.results import DictionaryEvaluation, LabelledMeasures
from mindscope.dictionaries.evaluation.rows import MeasuredTokens, read_other_models, read_sites
from mindscope.dictionaries.evaluation.sparsity import Sparsity, active_counts
from mindscope.errors import DataError
from mindscope.features import Models, match_models, require_same_tokenizer
from mindscope.models import Model, Row, length_sorted_batches
from mindscope.store import Run


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
            dictionary = dictionary.to(device)
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
        counts, sums, whole = self._added()
        tokens = int(whole.total[0])
        means = whole.mean / tokens
        for number, shard in enumerate(self.shards):
            self._piece(
                f"splicing/{number:04}.json", lambda shard=shard: self._splicing(shard, means.float())
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
            sparsity=Sparsity.of(counts, tokens),
            reconstruction=whole.result(),
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
        sides = read_sites(self.models, self.dictionary, rows, self.tokens)
        read, target = map(torch.cat, sides)
        read = read.to(self.dictionary.b_dec)
        code = self.dictionary.encode(read)
        written = self.dictionary.decode(code) + self.dictionary.skip(read)
        whole = ReconstructionSums(self.dictionary.d_out)
        whole.add(target, written)
        tensors = {"counts": active_counts(code), "all.total": whole.total, "all.mean": whole.mean}
        parts = zip(
            self.dictionary.writes,
            self.dictionary.split(target),
            self.dictionary.split(written),
            strict=True,
        )
        for index, (site, x, out) in enumerate(parts):
            sums = ReconstructionSums(site.width)
            sums.add(x, out)
            tensors |= {f"{index}.total": sums.total, f"{index}.mean": sums.mean}
        return tensors

    def _added(self) -> tuple[Tensor, list[ReconstructionSums], ReconstructionSums]:
        counts = torch.zeros(self.dictionary.n_latents, dtype=torch.int64)
        sums = [ReconstructionSums(site.width) for site in self.dictionary.writes]
        whole = ReconstructionSums(self.dictionary.d_out)
        for number in range(len(self.shards)):
            piece = self.run.load_tensors(f"{self.folder}/reading/{number:04}.safetensors")
            counts += piece["counts"]
            whole.merge(piece["all.total"], piece["all.mean"])
            for index, site_sums in enumerate(sums):
                site_sums.merge(piece[f"{index}.total"], piece[f"{index}.mean"])
        if not whole.total[0]:
            raise DataError("no token of these texts counts: give longer ones, or leave out fewer tokens")
        return counts, sums, whole

    def _splicing(self, rows: Sequence[Row], means: Tensor) -> dict[str, dict[str, float]]:
        """The sums of `loss_sums` for each model."""
        totals: dict[str, dict[str, float]] = {}
        for name, model in self.models.items():
            sums = totals[name] = {}
            for batch in length_sorted_batches([len(row) for row in rows], model.pass_tokens):
                part = [rows[number] for number in batch]
                given = read_other_models(self.models, self.dictionary, name, part)
                losses = loss_sums(
                    model, self.dictionary, part, self.tokens, means, self.config.predictions, given
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
        labels = [text.label for text in texts]
        mean, last = pool(
            self.models,
            self.dictionary,
            [text.row for text in texts],
            self.tokens,
            progress=lambda done, total: self.progress(done, total, f"{self.name}: labelled texts"),
        )
        seed = self.config.seed
        probing = k_sparse(mean, labels, seed=seed)
        if len(self.dictionary.wiring) > 1 or len(self.dictionary.writes) > 1:
            reason = "it writes several sites, on which one probe cannot be"
            return LabelledMeasures(probing, left_out=dict.fromkeys(("TPP", "absorption", "SCR"), reason))
        decoder = self.dictionary.coder.W_dec.detach().float().cpu().numpy()
        left_out: dict[str, str] = {}
        removal = None
        flags = [text.spurious for text in texts]
        names = sorted(set(labels))
        if any(flag is None for flag in flags):
            left_out["SCR"] = "the texts do not say which concept comes with the label by chance"
        elif len(names) != 2:
            left_out["SCR"] = f"it needs two labels, there are {len(names)}"
        else:
            shown = [label == names[1] for label in labels]
            try:
                removal = remove_correlation(mean, decoder, shown, [bool(flag) for flag in flags], seed=seed)
            except DataError as error:
                left_out["SCR"] = str(error)
        return LabelledMeasures(
            probing,
            perturb_probes(mean, decoder, labels, seed=seed),
            measure_absorption(last, decoder, labels, seed=seed),
            removal,
            left_out,
        )


def _silent(done: int, total: int, label: str) -> None: ...
