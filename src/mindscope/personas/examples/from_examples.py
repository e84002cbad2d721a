"""From answers that people have to a trait's vectors: read, judge if anybody does, difference of means."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.core import Progress
from mindscope.engines import Engine
from mindscope.errors import DataError, ModelError
from mindscope.judges import Judge, Judgement, JudgeScore
from mindscope.models import Reading, Row, TemplateRecord, describe_prompts, require_room
from mindscope.personas import rollouts
from mindscope.personas.answers import AnswerRequest, GeneratedAnswer, slices
from mindscope.personas.config import ExtractConfig, VectorKind
from mindscope.personas.contrast import ContrastRecipe
from mindscope.personas.examples.example_set import ExampleSet
from mindscope.personas.examples.separation import SeparationPlan, separate_examples
from mindscope.personas.judging import judge_answers
from mindscope.personas.pair_filter import FilterCounts, filter_pairs
from mindscope.personas.trait import Trait
from mindscope.personas.vectors import KINDS, PersonaVectors, default_layer
from mindscope.store import Run, claim, digest, part_of


def extract_from_examples(
    model: Engine,
    trait: Trait,
    examples: ExampleSet,
    run: Run,
    config: ExtractConfig | None = None,
    *,
    judge: Judge | ContrastRecipe | None = None,
    progress: Progress | None = None,
) -> PersonaVectors:
    """The vectors of a trait from answers that were recorded, not prompted: made in and saved to a run.

    Each is the mean over the tokens of the final answer, as in Chen et al. 2025 (arXiv 2507.21509, section
    2); the vector is the mean over the positive examples minus that over the negative ones, so that every
    example, and every pair, weighs the same. Differs from the paper in where answers come from: nothing keeps
    recorded sides alike in length, subject or writer, so the statistics say how far these alone tell them
    apart.

    Under `extract/{trait}/` the run holds activations, scores and `vectors.safetensors`, as `extract_vectors`
    leaves them, and whatever takes those takes these. Killed and called again, it goes on.

    Args:
        model: reads the answers.
        trait: its name, and what is asked and judged when the vectors are used.
        examples: of both sides; see `read_examples`.
        run: keeps everything.
        config: of the filter and the statistics; what is about drawing answers does not matter here.
        judge: scores every answer, and those that do not fit their side are left out, with their partners in
            a paired set. None trusts the sides as they are given; a `ContrastRecipe` fits a judge on the
            examples first.
        progress: called with (done, total, label).

    Raises:
        DataError: too few examples, before or behind the filter; one that does not fit the model, with its
            place.
        StoreError: the run holds vectors of this trait that were made from something else.
    """
    config = config or ExtractConfig()
    examples.require(config.least_pairs, trait.name)
    model.capabilities.require("extracting persona vectors", "reads", addresses=("resid_post",))
    name = part_of("extract", trait.name)
    model = model.with_template(clock=run.started)
    rows = _rows(model, examples)
    setup = {
        "fingerprint": model.fingerprint,
        "template": describe_prompts(model),
        "dtype": str(model.dtype).removeprefix("torch."),
        "trait": trait.document(),
        "examples": examples.digest(),
    }
    claim(run, name, setup)
    shards = _ExampleShards(model, run, name, rows, config.shard_rows)
    shards.read(progress)
    contrast: dict[str, Any] = {}
    if isinstance(judge, ContrastRecipe):
        judge = judge.fit_examples(model, trait, examples, run, config, progress=progress)
        contrast = {"contrast": judge.scores.to_json()}
    kept, counts = _keep(judge, trait, examples, run, name, config, progress)
    used = examples.keep(*kept)
    used.require(config.least_pairs, trait.name)
    first = len(examples.positive)
    places = [*kept[0], *(first + place for place in kept[1])]
    n_positive = len(kept[0])
    plan = SeparationPlan(
        positive=np.arange(len(places)) < n_positive,
        units=np.array(used.units),
        paired=used.paired,
        folds=config.folds,
        resamples=config.resamples,
        seed=config.seed,
    )
    statistics, separation = separate_examples(
        shards.load("answer_mean", places, slice(1, -1)),
        shards.load("last_prompt", places, default_layer(model.n_layers) + 1),
        [len(rows[place]) - rows[place].final_start for place in places],
        plan,
        notes=used.notes,
        sources=used.sources,
    )
    weights = torch.zeros(len(rows), dtype=torch.float64)
    weights[places[:n_positive]] = 1 / n_positive
    weights[places[n_positive:]] = -1 / (len(places) - n_positive)
    differences: dict[VectorKind, Tensor] = {kind: shards.weighted(kind, weights) for kind in KINDS}
    vectors = PersonaVectors(
        trait=trait.name,
        fingerprint=model.fingerprint,
        matrices={kind: difference[1:-1].float() for kind, difference in differences.items()},
        layers=tuple(range(model.n_layers)),
        embeddings={kind: difference[0].float() for kind, difference in differences.items()},
        final_norm={kind: difference[-1].float() for kind, difference in differences.items()},
        statistics=statistics,
        model=model.name,
        model_type=model.model_type,
        filter=counts,
        trait_document=trait.document(),
        made_with=model.identity,
        template=TemplateRecord.of(model),
        metadata={
            "dtype": setup["dtype"],
            "judge": "none" if judge is None else judge.name,
            **contrast,
            "examples": separation.to_json(),
            "seed": config.seed,
            "config": config.model_dump(
                mode="json", include={"threshold", "coherence", "least_pairs", "resamples", "folds", "seed"}
            ),
        },
    )
    vectors.save(run.path / name / "vectors.safetensors")
    return vectors


def _rows(model: Engine, examples: ExampleSet) -> list[Row]:
    """Every example as a row; DataError with the place of one that does not fit the model."""
    rows: list[Row] = []
    for example in examples.examples:
        try:
            row = model.chat([{**turn} for turn in example.prompt], example.answer, example.reasoning)
            require_room(model, [row])
            if row.final_start == len(row):
                raise DataError("the answer was cut while still reasoning, or has no tokens: leave it out")
        except (DataError, ModelError) as error:
            raise DataError(f"{example.place}: {error}" if example.place else str(error)) from None
        rows.append(row)
    return rows


class _ExampleShards:
    """Activations of examples, shard by shard, each a finished piece of the run."""

    def __init__(self, model: Engine, run: Run, name: str, rows: Sequence[Row], shard_rows: int) -> None:
        self._model, self._run, self._name, self._rows = model, run, name, rows
        piece = f"{name}/shards.json"
        if not run.has(piece):
            run.save_json(piece, {"shard_rows": shard_rows})
        self._size = int(run.load_json(piece)["shard_rows"])

    def read(self, progress: Progress | None) -> None:
        """Read what is not in the run yet."""
        done = 0
        reads = rollouts.rollout_reads(self._model)
        for index, rows in enumerate(slices(self._rows, self._size)):
            if not self._run.has(self._piece(index)):
                self._run.save_tensors(self._piece(index), _stack(self._model.read(rows, reads)))
            done += len(rows)
            if progress is not None:
                progress(done, len(self._rows), f"{self._name}: examples")

    def load(
        self, kind: VectorKind, places: Sequence[int], at: int | slice
    ) -> Float[Tensor, "examples *n_layers d_model"]:
        """One kind of activations of some examples, in that order, at one place of the stream or several."""
        return torch.cat([values[:, at] for values in self._shards(kind)])[list(places)]

    def weighted(
        self, kind: VectorKind, weights: Float[Tensor, "examples"]
    ) -> Float[Tensor, "places d_model"]:
        """The sum over all examples, each with its weight, in float64."""
        total: Tensor | int = 0
        for values, own in zip(self._shards(kind), weights.split(self._size), strict=True):
            total = total + torch.einsum("r,rpd->pd", own, values.double())
        assert isinstance(total, Tensor)  # a set has examples
        return total

    def _shards(self, kind: VectorKind) -> Iterator[Float[Tensor, "rows places d_model"]]:
        for index in range(len(range(0, len(self._rows), self._size))):
            yield self._run.load_tensors(self._piece(index))[kind]

    def _piece(self, index: int) -> str:
        return f"{self._name}/examples/{index:04d}.safetensors"


def _stack(readings: Mapping[str, Reading]) -> dict[str, Tensor]:
    """The reads of a shard, `[rows, places, d_model]` a kind, with the places of `rollouts.RolloutRead`."""
    n_places = len(readings) // len(KINDS)
    stacked: dict[str, Tensor] = {}
    for kind in KINDS:
        columns = [readings[rollouts.RolloutRead(kind, place).name].values for place in range(n_places)]
        stacked[kind] = torch.stack([column for column in columns if isinstance(column, Tensor)], dim=1)
        if not stacked[kind].isfinite().all():
            raise ModelError(
                "the model's activations hold NaN or infinity: load it in float32 (dtype='float32')"
            )
    return stacked


def _keep(
    judge: Judge | None,
    trait: Trait,
    examples: ExampleSet,
    run: Run,
    name: str,
    config: ExtractConfig,
    progress: Progress | None,
) -> tuple[tuple[Sequence[int], Sequence[int]], FilterCounts | None]:
    """The places of the examples on both sides that are used, and how many were not and why.

    Without pairs an example is judged alone: it is held against a partner that passes whatever it is.
    """
    n_positive, n_negative = len(examples.positive), len(examples.negative)
    if judge is None:
        return (range(n_positive), range(n_negative)), None
    answers = [GeneratedAnswer(example.answer, "stop", example.reasoning) for example in examples.examples]
    requests = [AnswerRequest(example.question, 0, example.system) for example in examples.examples]
    judgements = judge_answers(
        judge,
        trait.rubric(),
        requests,
        answers,
        run,
        name,
        scores=f"{name}/scores/{digest({'judge': judge.name})}",
        shard_rows=config.shard_rows,
        progress=progress,
    )
    limits = {"threshold": config.threshold, "coherence": config.coherence}
    positive, negative = judgements[:n_positive], judgements[n_positive:]
    if examples.paired:
        filtered = filter_pairs(positive, negative, **limits)
        run.save_json(f"{name}/filter.json", {**filtered.counts.to_json(), "pairs_kept": filtered.kept})
        filtered.require(config.least_pairs, trait.name)
        return (filtered.kept, filtered.kept), filtered.counts
    shows, shows_not = (Judgement(JudgeScore.of(score), JudgeScore.of(100.0)) for score in (100.0, 0.0))
    sides = (
        filter_pairs(positive, [shows_not] * n_positive, **limits),
        filter_pairs([shows] * n_negative, negative, **limits),
    )
    totals = [side.counts.to_json() for side in sides]
    counts = FilterCounts(**{key: totals[0][key] + totals[1][key] for key in totals[0]})
    run.save_json(f"{name}/filter.json", {**counts.to_json(), "kept": [side.kept for side in sides]})
    if min(len(side.kept) for side in sides) < config.least_pairs:
        raise DataError(
            f"{len(sides[0].kept)} of {n_positive} and {len(sides[1].kept)} of {n_negative} examples fit "
            f"their side, and {config.least_pairs} of each are needed ({counts.failures()}): look at them, "
            "check the judge, or trust the sides with --judge none"
        )
    return (sides[0].kept, sides[1].kept), counts
